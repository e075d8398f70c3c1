# shellcheck shell=bash
# What the scripts of the series share. Sourced after lib.sh, never run.
#
# patches/ has a folder for each series, in mailing order: its cover letter, its changelog and its
# patches. In build/linux a series begins with its border, an empty commit: its message is the cover
# letter, with a trailer 'Series: 3-pal' that names the folder. All commits up to the next border are
# the patches of the series.
#
# A patch in patches/ is a mail as git makes it, but for the files that arrive with it. Those are
# named below the "---" and stand in this repository as they are after the last patch; what later
# patches do to them is in those patches, as a diff like any other. So the file as it arrived is the
# one here with the later diffs taken back.

PATCHES=$ROOT/patches

# What read_series finds: the names in order; by name, the commit that begins it, the commits that are
# its patches, and the last of them all
declare -a series=()
# shellcheck disable=SC2034
declare -A border=() patches=() end=()

# new_files PATCH: the files that arrive with it
new_files() { sed -n '1,/^diff --git/s/^New file: //p' "$1"; }

# deleted_files PATCH: the files of Linux that leave with it, without their text
deleted_files() { sed -n '1,/^diff --git/s/^Deleted file: //p' "$1"; }

# series_folders PATCHES: the names of the folders in mailing order
series_folders() { find "$1" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*-*' -printf '%f\n' | sort -V; }

# all_patches PATCHES: the patches of all folders in series order
all_patches() {
	local folder
	series_folders "$1" | while read -r folder; do
		find "$1/$folder" -maxdepth 1 -name '[0-9]*.patch' | sort
	done
}

# in_linux ARGS...: git in the assembled tree. Debian's .gitignore there hides new files: add -f.
in_linux() { git -C "$LINUX" "$@"; }

# read_series: looks which series build/linux holds, and fails where a commit belongs to none
read_series() {
	local log commit tree parents name last last_tree number last_number=0
	local -a outside=()
	series=() border=() patches=() end=()
	log=$(in_linux log --reverse --topo-order \
		--format='%H %T %P|%(trailers:key=Series,valueonly,separator=%x2C)' base..main)
	last=$(in_linux rev-parse base)
	last_tree=$(in_linux rev-parse 'base^{tree}')
	while IFS='| ' read -r commit tree parents name; do
		[[ -n $commit ]] || continue
		[[ $parents == "$last" ]] ||
			die "the commits of build/linux are not one line from base: 'git rebase base' makes them one"
		if [[ -n $name ]]; then
			[[ $name =~ ^([1-9][0-9]*)-[a-z0-9-]+$ ]] ||
				die "'Series: $name' in $(describe "$commit") has to be a number and a name, such as 3-pal"
			[[ $tree == "$last_tree" ]] ||
				die "the border $(describe "$commit") has changes in it: make them a commit of their own"
			number=${BASH_REMATCH[1]}
			((number > last_number)) ||
				die "the border of $name stands behind that of ${series[-1]}: give it a higher number, or move it"
			series+=("$name")
			# shellcheck disable=SC2034
			border[$name]=$commit patches[$name]='' last_number=$number
		elif [[ $tree == "$last_tree" ]]; then
			die "$(describe "$commit") is empty: drop it, or name a series in a trailer 'Series: 3-pal'"
		elif ((${#series[@]})); then
			patches[${series[-1]}]+="$commit "
		else
			outside+=("$(describe "$commit")")
		fi
		((${#series[@]})) && end[${series[-1]}]=$commit
		last=$commit last_tree=$tree
	done <<<"$log"
	((${#outside[@]} == 0)) || die "these commits of build/linux are in no series, as they stand before the first border:
$(printf '  %s\n' "${outside[@]}")
In 'git rebase -i base' move them below the line of a border, an empty commit with the trailer 'Series: 3-pal'"
	((${#series[@]})) || die "build/linux has no commits: see 'make linux'"
}

describe() { in_linux log -1 --format='%h ("%s")' "$1"; }

# letter COMMIT TRAILERS: the cover letter of a border, without trailers such as 'Series|Needs'
letter() {
	in_linux log -1 --format=%B "$1" | awk -v trailers="^($2): " '
		{ line[NR] = $0; if (!/./) blank = NR; else { last = NR; paragraph = blank } }
		END {
			for (i = 1; i <= last; i++)
				if (i <= paragraph || line[i] !~ trailers) kept[++n] = line[i]
			while (kept[n] == "") n--
			for (i = 1; i <= n; i++) print kept[i]
		}'
}

# chosen_series: those that SERIES names in the environment, else all
chosen_series() {
	local name
	for name in ${SERIES:-"${series[@]}"}; do
		[[ -n ${border[$name]:-} ]] || die "there is no series $name; SERIES takes some of: ${series[*]}"
		echo "$name"
	done
}

# empty_worktree FOLDER: one of build/linux at the base that has no files. It has git am apply patches in
# no time: git takes the files that it needs out of the index.
empty_worktree() {
	in_linux worktree prune
	in_linux worktree add -q --no-checkout --detach "$1" base
	git -C "$1" read-tree base
}

# worktree_at FOLDER COMMIT: has a worktree of build/linux there, for good, and COMMIT in it
worktree_at() {
	if ! git -C "$1" checkout -q -f --detach "$2" 2>/dev/null; then
		rm -rf "$1"
		in_linux worktree prune
		in_linux worktree add -q --detach "$1" "$2"
	fi
}

# tag_series: has a tag at the end of each series that read_series has found, and at no other
tag_series() {
	local name
	in_linux tag -l '[0-9]*-*' | while read -r name; do
		[[ -n ${end[$name]:-} ]] || in_linux tag -d "$name" >/dev/null
	done
	for name in "${series[@]}"; do in_linux tag -f "$name" "${end[$name]}" >/dev/null; done
}

# assembled_state: what says whether the tree is the one that was assembled or saved last
assembled_state() { echo "$LINUX/.git/dma-buf-mapping-assembled"; }

# assembling: there while the tree is half made
assembling() { echo "$LINUX/.git/dma-buf-mapping-assembling"; }

# base_of_tree: the folder that the base in build/linux was copied from
base_of_tree() { cat "$LINUX/.git/dma-buf-mapping-base" 2>/dev/null; }

# inputs_hash BASE: of all that goes into the assembled tree
inputs_hash() {
	local folder
	{
		echo "$1"
		sed -n '1,5p' "$1/Makefile"
		series_folders "$PATCHES" | while read -r folder; do
			echo "$folder"
			cat "$PATCHES/$folder/cover-letter.txt" || true
		done
		all_patches "$PATCHES" | while read -r patch; do
			cat "$patch"
			new_files "$patch" | while read -r file; do cat "$ROOT/$file"; done
		done
	} | sha256sum | cut -d' ' -f1
}

# mark_assembled BASE: the tree and the repository say the same from here on
mark_assembled() {
	echo "$(inputs_hash "$1") $(in_linux rev-parse main)" >"$(assembled_state)"
}

# tree_has_work: is there something in the tree that is not in the repository?
tree_has_work() {
	local commit
	read -r _ commit <"$(assembled_state)" || return 1
	[[ $(in_linux rev-parse HEAD) != "$commit" || -n $(in_linux status --porcelain) ]]
}
