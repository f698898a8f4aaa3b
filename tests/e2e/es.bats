#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A guest under policy ES: its processors' registers are the Secure Processor's, at the launch, at
# each exit and while it is moved.

load lib

: "${SEVMIG_FIRMWARE:=${SEVMIG%/*}/guest/firmware/sevmig-firmware.bin}"

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	# 48 bits that occur nowhere else; each register has two bytes more: processor and register.
	canary=$((0x5ec7e75ec7e7))
	canary_hex=e7c75ee7c75e
	spin="idle pace=200ms regcanary=$canary"
}
teardown() { case_teardown; }

# RUN OPTION... of the guests here. Secondary processors start where firmware says.
boot=(--policy "nodbg,es")
smp=(--vcpus 4 --firmware "$SEVMIG_FIRMWARE")

# Which of the 64 registers with canaries are in FILE, as "processor 4register".
canaries_in() {
	local pattern='[\x40-\x4f][\x00-\x03]\xe7\xc7\x5e\xe7\xc7\x5e'
	{ LC_ALL=C grep -aoP -- "$pattern" "$1" || true; } | od -An -v -tx1 -w9 |
		awk '{ print $2, $1 }' | sort -u
}

# Of one processor at least all 16: another may have been in its timer's handler at the stop.
assert_registers_readable() { # FILE
	canaries_in "$1" | cut -d' ' -f1 | sort | uniq -c | grep -qE '^ *16 ' ||
		fail "no processor's registers are in $1: $(canaries_in "$1")"
}

tapped() { # TAP OPTION...
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" "$@" &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
}

# dump NAME: stop it, and what its monitor sees into $dir/NAME.mem. With firmware, which ends at 4 GiB,
# there are holes, which tar leaves out.
dump() {
	"$SEVMIG" qmp "$1" stop
	"$SEVMIG" qmp "$1" x-debug-dump-shared "path=$dir/$1.all"
	tar -C "$dir" -cSf "$dir/$1.mem" "$1.all"
}

# What the source sends is recorded in $dir/wire, what it sees of the guest in $dir/*.mem.
move_with_canaries() { # RUN OPTION...
	append=$spin guest_start src plat-a a "${smp[@]}" "$@"
	target_start dst "unix:$dir/b" plat-b "${smp[@]}" "$@"
	tapped "record=$dir/wire"
	wait_line "$dir/src.con" '^cpu 3 tick 1$'
	dump src
	"$SEVMIG" qmp src cont
	"$SEVMIG" migrate src "unix:$dir/a"
	wait_line "$dir/dst.con" '^cpu 3 tick'
	dump dst
	assert_no_gap "$dir/src.con" "$dir/dst.con"
}

@test "without ES the registers at the stop are readable in what the source sends" {
	move_with_canaries --policy nodbg
	assert_registers_readable "$dir/wire"
	[ -z "$(canaries_in "$dir/src.mem")" ]
}

@test "under ES the registers at the stop are in nothing that leaves the guest" {
	move_with_canaries "${boot[@]}"
	[ "$(stat -c %s "$dir/wire")" -gt 100000 ]
	local f
	for f in "$dir/wire" "$dir/src.mem" "$dir/dst.mem"; do
		! holds "$f" "$canary_hex" || fail "$f holds registers: $(canaries_in "$f")"
	done
}

# The monitor neither sees nor answers what a guest does not say by its GHCB.
@test "a guest under ES boots, converts pages and verifies its memory" {
	guest_start g plat-a a "${boot[@]}"
	wait_line "$dir/g.con" '^testguest: SEV-ES, GHCB protocol 2$'
	wait_line "$dir/g.con" 'verify ok sweep 3'
	assert_ticking "$dir/g.con"
	assert_no_gap "$dir/g.con"
	! grep -aE 'CORRUPT|TRAP' "$dir/g.con" || fail "the guest noticed"
}

@test "four vCPUs under ES start by the jump table, and each does its share" {
	local k
	guest_start g plat-a a "${boot[@]}" "${smp[@]}"
	wait_line "$dir/g.con" '^testguest: 4 processors, 3 by the AP jump table$'
	wait_line "$dir/g.con" 'verify ok sweep 2'
	for k in 1 2 3; do
		wait_line "$dir/g.con" "^cpu $k tick 3\$"
		cpu_counts "$k" 2 "$dir/g.con"
	done
	assert_no_gap "$dir/g.con"
	! grep -aE 'CORRUPT|TRAP' "$dir/g.con" || fail "the guest noticed"
}

@test "four vCPUs under ES are moved under load, and all counters go on" {
	local k
	guest_start src plat-a a "${boot[@]}" "${smp[@]}"
	target_start dst tls://127.0.0.1:0 plat-b "${boot[@]}" "${smp[@]}"
	wait_line "$dir/src.con" 'verify ok sweep 1'
	"$SEVMIG" migrate src "$uri"
	wait_line "$dir/dst.con" 'verify ok'
	for k in 1 2 3; do
		wait_line "$dir/dst.con" "^cpu $k tick"
		cpu_counts "$k" 1 "$dir/src.con" "$dir/dst.con"
	done
	assert_no_gap "$dir/src.con" "$dir/dst.con"
	! grep -aE 'CORRUPT|TRAP' "$dir/src.con" "$dir/dst.con" || fail "the guest noticed"
}

# The message's type number in PROTOCOL.md.
VMSA=17

# move_refused PATTERN: the migration through the tap fails by that, and the source goes on.
move_refused() {
	local rc=0
	timeout 60 "$SEVMIG" migrate src "unix:$dir/a" >"$dir/move.out" 2>"$dir/move.err" || rc=$?
	has_line "$dir/tap" '^tamper' || fail "nothing was tampered with" "$dir/tap"
	[ "$rc" -eq 3 ] || fail "exit code $rc, not 3" "$dir/move.err" "$dir/tap"
	grep -qE -- "$1" "$dir/move.err" || fail "no '$1' in the error" "$dir/move.err"
	assert_ticking "$dir/src.con"
	[ "$(state_of src)" = running ] || fail "the source is $(state_of src)"
	[ "$(state_of dst)" != running ] || fail "two guests run"
}

# refused_when HOW PATTERN [RUN OPTION...]
refused_when() {
	local how=$1 pattern=$2
	shift 2
	guest_start src plat-a a "${boot[@]}" "$@"
	target_start dst "unix:$dir/b" plat-b "${boot[@]}" "$@"
	tapped "tamper=$VMSA:$how"
	wait_line "$dir/src.con" '^tick 3$'
	move_refused "$pattern"
}

@test "a flipped bit in a VMSA is refused, and the source goes on" {
	refused_when flip 'BAD_MEASUREMENT'
}

@test "a VMSA with another vCPU's number is refused, and the source goes on" {
	refused_when index 'vCPU 1 of 1'
}

@test "the VMSAs of two vCPUs that trade places are refused, and the source goes on" {
	refused_when swap 'digest' "${smp[@]}"
}

@test "a VMSA that was dropped is missed, and the source goes on" {
	refused_when drop 'digest|vCPU'
}

@test "a VMSA of an earlier attempt is refused, and the source goes on" {
	guest_start src plat-a a "${boot[@]}"
	target_start dst "unix:$dir/b" plat-b "${boot[@]}"
	tapped "tamper=$VMSA:replay"
	wait_line "$dir/src.con" '^tick 3$'
	move_refused 'the peer'
	target_start dst2 "unix:$dir/b" plat-b "${boot[@]}"
	move_refused 'BAD_MEASUREMENT'
	[ "$(grep -c '^tamper' "$dir/tap")" -eq 2 ]
}
