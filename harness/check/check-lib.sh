# shellcheck shell=bash
# What the checks share: the files of the series, and what a tool says of them that it does not say
# of the base. Sourced after lib.sh, never run.

# shellcheck source=harness/series/series-lib.sh
. "$ROOT/harness/series/series-lib.sh"

CHECK=$BUILD/check
mkdir -p "$CHECK"
# Has a defect for each tool: one that does not see its own has not looked
CANARY=$ROOT/harness/check/data/canary.c

# changed_files PATTERN...: files that the series add or change
changed_files() { in_linux diff --name-only --diff-filter=AM base..main -- "$@"; }

# series_files PATTERN...: those of the kernel itself
series_files() { changed_files "$@" ':(exclude)tools' ':(exclude)Documentation'; }

# series_objects: what Kbuild makes of them
series_objects() { series_files '*.c' | sed 's/c$/o/'; }

# forget OUT OBJECT...: has them compiled again there, as a warning is only seen when compiling
forget() { (cd "$1" && rm -f "${@:2}"); }

# complaints TREE: those on stdin, without what differs between two trees: folder and line
complaints() {
	sed -nE '/(^|: )(warning|error|Warning|Error|WARNING|ERROR): |undefined reference/{
		s#'"$1"'/|(\.\./)+'"${1##*/}"'/##g; s#:[0-9]+(:[0-9]+)?(-[0-9]+)?##; p }' | sort -u
}

# expect_canary TOOL LOG PATTERN: fails if the log does not have what the tool says of the canary
expect_canary() {
	grep -qE "$3" "$2" && return
	tail -n 15 "$2" >&2
	die "$1 does not see its defect in ${CANARY#"$ROOT"/}: it checked nothing"
}

# no_worse NAME FUNCTION: FUNCTION TREE FILE writes to FILE what a tool says of the files of the series
# in a tree. Fails on what it says of build/linux and not of the base, which is looked at only then.
no_worse() {
	local ours=$CHECK/$1.ours theirs=$CHECK/$1.base new
	"$2" "$LINUX" "$ours"
	say "$1: $(wc -l <"$ours") complaints"
	[[ -s $ours ]] || return 0
	"$2" "$("$ROOT/harness/build/get-base")" "$theirs"
	new=$(comm -23 "$ours" "$theirs")
	[[ -n $new ]] || { say "$1: the base has the same"; return; }
	printf '%s\n' "$new" >&2
	die "$(wc -l <<<"$new") complaints that the base does not have"
}
