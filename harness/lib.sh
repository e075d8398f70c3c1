# shellcheck shell=bash
# What every script here shares: where things are, and how a step reports itself.
# Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$ROOT/build}
# shellcheck disable=SC2034  # read by the scripts that source this file
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dma-buf-mapping
# shellcheck disable=SC2034
LINUX=$BUILD/linux
# shellcheck disable=SC2034
BASE_PACKAGE=linux-source-7.3
# QEMU 7.2 dies of a segmentation fault when memory decode goes off under its other processors
# shellcheck disable=SC2034
RACE_ACCEL=tcg,thread=single
# The device whose BAR is exported; below a root port it can be reset
# shellcheck disable=SC2034
EXPORTER='-device ivshmem-plain,memdev=shm'
# shellcheck disable=SC2034
EXPORTER_BELOW_PORT="-device pcie-root-port,id=rp,chassis=1,slot=1 $EXPORTER,bus=rp"
# shellcheck disable=SC2034
JOBS=${JOBS:-$(nproc)}

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# run_logged LOG WHAT COMMAND...: runs a long command with its output in LOG,
# says every ten seconds how far it is, and shows the end of LOG if it fails.
run_logged() {
	local log=$1 what=$2 start=$SECONDS pid rc=0
	shift 2
	mkdir -p "$(dirname "$log")"
	say "$what (log: ${log#"$ROOT"/})"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		if (( (SECONDS - start) % 10 == 0 && SECONDS > start )); then
			printf '   %4d s, %6d lines: %.60s\n' $((SECONDS - start)) \
				"$(wc -l <"$log")" "$(tail -n 1 "$log" | tr -cd '[:print:]')" >&2
		fi
	done
	wait "$pid" || rc=$?
	if ((rc)); then
		grep -nE '(error|Error|ERROR|warning):?|\*\*\*' "$log" | tail -n 20 >&2 || true
		tail -n 15 "$log" >&2
		die "$what failed with status $rc after $((SECONDS - start)) s; the whole log is $log"
	fi
	say "$what: done in $((SECONDS - start)) s"
}

# tap_sum FIELD FILE: the sum of a field over the totals that kselftests print
tap_sum() { sed -n "s/^# Totals:.* $1:\([0-9]*\).*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'; }

# tap_results FILE: suite, test and pass, fail or skip of each test in the output of run-in-qemu. The
# suite is the program; a KUnit test is named with its KUnit suite, and with its case if it has such.
tap_results() {
	awk -v OFS='\t' '
		{ sub(/\r$/, ""); depth = match($0, /[^ ]/) - 1 }
		/^qemu-run: begin / { sub(/^qemu-run: begin /, ""); suite = $0; delete above; next }
		# There KUnit tests are shown a second time
		suite == "kernel-log" { next }
		/^ *# Subtest: / { above[depth] = $3; next }
		/^ *(not )?ok [0-9]+ / {
			result = /^ *not / ? "fail" : / # SKIP/ ? "skip" : "pass"
			name = $0
			sub(/^ *(not )?ok [0-9]+ (- )?/, "", name)
			sub(/ *# .*/, "", name)
			if (above[depth + 4] == name) { delete above[depth + 4]; next }
			for (i = depth; i > 0; i -= 4) name = above[i] "." name
			print suite, name, result
		}' "$1"
}

# judge_run LOG: fails if what harness/vm/guest/init said in a machine's output is not that all went well
judge_run() {
	local done_line begun failed
	done_line=$(grep -aE '^qemu-run: [0-9]+ complaints$' "$1" || true)
	[[ -n $done_line ]] ||
		die "the machine ended before its tests did: a panic, or no way to boot (last line: $(tail -n 1 "$1"))"

	begun=$(grep -acE '^qemu-run: begin ' "$1" || true)
	((begun)) || die "no program was run; does run= name one that the initramfs has?"
	# A kselftest that skips everything ends with 4: the reason is in its output, and it did not pass.
	failed=$(grep -aE '^qemu-run: end ' "$1" | grep -avE '^qemu-run: end 0 ' || true)
	[[ -z $failed ]] || die "these did not pass (a status of 4 means skipped):
$failed"
	[[ $done_line == 'qemu-run: 0 complaints' ]] || die "the kernel complained: ${done_line#qemu-run: }"
}
