# shellcheck shell=bash
# Reads harness/test/programs, which says what the format is. Sourced after lib.sh.

# shellcheck source=harness/vm/machine-lib.sh
. "$ROOT/harness/vm/machine-lib.sh"

PROGRAMS=$ROOT/harness/test/programs

suite_of() { git config -f "$PROGRAMS" "program.$1.suite"; }

# kselftest_suites: all folders in tools/testing/selftests that have programs to run
kselftest_suites() {
	git config -f "$PROGRAMS" --get-regexp '^program\..*\.suite$' | awk '$2 != "guest" { print $2 }' | sort -u
}

# is_kselftest PROGRAM: is it one that sums up what it tested?
is_kselftest() {
	local suite
	suite=$(suite_of "$1") && [[ $suite != guest ]]
}

# runs_of TARGET: a line 'PROGRAM MACHINE ARGUMENT...' for each
runs_of() {
	git config -f "$PROGRAMS" --get-regexp '^program\..*\.run$' "^$1 " | sed 's/^program\.\(.*\)\.run [^ ]* /\1 /' |
		grep . || die "harness/test/programs has nothing for $1"
}

# machines_of_target TARGET: the machines that it boots
machines_of_target() {
	runs_of "$1" | awk '!seen[$2]++ { print $2 }' | while read -r where; do
		machines_of "$where" | grep . || die "harness/test/programs names '$where' for $1, which is no machine and no kind of them"
	done | awk '!seen[$0]++'
}

# boot_programs TARGET MACHINE KERNEL PROGRAMS [OPTION-OF-RUN...] [-- WORD...]
#
# KERNEL and PROGRAMS are the folders that they were built in. The caller's array values has what a @name
# stands for that is no device of the machine.
boot_programs() {
	local target=$1 name=$2 kernel=$3 folder=$4 initramfs=$BUILD/$1-$2.cpio.gz options=() list commands
	shift 4
	while (($#)) && [[ $1 != -- ]]; do options+=("$1"); shift; done
	list=$(commands_of "$target" "$name" "$folder") || return
	[[ -n $list ]] || die "harness/test/programs has nothing for $target in $name"
	mapfile -t commands <<<"$list"
	"$ROOT/harness/vm/make-initramfs" "$initramfs" "${commands[@]}" &&
		"$ROOT/harness/vm/run" "${options[@]}" "$name" "$kernel" "$initramfs" "${@:2}"
}

# commands_of TARGET MACHINE FOLDER: as make-initramfs wants them. Where the variable only has programs, a
# line for each, no other kselftest is among them.
commands_of() {
	local program on arguments path word name
	load_machine "$2"
	runs_of "$1" | while read -r program on arguments; do
		[[ $on == "$2" || $on == "$kind" ]] || continue
		[[ -z ${only:-} ]] || ! is_kselftest "$program" || grep -qxF "$program" <<<"$only" || continue
		path=$3/$program
		[[ $(suite_of "$program") != guest ]] || path=$ROOT/harness/vm/guest/$program
		for word in $arguments; do
			name=${word#@}
			if [[ $word == @* ]]; then
				[[ -v addresses[$name] || -v values[$name] ]] ||
					die "$program for $1: the machine $2 has no address of $name, and $1 sets no $name"
				word=${addresses[$name]:-${values[$name]:-}}
			fi
			path+=" $word"
		done
		echo "$path"
	done
}
