#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is private stays so: neither what the source sends (recorded outside TLS, on a unix socket)
# nor what the monitor can see of the guest's memory holds a private page's canary, on both hosts,
# before and after the move. The same search finds the shared pages' canary, so it can fail.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	secret=5ec7e75ec7e7000102030405060708090a0b0c0d0e0f10115ec7e75ec7e7aabb
	public=0b11c0b11c1112131415161718191a1b1c1d1e1f20210b11c0b11caabbccddee
	append="private=4M shared=512K dirty=4M/s pace=5ms canary=$secret shared-canary=$public"
}
teardown() { case_teardown; }

# Any 8 bytes of it would be too much already.
holds_part() { # FILE HEX
	holds "$1" "${2:0:16}" || holds "$1" "${2:16:16}" || holds "$1" "${2:48:16}"
}

assert_view() { # NAME: of its shared face
	"$SEVMIG" qmp "$1" stop
	"$SEVMIG" qmp "$1" x-debug-dump-shared "path=$dir/$1.mem"
	[ -s "$dir/$1.mem" ]
	! holds_part "$dir/$1.mem" "$secret" || fail "$1's monitor sees the private canary"
	holds "$dir/$1.mem" "$public" || fail "$1's monitor does not see the shared canary"
	"$SEVMIG" qmp "$1" cont
}

@test "private canaries are neither on the wire nor in the monitor's view; shared ones are" {
	guest_start src plat-a a
	target_start dst "unix:$dir/b"
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" "record=$dir/wire" &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
	wait_line "$dir/src.con" '^tick 20$'
	wait_line "$dir/src.con" 'verify ok'
	assert_view src
	"$SEVMIG" migrate src "unix:$dir/a"
	wait_line "$dir/dst.con" 'verify ok'
	! holds_part "$dir/wire" "$secret" || fail "the private canary went over the wire"
	holds "$dir/wire" "$public" || fail "the shared canary did not go over the wire"
	[ "$(stat -c %s "$dir/wire")" -gt 4000000 ]
	assert_view dst
	assert_no_gap "$dir/src.con" "$dir/dst.con"
}

@test "over TLS neither kind of canary is readable on the wire" {
	guest_start src plat-a a
	target_start dst tls://127.0.0.1:0
	"$SEVMIG_TAP" tcp "${uri##*:}" "$dir/tap" "record=$dir/wire" &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
	wait_line "$dir/src.con" '^tick 20$'
	"$SEVMIG" migrate src "tls://127.0.0.1:$(sed -n 's/^port //p' "$dir/tap")"
	assert_ticking "$dir/dst.con"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
	[ "$(stat -c %s "$dir/wire")" -gt 4000000 ]
	! holds_part "$dir/wire" "$secret" || fail "the private canary is readable"
	! holds_part "$dir/wire" "$public" || fail "the shared canary is readable"
}
