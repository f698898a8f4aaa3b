#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Guests that begin in the firmware: measured, verified by it, and moved like others.

load lib

: "${SEVMIG_FIRMWARE:=${SEVMIG%/*}/guest/firmware/sevmig-firmware.bin}"

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	mem=32M
	append="private=1M shared=256K dirty=100K/s pace=5ms"
}
teardown() { case_teardown; }

@test "a guest boots through the firmware, which says what it verified" {
	guest_start src plat-a a --firmware "$SEVMIG_FIRMWARE"
	wait_line "$dir/src.con" '^tick 5$' 30
	grep -q '^firmware: kernel verified' "$dir/src.con"
	grep -q '^firmware: initial RAM disk verified' "$dir/src.con"
	grep -q '^firmware: command line verified' "$dir/src.con"
	grep -q '^firmware: sevmig .*, live migration offered' "$dir/src.con"
}

@test "the firmware that comes with sevmig is found by its name" {
	guest_start src plat-a a --firmware default
	wait_line "$dir/src.con" '^firmware: kernel verified' 30
}

@test "an initial RAM disk is verified and handed on" {
	head -c 3000 /dev/urandom >"$dir/initrd"
	guest_start src plat-a a --firmware "$SEVMIG_FIRMWARE" --initrd "$dir/initrd"
	wait_line "$dir/src.con" '^tick 5$' 30
}

@test "a guest that was booted so moves there and back" {
	guest_start src plat-a a --firmware "$SEVMIG_FIRMWARE"
	wait_line "$dir/src.con" '^tick 5$' 30
	target_start dst "unix:$dir/b" plat-b --firmware "$SEVMIG_FIRMWARE"
	"$SEVMIG" migrate src "unix:$dir/b" || fail "there: exit code $?"
	assert_ticking "$dir/dst.con"
	target_start back "unix:$dir/c" plat-a --firmware "$SEVMIG_FIRMWARE"
	"$SEVMIG" migrate dst "unix:$dir/c" || fail "back: exit code $?"
	assert_ticking "$dir/back.con"
	assert_no_gap "$dir/src.con" "$dir/dst.con" "$dir/back.con"
}

@test "a target without room for the firmware refuses the guest, which goes on" {
	guest_start src plat-a a --firmware "$SEVMIG_FIRMWARE"
	wait_line "$dir/src.con" '^tick 5$' 30
	target_start dst "unix:$dir/b"
	run "$SEVMIG" migrate src "unix:$dir/b"
	[ "$status" -ne 0 ]
	[[ $output == *"RAM ranges"* ]] || fail "no reason: $output"
	assert_ticking "$dir/src.con"
}

@test "a file that is no firmware is refused before anything runs" {
	head -c 5000 /dev/zero >"$dir/odd"
	run "$SEVMIG" run --name odd --memory 32M --kernel "$SEVMIG_TESTGUEST" \
		--platform "soft:$keys/plat-a" --firmware "$dir/odd"
	[ "$status" -eq 1 ]
	[[ $output == *"firmware of 5000 bytes: must be whole pages"* ]] || fail "$output"
}

@test "an SEV-ES guest's second processor starts by the firmware's jump table" {
	guest_start src plat-a a --firmware "$SEVMIG_FIRMWARE" --vcpus 2 --policy nodbg,es
	wait_line "$dir/src.con" '^testguest: 2 processors, 1 by the AP jump table' 40
	wait_line "$dir/src.con" '^cpu 1 tick 5$' 30
}
