# shellcheck shell=bash
# What assembling and saving the series share. Sourced after lib.sh, never run.
#
# A patch in patches/ is a mail as git makes it, but for the files that arrive with it. Those are
# named below the "---" and stand in this repository as they are after the last patch; what later
# patches do to them is in those patches, as a diff like any other. So the file as it arrived is the
# one here with the later diffs taken back.

PATCHES=$ROOT/patches

# new_files PATCH: the files that arrive with it
new_files() { sed -n '1,/^diff --git/s/^New file: //p' "$1"; }

# deleted_files PATCH: the files of Linux that leave with it, without their text
deleted_files() { sed -n '1,/^diff --git/s/^Deleted file: //p' "$1"; }

# all_patches: the patches in series order
all_patches() { find "$PATCHES" -maxdepth 1 -name '[0-9]*.patch' | sort; }

# in_linux ARGS...: git in the assembled tree. Debian's .gitignore there hides new files: add -f.
in_linux() { git -C "$LINUX" "$@"; }

# assembled_state: what says whether the tree is the one that was assembled or saved last
assembled_state() { echo "$LINUX/.git/dma-buf-mapping-assembled"; }

# inputs_hash BASE: of all that goes into the assembled tree
inputs_hash() {
	{
		echo "$1"
		sed -n '1,5p' "$1/Makefile"
		all_patches | while read -r patch; do
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
