# shellcheck shell=bash
# Reads harness/vm/machines/: a file there is all that there is of a machine. Sourced after lib.sh.
#
# A file sets what differs from the values below, and may begin with 'like NAME' to go on from another.
# shellcheck disable=SC2034  # what a machine is made of is for those who load it

MACHINES=$ROOT/harness/vm/machines

# load_machine NAME
load_machine() {
	machine=$1
	monitor=qemu			# or uml
	qemu='qemu-system-x86_64'
	image=arch/x86/boot/bzImage	# in the folder that the kernel is built in
	accel=				# KVM if it works here, else TCG
	board=q35,kernel-irqchip=split
	cpu=max
	memory=2G
	processors=2
	console=ttyS0
	config=every			# the file of harness/config of which the kernel has to have all, if any
	iommu=intel-iommu,intremap=on
	kind=				# the name of what runs in all machines of a kind
	suites=				# of KUnit, if it is of the kind route
	words=				# of the kernel's command line
	options=()			# what else QEMU is told
	declare -gA addresses=()
	read_machine "$1"
}

read_machine() {
	[[ -f $MACHINES/$1 ]] ||
		die "no machine $1; there are: $(cd "$MACHINES" && echo *)"
	# shellcheck disable=SC1090
	. "$MACHINES/$1"
}

# What a file says of QEMU's command line: device ARGUMENT, object ARGUMENT
device() { options+=(-device "$1"); }
object() { options+=(-object "$1"); }

# address DEVICE BDF: where harness/test/programs finds the @DEVICE that it names
address() { addresses[$1]=$2; }

# like NAME: all that the file of another machine says, but its kind
like() {
	read_machine "$1"
	kind=
}

# machines_of KIND: all of a kind, or the one of that name
machines_of() {
	local file name
	for file in "$MACHINES"/*; do
		name=${file##*/}
		load_machine "$name"
		[[ $1 != "$name" && $1 != "$kind" ]] || echo "$name"
	done
}

# lacks_of FOLDER: what the kernel that is built there does not have of what the machine asks for
lacks_of() {
	[[ -z $config ]] || grep -vxFf "$1/.config" <(grep '^CONFIG_' "$ROOT/harness/config/$config.config") || true
}

# kvm_works KERNEL INITRAMFS: does KVM boot Linux here? A device file says little, and a QEMU that starts
# says no more where virtual machines have a KVM that is not for all guests. The answer stays until the
# host boots again.
kvm_works() {
	local answer
	answer=$BUILD/kvm-boots-$(sha256sum < <(cat /proc/sys/kernel/random/boot_id; "$qemu" --version) | cut -c1-16)
	[[ -w /dev/kvm ]] || return
	if [[ ! -f $answer ]]; then
		say "trying whether KVM boots a kernel here, at most a minute"
		build_command kvm "$1" "$2" run=nothing
		if timeout --foreground -k 5 60 "${command[@]}" </dev/null 2>/dev/null | grep -qa '^qemu-run: commands 0'; then
			echo yes >"$answer"
		else
			echo no >"$answer"
			say "there is a KVM, but no kernel boots in it: doing without"
		fi
	fi
	[[ $(<"$answer") == yes ]]
}

# qemu_command KERNEL INITRAMFS WORD...: sets command
qemu_command() {
	command -v "$qemu" >/dev/null || die "no $qemu; install the Debian package that has it"
	[[ -n ${accel:=${ACCEL:-}} ]] || { accel=tcg; kvm_works "$1" "$2" && accel=kvm; }
	build_command "$accel" "$@"
}

# build_command ACCEL KERNEL INITRAMFS WORD...
build_command() {
	local accel=$1
	shift
	command=("$qemu" -accel "$accel" -M "$board" -cpu "$cpu" -m "$memory" -smp "$processors")
	[[ -z $iommu ]] || command+=(-device "$iommu")
	# On a busy host the timer may look dead to the guest, which takes it for a reason to panic
	command+=("${options[@]}" -display none -no-reboot -nodefaults -serial stdio -kernel "$1" -initrd "$2"
		-append "console=$console panic=-1 no_timer_check kunit.enable=0 log_buf_len=8M loglevel=2 $words ${*:3}")
}

# uml_command KERNEL INITRAMFS WORD...: sets command
uml_command() {
	local more
	read -ra more <<<"$words"
	command=("$1" "mem=$memory" "initrd=$2" 'con0=fd:0,fd:1' con=null
		panic=-1 log_buf_len=8M loglevel=2 "${more[@]}" "${@:3}")
}
