#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How guests end, by themselves or by what the host does not give them, and what is said of it.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	mem=32M
	append="private=8M shared=1M dirty=4M/s pace=5ms"
}
teardown() { case_teardown; }

# typed_start: a guest whose console input is fd 9.
typed_start() { # [OPTION...]
	mkfifo "$dir/typed"
	exec 9<>"$dir/typed"
	"$SEVMIG" run --name typed --memory "$mem" --kernel "$SEVMIG_TESTGUEST" --console stdio \
		--platform "soft:$keys/plat-a" --tls-dir "$keys/pki/a" --append "$append" "$@" \
		<"$dir/typed" >"$dir/typed.con" 2>"$dir/typed.log" &
	last_pid=$!
	pids+=("$last_pid")
	wait_line "$dir/typed.con" '^tick 3$'
}

passes_began() { # NAME
	"$SEVMIG" status "$1" | grep -q 'phase passes'
}

@test "a guest that powers off while it is moved was not moved, and does not go on" {
	local src dst move rc=0
	typed_start
	src=$last_pid
	target_start dst tls://127.0.0.1:0
	dst=$last_pid
	"$SEVMIG" migrate typed "$uri" --max-bandwidth 4M >"$dir/move.out" 2>"$dir/move.err" &
	move=$!
	wait_for 10 passes_began dst || fail "no pass began" "$dir/move.err"
	echo poweroff >&9
	wait "$move" || rc=$?
	[ "$rc" -eq 3 ] || fail "exit code $rc, not 3" "$dir/move.err"
	has_line "$dir/move.err" 'was not moved: the guest ended: power-off port' ||
		fail "not what happened" "$dir/move.err"
	! has_line "$dir/move.out" cancelled || fail "nobody cancelled" "$dir/move.out"
	wait "$src"
	rc=0
	wait "$dst" || rc=$?
	[ "$rc" -eq 1 ] || fail "the target's exit code is $rc"
}

@test "a limit on file sizes is an error and not a signal" {
	local rc=0
	(
		ulimit -f 1024
		exec "$SEVMIG" run --name small --memory "$mem" --kernel "$SEVMIG_TESTGUEST" \
			--platform "soft:$keys/plat-a" --append "$append" 2>"$dir/small.err"
	) || rc=$?
	[ "$rc" -eq 1 ] || fail "exit code $rc, not 1" "$dir/small.err"
	has_line "$dir/small.err" 'guest memory: File too large'
}

# typed_run OPTION...: what the run of a guest that is told to reset says and ends with.
typed_reset() {
	mkfifo "$dir/keys"
	exec 9<>"$dir/keys"
	"$SEVMIG" run --name reset --memory "$mem" --kernel "$SEVMIG_TESTGUEST" --console stdio \
		--platform "soft:$keys/plat-a" --append "$append" "$@" \
		<"$dir/keys" >"$dir/reset.con" 2>"$dir/reset.log" &
	pids+=("$!")
	last_pid=$!
	wait_line "$dir/reset.con" '^tick 1$'
	echo reset >&9
	rc=0
	wait "$last_pid" || rc=$?
}

@test "an SEV-ES guest that resets itself has ended, with an exit code of its own" {
	local rc
	typed_reset --policy nodbg,es
	[ "$rc" -eq 5 ] || fail "exit code $rc, not 5" "$dir/reset.log"
	has_line "$dir/reset.log" 'keyboard controller: an SEV-ES guest cannot be reset, it has to be started anew' ||
		fail "no reason" "$dir/reset.log"
}

@test "a guest without SEV-ES that resets itself has ended well" {
	local rc
	typed_reset
	[ "$rc" -eq 0 ] || fail "exit code $rc, not 0" "$dir/reset.log"
}

# events: what the control socket of "typed" tells, until it ends
events() {
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new(shift) or die;
		$| = 1;
		$s->autoflush(1);
		print $s qq({"execute":"qmp_capabilities"}\n);
		print while <$s>' "$SEVMIG_RUNTIME_DIR/typed.sock" >"$dir/events" &
	pids+=("$!")
	wait_line "$dir/events" '"return"'
}

measurement_of() { "$SEVMIG" qmp "$1" query-sev-launch-measure | jq -r .data; }
shared_of() { "$SEVMIG" qmp "$1" x-query-shared | jq -c .frames; }
began_twice() { [ "$(grep -c '^tick 3.\?$' "$dir/typed.con")" -ge 2 ]; }

# target_typed OPTION...: a target whose console input is fd 7
target_typed() {
	mkfifo "$dir/there"
	exec 7<>"$dir/there"
	"$SEVMIG" run --name dst --memory "$mem" --console stdio --platform "soft:$keys/plat-b" \
		--incoming "unix:$dir/b" --on-reset restart "$@" \
		<"$dir/there" >"$dir/dst.con" 2>"$dir/dst.log" &
	last_pid=$!
	pids+=("$last_pid")
	wait_line "$dir/dst.log" 'listening on '
}

@test "a guest that resets ends, and says so" {
	local guest rc=0
	typed_start
	guest=$last_pid
	events
	echo reset >&9
	wait "$guest" || rc=$?
	[ "$rc" -eq 0 ] || fail "exit code $rc"
	has_line "$dir/typed.log" 'the guest reset' || fail "no end" "$dir/typed.log"
	has_line "$dir/events" '"SHUTDOWN".*"guest-reset"' || fail "no event" "$dir/events"
}

@test "a guest that resets is launched anew where that was asked for, and can be moved" {
	local guest was
	typed_start --on-reset restart
	guest=$last_pid
	events
	was=$(measurement_of typed)
	echo reset >&9
	wait_line "$dir/events" '"RESET".*"guest-reset"'
	! has_line "$dir/events" '"SHUTDOWN"' || fail "it did not shut down" "$dir/events"
	[ "$(measurement_of typed)" != "$was" ] # another launch: its nonce is new
	wait_for 20 began_twice || fail "no second beginning" "$dir/typed.con"
	[ "$(state_of typed)" = running ]
	target_start dst tls://127.0.0.1:0
	"$SEVMIG" migrate typed "$uri"
	wait "$guest"
	assert_ticking "$dir/dst.con"
}

@test "list and consent are gone after a reset, also on the host it was moved to" {
	append="private=1M shared=64K dirty=0 pace=5ms"
	typed_start
	target_typed --kernel "$SEVMIG_TESTGUEST" --append "private=1M shared=0 pool=0 flips=0 dirty=0 pace=5ms msr=0"
	"$SEVMIG" migrate typed "unix:$dir/b"
	assert_ticking "$dir/dst.con"
	"$SEVMIG" status dst | grep -qE '^guest +says +yes'
	[ "$(shared_of dst)" != '[]' ]
	echo reset >&7
	wait_line "$dir/dst.con" 'migration control not written'
	[ "$(shared_of dst)" = '[]' ] || fail "$(shared_of dst)"
	"$SEVMIG" status dst | grep -qE '^guest +says +no: it has not enabled'
}

@test "a guest that came by a migration is not launched anew without its kernel" {
	local rc=0 guest
	typed_start
	target_typed
	guest=$last_pid
	"$SEVMIG" migrate typed "unix:$dir/b"
	assert_ticking "$dir/dst.con"
	echo reset >&7
	wait "$guest" || rc=$?
	[ "$rc" -eq 0 ] || fail "exit code $rc"
	has_line "$dir/dst.log" 'dst was reset and cannot be launched here: no --kernel was given' ||
		fail "no reason" "$dir/dst.log"
}
