# Holds what the series takes against what was committed: awk -f guard.awk [-v results=FILE] figures.csv now.csv
# With -v make=1 it prints what to commit instead: awk -v make=1 -f guard.awk now.csv
#
# Instructions are held as a ratio: to the floor that was counted beside them in the same run, which calls
# what Linux has without the mapping types. So another compiler or QEMU, which changes both, changes little.
# What is no number of instructions is held as it is.
#   floor   what the same takes by itself: memory, locks, the IOMMU API, the DMA API
#   call    what a call of iommufd takes, with a page of memory; it comes on top
#   once    where there is no other floor: the IOMMU API on the same extents, with one flush
# FILE gets a result for each kind of figure, as harness/test/results-lib.sh has them.

BEGIN { FS = OFS = "," }

# The first line says what it was counted with
FNR == 1 { tools[++files] = substr($0, 3) }
/^#/ { next }

{ key = $1 OFS $2 OFS $3 OFS $4 OFS $5 OFS $6 }

!make && FNR == NR { how[key] = $7; committed[key] = $8; next }

# That is a floor itself
$1 == "record" { next }

$7 == "core" { keys[++nr] = key; kind[key] = $1; core[key] = $8; next }

{ least[key, $7] = $8 }

# What is held of a key: sets figure, and how it is held
function measure(key,   floor) {
	floor = (key, "floor") in least ? least[key, "floor"] + least[key, "call"] : least[key, "once"]
	how_now = floor ? "ratio" : "value"
	figure = floor ? core[key] / floor : core[key]
}

function bad(key, text) {
	print "guard: " key ": " text
	split(key, f, OFS)
	failed[f[1]]++
	total++
}

function check(key,   limit) {
	if (!(key in committed))
		return bad(key, "no figure; run make bench-figures")
	if (how[key] != how_now)
		return bad(key, "is a " how_now ", and was committed as a " how[key] "; run make bench-figures")
	limit = key ~ /entries$/ ? 0 : 0.1
	if (figure > (1 + limit) * committed[key])
		bad(key, sprintf("%.3f is more than %.3f by %.0f %%", figure, committed[key], 100 * (figure / committed[key] - 1)))
	else if (figure < (1 - limit) * committed[key])
		bad(key, sprintf("%.3f is less than %.3f: good, but renew the figures, so that what comes later is held to it: make bench-figures",
			figure, committed[key]))
	else
		held++
}

END {
	if (make)
		print "# " tools[1] "\n# What make test holds the series to; made by make bench-figures"
	else
		print "guard: the figures are of " tools[1] "\nguard: this is             " tools[2]
	for (i = 1; i <= nr; i++) {
		measure(keys[i])
		if (!(kind[keys[i]] in seen)) {
			seen[kind[keys[i]]] = 1
			kinds[++nr_kinds] = kind[keys[i]]
		}
		if (make)
			print keys[i], how_now, how_now == "ratio" ? sprintf("%.4f", figure) : figure
		else
			check(keys[i])
	}
	if (make)
		exit
	for (key in committed)
		if (!(key in core))
			bad(key, "was not measured")
	for (i = 1; i <= nr_kinds && results; i++)
		print "instructions\t" kinds[i] "\t" (failed[kinds[i]] ? "fail" : "pass") >results
	printf "guard: %d figures hold, %d do not\n", held, total
	exit total > 0 || !held
}
