# shellcheck shell=bash
# What the checks share: the files of the series, and what a tool says of them that it does not say
# of the base. Sourced after series-lib.sh, never run.

# shellcheck disable=SC2034
CHECK=$BUILD/check
# Has a defect for each tool: one that does not see its own has not looked
CANARY=$ROOT/harness/check/data/canary.c

# series_files PATTERN...: files of the kernel that the series adds or changes
series_files() {
	in_linux diff --name-only --diff-filter=AM base..main -- "$@" ':(exclude)tools' ':(exclude)Documentation'
}

# complaints TREE: those on stdin, without what differs between two trees: folder and line
complaints() {
	sed -nE '/(^|: )(warning|error|Warning|Error|WARNING|ERROR): |undefined reference/{
		s#'"$1"'/|(\.\./)+'"${1##*/}"'/##g; s#:[0-9]+(:[0-9]+)?(-[0-9]+)?##; p }' | sort -u
}

# expect_canary TOOL LOG PATTERN: fails if the log does not have what the tool says of the canary
expect_canary() {
	grep -qE "$3" "$2" && return
	tail -n 15 "$2" >&2
	die "$1 does not see its defect in harness/check/data/canary.c: it checked nothing"
}

# only_new OURS BASE: fails if the first file of complaints has one that the second has not
only_new() {
	local new
	new=$(comm -23 "$1" "$2")
	[[ -z $new ]] && return
	printf '%s\n' "$new" >&2
	die "$(wc -l <<<"$new") complaints that the base does not have"
}
