#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A guest under policy ES: its processors' registers are the Secure Processor's, at the launch, at
# each exit and while it is moved.

load lib

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

# RUN OPTION... of the guests here.
boot=(--policy "nodbg,es")

# Which of the 64 registers with canaries are in FILE, as "processor register".
canaries_in() {
	local cpu reg
	for cpu in 0 1 2 3; do
		for ((reg = 0; reg < 16; reg++)); do
			! holds "$1" "$(printf '4%x%02x' "$reg" "$cpu")$canary_hex" || echo "$cpu $reg"
		done
	done
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

# What the source sends is recorded in $dir/wire, what it sees of the guest in $dir/*.mem.
move_with_canaries() { # RUN OPTION...
	append=$spin guest_start src plat-a a --vcpus 4 "$@"
	target_start dst "unix:$dir/b" plat-b --vcpus 4 "$@"
	tapped "record=$dir/wire"
	wait_line "$dir/src.con" '^cpu 3 tick 1$'
	"$SEVMIG" qmp src stop
	"$SEVMIG" qmp src x-debug-dump-shared "path=$dir/src.mem"
	"$SEVMIG" qmp src cont
	"$SEVMIG" migrate src "unix:$dir/a"
	wait_line "$dir/dst.con" '^cpu 3 tick'
	"$SEVMIG" qmp dst stop
	"$SEVMIG" qmp dst x-debug-dump-shared "path=$dir/dst.mem"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
}

@test "without ES the registers at the stop are readable in what the source sends" {
	move_with_canaries --policy nodbg
	assert_registers_readable "$dir/wire"
	[ -z "$(canaries_in "$dir/src.mem")" ]
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

# Type number of PROTOCOL.md.
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
