# shellcheck shell=bash
# Judges by a machine's output whether its tests went well. Sourced after lib.sh.
#
# harness/vm/guest/init says 'qemu-run: commands N', then 'begin' and 'end STATUS' of each, then what it
# has to complain about, and last how many complaints that makes. A run is
#   whole   if all that was chosen began and ended, and each kselftest has summed up once;
#   passed  if it is whole, no program failed, and no checker of the kernel was blind;
#   clean   if it has passed, and the kernel complained of nothing.

# shellcheck source=harness/test/programs-lib.sh
. "$ROOT/harness/test/programs-lib.sh"

# run_lines LOG WORD: what init said that begins so. A line of a program may not have ended before it.
run_lines() { grep -aoE "qemu-run: $2.*" "$1" || true; }

# totals_of LOG: each program that ran, and how often it summed up
totals_of() {
	awk 'match($0, /qemu-run: begin /) { name = substr($0, RSTART + RLENGTH); sub(/ .*/, "", name); n = 0 }
		/^# Totals: pass:/ { n++ }
		/qemu-run: end / { print name, n }' "$1"
}

must_be_whole() {
	local commands begun ended name totals
	[[ -n $(run_lines "$1" '[0-9]+ complaints$') ]] ||
		die "the machine ended before its tests did: a panic, or no way to boot (last line: $(tail -n 1 "$1"))"
	commands=$(run_lines "$1" 'commands ' | sed 's/.* //')
	begun=$(run_lines "$1" 'begin ' | wc -l)
	ended=$(run_lines "$1" 'end [0-9]+ ' | wc -l)
	((${commands:-0})) || die "no program was run; does run= name one that the initramfs has?"
	((begun == commands && ended == commands)) ||
		die "of $commands programs $begun began and $ended ended"
	while read -r name totals; do
		! is_kselftest "$name" || ((totals == 1)) ||
			die "$name has summed up $totals times, not once: it ended early, or not all of its output is here"
	done < <(totals_of "$1")
}

must_have_passed() {
	local failed blind
	# A kselftest that skips everything ends with 4: the reason is in its output, and it did not pass.
	failed=$(run_lines "$1" 'end [1-9]')
	[[ -z $failed ]] || die "these did not pass (a status of 4 means skipped):
$failed"
	blind=$(run_lines "$1" 'complaint: blind: ')
	[[ -z $blind ]] || die "a checker did not look:
$blind"
}

must_be_clean() {
	[[ $(run_lines "$1" '[0-9]+ complaints$') == 'qemu-run: 0 complaints' ]] ||
		die "the kernel complained:
$(run_lines "$1" 'complaint: ')"
}

# judge_run LOG [LEVEL]
judge_run() {
	local level=${2:-clean}
	[[ $level == @(whole|passed|clean) ]] || die "no level '$level'; there are whole, passed and clean"
	must_be_whole "$1"
	[[ $level == whole ]] || must_have_passed "$1"
	[[ $level != clean ]] || must_be_clean "$1"
}
