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
# shellcheck disable=SC2034
JOBS=${JOBS:-$(nproc)}

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# log_of STEP [ENDING]: the file that a step of this name writes to, in a folder that is there
log_of() {
	mkdir -p "$BUILD/log"
	echo "$BUILD/log/$1.${2:-log}"
}

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
