# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For sourcing, after tools/lib.sh: lab hosts. All that belongs to them is in $LAB_DIR, and goes with
# the script that made it.
#
#	lab_begin			prepare, make $LAB_DIR
#	LAB_QEMU=(OPTION...)		more of QEMU's options for every host
#	overlay_program FILE [AS]	put a program and its libraries into the hosts to be started
#	host_start NAME IP
#	host_ready NAME SECONDS
#	host_clock NAME			set its clock to this machine's
#	host_run NAME SECONDS COMMAND	a line of shell; its output, its exit code (124: no answer)
#	file_wait FILE PATTERN SECONDS	until a line of a growing file matches; prints the line

LAB_ROOT_CPIO=
LAB_QEMU=()
# The emulated processors have this machine's time stamp counter, and on a busy one a host measures
# it wrong, so that no guest may go there; nor does its timer pass Linux's test then.
LAB_TSC_KHZ=$(awk -F: '/^cpu MHz/ { printf "%d", $2 * 1000; exit }' /proc/cpuinfo)
declare -A LAB_PID=() LAB_IN=() LAB_OUT=()

lab_end() {
	local name

	for name in "${!LAB_PID[@]}"; do
		kill -KILL "${LAB_PID[$name]}" 2>/dev/null || :
		wait "${LAB_PID[$name]}" 2>/dev/null || :
	done
	rm -rf "$LAB_DIR"
}

lab_begin() {
	LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/sevmig-lab.XXXXXX")
	trap lab_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir "$LAB_DIR/overlay"
	LAB_BOOT=$("$TOP/lab/prepare")
}

# The libraries that a program names, one a line, the loader among them.
program_libraries() {
	ldd "$1" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'
}

# overlay_program FILE [AS]
overlay_program() {
	local at=${2:-/bin/${1##*/}} lib

	install -D -m 755 "$1" "$LAB_DIR/overlay$at"
	while read -r lib; do
		[ -e "$LAB_DIR/overlay$lib" ] || install -D -m 755 "$lib" "$LAB_DIR/overlay$lib"
	done < <(program_libraries "$1")
}

# What all hosts boot from: the cached archive, and after it the one with the programs.
lab_root_cpio() {
	[ -z "$LAB_ROOT_CPIO" ] || return 0
	LAB_ROOT_CPIO=$LAB_DIR/root.cpio
	cp "$LAB_BOOT/host.cpio" "$LAB_ROOT_CPIO"
	(cd "$LAB_DIR/overlay" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
		cpio --quiet --null -o -H newc -R 0:0) >>"$LAB_ROOT_CPIO"
}

# host_start NAME IP. With LAB_CPUS, LAB_MEMORY; LAB_DISK: a raw image that both hosts have as /dev/vda, for
# one of them at a time (this machine's page cache is what they share); LAB_GUEST_NET: a second network
# between the two, eth1. The two hosts of a lab are joined by a pair of datagram sockets; a host that
# is alone sends into nothing.
host_start() {
	local name=$1 ip=$2 dir=$LAB_DIR/$1 peer=b in out more=()

	[ "$name" = a ] || peer=a
	[ -z "${LAB_DISK:-}" ] || more+=(
		-drive "file=$LAB_DISK,format=raw,if=none,id=disk,cache=unsafe,file.locking=off"
		-device "virtio-blk-pci,drive=disk,share-rw=on")
	[ -z "${LAB_GUEST_NET:-}" ] || more+=(
		-netdev "dgram,id=net2,local.type=unix,local.path=$LAB_DIR/$name.net2,remote.type=unix,remote.path=$LAB_DIR/$peer.net2"
		-device "virtio-net-pci,netdev=net2,mac=52:54:00:00:01:0${ip##*.}")
	lab_root_cpio
	mkdir "$dir"
	mkfifo "$dir/control.in" "$dir/control.out"
	: >"$dir/guest.log"
	setpriv --pdeathsig KILL qemu-system-x86_64 -name "lab-$name" -accel tcg,thread=multi \
		-cpu EPYC,+svm,+npt,phys-bits=48 -smp "${LAB_CPUS:-1}" -m "${LAB_MEMORY:-1024}" \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$LAB_BOOT/vmlinuz" -initrd "$LAB_ROOT_CPIO" \
		-append "console=ttyS0 panic=-1 quiet mitigations=off no_timer_check tsc_early_khz=$LAB_TSC_KHZ lab=$name ip=$ip" \
		-serial "file:$dir/host.log" -device virtio-serial-pci \
		-chardev "pipe,id=control,path=$dir/control" \
		-device virtserialport,chardev=control,nr=1 \
		-chardev "file,id=guest,path=$dir/guest.log" \
		-device virtserialport,chardev=guest,nr=2 \
		-netdev "dgram,id=net,local.type=unix,local.path=$LAB_DIR/$name.net,remote.type=unix,remote.path=$LAB_DIR/$peer.net" \
		-device "virtio-net-pci,netdev=net,host_mtu=65000,mac=52:54:00:00:00:0${ip##*.}" \
		"${more[@]}" "${LAB_QEMU[@]}" </dev/null >"$dir/qemu.log" 2>&1 &
	LAB_PID[$name]=$!
	exec {in}<>"$dir/control.in" {out}<>"$dir/control.out"
	LAB_IN[$name]=$in LAB_OUT[$name]=$out
}

# One line from a host's control port, into $REPLY; fails after SECONDS or at the host's end.
host_line() {
	local until=$((SECONDS + $2)) part=''

	while ! read -r -t 1 REPLY <&"${LAB_OUT[$1]}"; do
		part+=$REPLY # a line that came in two pieces
		kill -0 "${LAB_PID[$1]}" 2>/dev/null || return 1
		[ $SECONDS -lt $until ] || return 1
	done
	REPLY=$part$REPLY
}

host_ready() {
	until host_line "$1" "$2" && [ "$REPLY" = ready ]; do
		tail -n 20 "$LAB_DIR/$1/host.log" "$LAB_DIR/$1/qemu.log" >&2
		die "host $1 does not come up"
	done
}

host_run() {
	printf '%s\n' "$3" >&"${LAB_IN[$1]}"
	while host_line "$1" "$2"; do
		case $REPLY in
		'|'*) printf '%s\n' "${REPLY#|}" ;;
		=*) return "${REPLY#=}" ;;
		esac
	done
	return 124
}

# host_clock NAME: as far as a command travels; a second begins there when it begins here. A host's own
# clock came from its RTC, which knows whole seconds.
host_clock() {
	local now=$((EPOCHSECONDS + 2))

	while [ "$EPOCHSECONDS" -lt "$now" ]; do
		read -rt 0.002 <> <(:) || :
	done
	host_run "$1" 10 "date -s @$now" >/dev/null
}

# file_wait HOST FILE PATTERN SECONDS: no longer than the host lives
file_wait() {
	local fd pid found=0

	exec {fd}< <(exec tail -n +1 -s 0.1 --pid="${LAB_PID[$1]}" -f "$2")
	pid=$!
	timeout "$4" grep -a -m 1 -E -e "$3" <&"$fd" || found=$?
	kill "$pid" 2>/dev/null || :
	exec {fd}<&-
	return $found
}
