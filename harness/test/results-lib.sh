# shellcheck shell=bash
# Reads the results of tests, which kselftest and KUnit print as (K)TAP. Sourced after lib.sh.

# tap_results LOG [SUITE]: suite, test and pass, fail or skip of each test, by tabs
#
# A suite is a KUnit suite, or the program that ran in a machine, with its arguments, else SUITE. A test that was
# planned and did not report, and a list of tests that was never begun, is a failure.
tap_results() {
	awk -v OFS='\t' -v program="${2:-}" '
		function add(suite, name, result) { results[++n] = suite OFS name OFS result }
		function plan_ends(at,   name) {
			for (name = above[at] != "" ? above[at] : "all"; done[at] < planned[at]; done[at]++)
				add(suite_of(at, name), name ": one of " planned[at] " that did not report", "fail")
			planned[at] = done[at] = 0
		}
		function plans_end(from,   at) { for (at = deepest + 0; at >= from; at -= 4) plan_ends(at) }
		function suite_of(at, name) { return above[4] != "" && at >= 4 ? above[4] : program != "" ? program : name }
		{ sub(/\r$/, ""); sub(/^\[ *[0-9]+\.[0-9]+\] /, ""); depth = match($0, /[^ ]/) - 1 }
		# What an emulator that crashed has shown is no result
		/^qemu-run: again$/ { delete above; delete done; delete planned; n = 0; program = ""; next }
		match($0, /qemu-run: (begin|end|commands|[0-9]+ complaints)/) {
			plans_end(0)
			delete above
			program = /qemu-run: begin / ? substr($0, RSTART + 16) : ""
			next
		}
		# There KUnit tests are shown a second time
		program == "kernel-log" { next }
		/^ *K?TAP version / { plans_end(depth); next }
		/^ *1\.\.[0-9]+/ {
			# May come before the tests or after them
			planned[depth] = $1; sub(/^1\.\./, "", planned[depth]); planned[depth] += 0
			if (depth > deepest) deepest = depth
			next
		}
		/^ *# Subtest: / { above[depth] = $3; next }
		/^ *(not )?ok [0-9]+ / {
			result = /^ *not / ? "fail" : / # SKIP/ ? "skip" : "pass"
			name = $0
			sub(/^ *(not )?ok [0-9]+ (- )?/, "", name)
			sub(/ *# .*/, "", name)
			done[depth]++
			plans_end(depth + 4)
			if (above[depth + 4] == name) { delete above[depth + 4]; next }
			where = suite_of(depth, name)
			for (i = depth; i > 0; i -= 4) if (above[i] != where) name = above[i] "." name
			add(where, name, result)
		}
		END { plans_end(0); for (i = 1; i <= n; i++) print results[i] }' "$1"
}

# ends_well NAME STATUS RESULTS: a step that failed without a test that did has a failure of its own
ends_well() {
	(($2 == 0)) || grep -qs '	fail$' "$3" || printf '%s\tends well\tfail\n' "$1" >>"$3"
}

# sum_results: passed, failed and skipped of what tap_results says on stdin
sum_results() {
	awk -F'\t' '{ n[$3]++ } END { print n["pass"] + 0, n["fail"] + 0, n["skip"] + 0 }'
}

# show_results LOG: the same as a sentence
show_results() {
	local passed failed skipped
	read -r passed failed skipped < <(tap_results "$1" | sum_results)
	say "$passed passed, $failed failed, $skipped skipped; the output is in ${1#"$ROOT"/}"
}

# compare_results BEFORE AFTER: a table of suites, each test that changed, and status 1 if one does worse.
# A suite of which nothing passed before compares nothing.
compare_results() {
	awk -F'\t' '
		function rank(result) { return index("gone fail skip pass", result) }
		FNR == 1 { file++ }
		!($1 in order) { order[$1] = ++n; suites[n] = $1 }
		{ total[file, $1]++; passed[file, $1] += $3 == "pass" }
		file == 1 { before[$1, $2] = $3; was[$1] = 1; next }
		{ after[$1, $2] = $3; if (!(($1, $2) in before)) added[$1]++ }
		END {
			printf "%-52s %14s %14s %7s\n", "suite", "passed before", "passed after", "added"
			for (i = 1; i <= n; i++) {
				s = suites[i]
				printf "%-52s %7d of %3d %7d of %3d %7d\n", s, passed[1, s], total[1, s],
					passed[2, s], total[2, s], added[s]
				if (was[s] && !passed[1, s]) { print "NOTHING passed before in " s; bad = 1 }
			}
			for (key in before) {
				now = key in after ? after[key] : "gone"
				if (now == before[key]) continue
				split(key, name, SUBSEP)
				worse = rank(now) < rank(before[key])
				if (worse) bad = 1
				printf "%s: %s %s: %s before, %s after\n", worse ? "WORSE" : "better",
					name[1], name[2], before[key], now
			}
			exit bad || !length(before)
		}' "$1" "$2"
}

# sum_suites: place, suite, passed, failed and skipped of what tap_results says on stdin, with the place before it
sum_suites() {
	awk -F'\t' -v OFS='\t' '
		!(($1, $2) in order) { order[$1, $2] = ++n; place[n] = $1; suite[n] = $2 }
		{ count[order[$1, $2], $4]++ }
		END { for (i = 1; i <= n; i++)
			print place[i], suite[i], count[i, "pass"] + 0, count[i, "fail"] + 0, count[i, "skip"] + 0 }'
}
