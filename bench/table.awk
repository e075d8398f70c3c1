# Joins what was counted on the untouched kernel and on the series, and judges it by the goals:
#   awk -f table.awk [-v csv=FILE] base.csv series.csv
#
# Prints the table and writes FILE, which has a line for each thing that was measured. What a figure
# is compared with: "base" is Linux without the series, "each" are iommu_map() and iommu_unmap() called
# for each extent, "once" is the same with one flush for all of them, "of 16" the same slice of a list
# of 16 ranges, "of 1" the same of a buffer of one range. Where a goal is missed that not even the
# record of a mapping and the lock around it allow for, the ratio that they leave is said.

BEGIN {
	FS = ","
	OFS = ","
}

# The first line says what it was counted with
FNR == 1 { tree = FILENAME ~ /base[^\/]*$/ ? "base" : "series"; next }

{
	key = $1 OFS $2 OFS $3 OFS $4 OFS $5 OFS $6
	by = $7 == "core" ? tree : $7
	if (!((key, by) in value) && !(key in seen)) {
		seen[key] = 1
		keys[++nr] = key
	}
	value[key, by] = $8
}

function has(key, by) { return (key, by) in value }

# The same thing for another number of ranges; one range has no layout
function sibling(f, ranges) {
	return f[1] OFS f[2] OFS f[3] OFS (ranges > 1 ? f[4] : "-") OFS ranges OFS f[6]
}

# Sets reference, its name and the goal, which is empty where there is none
function compare(key, f,    other) {
	name = goal = reference = ""
	if (has(key, "base"))
		name = "base"
	if (has(key, "each"))
		name = "each"
	if (has(key, "once") && (name == "" || value[key, "once"] < value[key, name]))
		name = "once"
	if (name != "")
		reference = value[key, name]

	if (f[1] == "slice" && f[5] > 16) {
		name = "of 16"
		reference = value[sibling(f, 16), "series"]
		goal = 1.5
	} else if (f[1] == "iommu" && f[6] == "map+unmap") {
		# One range is as large as all that merge to it
		if (f[5] == 1 && f[3] == 2 ^ 30 || f[5] == 1000000 && f[4] == "adjacent")
			goal = 1.05
		else if (f[5] == 1000000)
			goal = 1.10
	} else if (f[1] == "sgt" && name == "base" && f[6] != "mapping bytes") {
		goal = 1
	} else if (f[1] == "legacy" && f[6] == "cycle") {
		goal = 1.05
	} else if (f[1] == "map_file" && f[6] == "map+unmap") {
		goal = f[2] == "at 4 KiB" ? 0.2 : 1
	} else if (f[1] == "attach" && f[6] == "attachment bytes" && f[5] > 1) {
		name = "of 1"
		reference = value[sibling(f, 1), "series"]
		goal = 1
	}
	if (reference == "" || reference == 0)
		goal = reference = name = ""
}

function size(bytes) {
	return bytes >= 2 ^ 30 ? bytes / 2 ^ 30 " GiB" : bytes >= 2 ^ 20 ? bytes / 2 ^ 20 " MiB" : bytes / 2 ^ 10 " KiB"
}

# What a mapping in a domain has to take at least, next to the page table alone: a record of what a
# restore makes again, and a lock against a revoke. Both are measured by themselves.
function floor_of(f,    record) {
	record = "record" OFS "-" OFS 0 OFS "-" OFS 1 OFS
	if (f[1] != "iommu")
		return 0
	return (reference + value[record "kmalloc+kfree", "series"] + value[record "lock twice", "series"]) / reference
}

function print_row(f, key,    ratio, verdict) {
	if (!has(key, "series"))
		return
	ratio = reference == "" ? "" : sprintf("%.3f", value[key, "series"] / reference)
	if (goal != "") {
		goals++
		verdict = value[key, "series"] <= goal * reference ? "met" : "MISSED"
		met += verdict == "met"
		if (verdict == "MISSED" && floor_of(f) > goal) {
			verdict = sprintf("%s, floor %.3f", verdict, floor_of(f))
			forbidden++
		}
	}
	printf "%-9s %-16s %8s %-8s %8d %-17s %11d %11s %-5s %8s %5s %s\n", f[1], f[2], size(f[3]),
		f[4], f[5], f[6], value[key, "series"], reference, name, ratio, goal, verdict
}

END {
	if (csv)
		print "kind,place,bytes,layout,ranges,operation,series,base,each,once" >csv
	printf "%-9s %-16s %8s %-8s %8s %-17s %11s %11s %-5s %8s %5s %s\n", "", "", "range", "layout",
		"ranges", "operation", "series", "reference", "", "ratio", "goal", ""
	for (i = 1; i <= nr; i++) {
		key = keys[i]
		split(key, f, OFS)
		compare(key, f)
		print_row(f, key)
		if (csv)
			print key, value[key, "series"], value[key, "base"], value[key, "each"],
				value[key, "once"] >csv
	}
	print met + 0 " of " goals + 0 " goals met" \
		(forbidden ? "; " forbidden " are below what a record and a lock take alone" : "")
}
