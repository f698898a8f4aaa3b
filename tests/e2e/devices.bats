#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Options that name devices, who may use a disk, and what a target with other devices says. The
# small guest here drives none of them; lab/devices has one that does.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	mem=16M
	append="private=512K shared=64K dirty=0 pace=5ms"
	truncate -s 1M "$dir/disk"
}
teardown() { case_teardown; }

# wrong PATTERN OPTION...: a guest with that does not start, and says why
wrong() {
	local pattern=$1 rc=0
	shift
	guest_start bad plat-a a "$@"
	wait "$last_pid" || rc=$?
	[ "$rc" -eq 1 ] || fail "exit code $rc, not 1 ($*)" "$dir/bad.log"
	has_line "$dir/bad.log" "$pattern" || fail "no '$pattern' ($*)" "$dir/bad.log"
}

ready_source() {
	guest_start src plat-a a "$@"
	wait_line "$dir/src.con" '^tick 3$'
}

@test "options that name no device say what is wrong with them" {
	wrong "--disk $dir/none: No such file" --disk "$dir/none"
	wrong 'only ",readonly" may follow' --disk "$dir/disk,ro"
	truncate -s 1000 "$dir/odd"
	wrong 'disk 1: 1000 bytes, not a number of sectors' --disk "$dir/odd"
	wrong 'neither user nor tap' --net bridge
	wrong 'what is "hostfwd=tcp:nowhere:1-:2"' --net user,hostfwd=tcp:nowhere:1-:2
	wrong 'what is "mac=01:' --net user,mac=01:00:00:00:00:00
}

@test "a disk has one writer, or readers" {
	ready_source --disk "$dir/disk"
	wrong 'disk 1: another process holds its lock' --disk "$dir/disk"
	wrong 'disk 1: another process holds its lock' --disk "$dir/disk,readonly"
	"$SEVMIG" stop src
	wait "$last_pid" || :
	guest_start one plat-a a --disk "$dir/disk,readonly"
	guest_start two plat-a a --disk "$dir/disk,readonly"
	wait_line "$dir/one.con" '^tick 3$'
	wait_line "$dir/two.con" '^tick 3$'
}

@test "a guest moves with its devices, and the disk's lock with it" {
	local devices=(--disk "$dir/disk" --net user --rng --console-device virtio)
	ready_source "${devices[@]}"
	source_pid=$last_pid
	target_start dst "unix:$dir/b" plat-b "${devices[@]}"
	"$SEVMIG" migrate src "$uri"
	wait "$source_pid"
	assert_ticking "$dir/dst.con"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
	wrong 'disk 1: another process holds its lock' --disk "$dir/disk"
}

@test "a target with other devices names them, and the guest stays with its disk" {
	local rc=0
	ready_source --disk "$dir/disk" --rng
	truncate -s 2M "$dir/larger"
	target_start dst "unix:$dir/b" plat-b --disk "$dir/larger"
	"$SEVMIG" migrate src "$uri" 2>"$dir/move.err" || rc=$?
	[ "$rc" -eq 3 ] || fail "exit code $rc, not 3" "$dir/move.err"
	has_line "$dir/move.err" 'virtio-blk, 2048 sectors' || fail "the disk is not named" "$dir/move.err"
	has_line "$dir/move.err" 'virtio-rng' || fail "the other device is not named" "$dir/move.err"
	assert_ticking "$dir/src.con"
	wrong 'disk 1: another process holds its lock' --disk "$dir/disk"
}
