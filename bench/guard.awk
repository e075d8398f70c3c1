# Says which figures are more than 10 % above the committed ones: awk -f guard.awk figures.csv now.csv
#
# The first line of each file names the compiler, the QEMU and the Linux that it was counted with. Where
# they differ the committed figures are scaled by what the floors have become on average: these are
# calls of the IOMMU API alone, which the series does not change.

BEGIN { FS = "," }

FNR == 1 { tools[++files] = $0; next }

{
	key = $1 "," $2 "," $3 "," $4 "," $5 "," $6
	if ($7 != "core") {
		if (files == 1)
			floor[key, $7] = $8
		else if (floor[key, $7] > 0 && $8 > 0) {
			sum += log($8 / floor[key, $7])
			floors++
		}
	} else if (files == 1) {
		committed[key] = $8
	} else {
		keys[++nr] = key
		now[key] = $8
	}
}

END {
	scale = 1
	if (tools[1] != tools[2] && floors) {
		scale = exp(sum / floors)
		print "guard: the figures are of " substr(tools[1], 3)
		print "guard: this is             " substr(tools[2], 3)
		printf "guard: the floors are %.3f times what they were, and so may all be\n", scale
	}
	for (i = 1; i <= nr; i++) {
		key = keys[i]
		if (!(key in committed)) {
			print "guard: no figure for " key "; run make bench-figures"
			failed++
		} else if (now[key] > 1.1 * scale * committed[key]) {
			printf "guard: %s: %d, more than 10 %% above %d\n", key, now[key], scale * committed[key]
			failed++
		} else {
			passed++
		}
	}
	for (key in committed)
		if (!(key in now)) {
			print "guard: " key " was not measured"
			failed++
		}
	printf "guard: %d figures hold, %d do not\n", passed, failed
	exit failed > 0 || !passed
}
