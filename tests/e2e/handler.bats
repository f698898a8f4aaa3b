#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Migrations by the guest's own handler: doc/HANDLER.md.

load lib
load handler

setup_file() {
	shared_setup
	handler_keys
}
setup() {
	need_kvm
	case_setup
	mem=48M
	append="private=4M shared=1M dirty=4M/s pace=5ms"
}
teardown() { case_teardown; }

path_of() { jq -r '."x-sevmig".path' "$1"; }
why_of() { jq -r '."x-sevmig"."path-reason"' "$1"; }

# digest_of NAME: of the guest's memory, as its log has it.
digest_of() {
	grep -oE 'digest [a-z ]+: [0-9a-f]{64}' "$dir/$1.log" | grep -oE '[0-9a-f]{64}'
}

# refused PATTERN OPTION...: the guest stays, with that reason.
refused() {
	local pattern=$1 rc=0
	shift
	"$SEVMIG" migrate src "$uri" --json "$@" >"$dir/move" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 3 ] || fail "exit code $rc" "$dir/err"
	has_line "$dir/err" "$pattern" || fail "no '$pattern'" "$dir/err"
	assert_ticking "$dir/src.con"
}

@test "a guest moves by its handler, and every page arrives as it was" {
	handler_source src plat-a 1 --debug-digest
	wait_line "$dir/src.con" '^tick 20$'
	handler_target dst "unix:$dir/b" plat-b 3 --debug-digest --handler-vcpus 2
	"$SEVMIG" migrate src "$uri" --json >"$dir/move" || fail "not moved" "$dir/move"
	[ "$(path_of "$dir/move")" = handler ]
	[[ $(why_of "$dir/move") == *'owner allows'* ]]
	wait_line "$dir/dst.con" '^verify ok sweep'
	assert_ticking "$dir/dst.con"
	[ -n "$(digest_of src)" ]
	[ "$(digest_of src)" = "$(digest_of dst)" ]
	assert_no_gap "$dir/src.con" "$dir/dst.con"
}

# mirrors NAME: how many KVM VMs this process has beside the guest's own.
mirrors() {
	local n=-1 f
	for f in /proc/"$1"/fd/*; do
		[[ $(readlink "$f") != anon_inode:kvm-vm ]] || n=$((n + 1))
	done
	echo "$n"
}

@test "outside a migration the handler costs its memory, which is said, and nothing else" {
	handler_source src plat-a 1
	local pid=$last_pid
	wait_line "$dir/src.con" '^tick 5$'
	has_line "$dir/src.log" '8192 KiB of memory reserved for the migration handler'
	[ "$(mirrors "$pid")" -eq 0 ]
	handler_target dst "unix:$dir/b" plat-b 1
	refused 'no migration handler that may receive' --path handler
	[ "$(mirrors "$pid")" -eq 0 ]
}

@test "no secret of the guest crosses the network or reaches the monitor" {
	local canary=5ec2e7c0ffee5ec2e7c0ffee00112233
	append="private=4M shared=1M dirty=4M/s pace=5ms canary=$canary"
	handler_source src plat-a 1
	wait_line "$dir/src.con" '^tick 20$'
	handler_target dst "unix:$dir/b" plat-b 3
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" "record=$dir/wire" &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
	"$SEVMIG" migrate src "unix:$dir/a" --path handler >"$dir/move" || fail "not moved" "$dir/move"
	wait_line "$dir/dst.con" '^verify ok sweep'
	[ -s "$dir/wire" ]
	if holds "$dir/wire" "$canary"; then
		fail "the canary was on the wire"
	fi
}

@test "auto says why it took the Secure Processors" {
	guest_start src plat-a a
	wait_line "$dir/src.con" '^tick 5$'
	target_start dst "unix:$dir/b"
	"$SEVMIG" migrate src "$uri" --json >"$dir/move"
	[ "$(path_of "$dir/move")" = psp ]
	[ "$(why_of "$dir/move")" = 'the guest has no migration handler' ]
}

@test "a handler that may not send does not, and the guest goes on" {
	handler_source src plat-a 2
	wait_line "$dir/src.con" '^tick 5$'
	handler_target dst "unix:$dir/b" plat-b 3
	refused 'POLICY: the guest.s owner does not allow it' --path handler
}

@test "a target that may not receive is told of to its operator" {
	handler_source src plat-a 1
	wait_line "$dir/src.con" '^tick 5$'
	handler_target dst "unix:$dir/b" plat-b 1
	refused 'no migration handler that may receive' --path handler
	has_line "$dir/dst.log" 'POLICY: the guest.s owner does not allow it'
}

@test "another owner's target takes nothing, and the guest goes on" {
	handler_source src plat-a 1
	wait_line "$dir/src.con" '^tick 5$'
	KEY_BYTE=08 handler_target dst "unix:$dir/b" plat-b 3
	refused 'TAG: changed, or of another page, session or guest' --path handler
	has_line "$dir/dst.log" 'the guest did not arrive'
}

@test "a page changed on its way ends it, and the guest goes on and moves another time" {
	handler_source src plat-a 1
	wait_line "$dir/src.con" '^tick 5$'
	handler_target dst "unix:$dir/b" plat-b 3
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" tamper=4:flip &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
	uri=unix:$dir/a
	refused 'TAG: changed, or of another page, session or guest' --path handler
	handler_target dst2 "unix:$dir/c" plat-b 3
	"$SEVMIG" migrate src "$uri" --path handler >"$dir/move" || fail "not moved" "$dir/move"
	wait_line "$dir/dst2.con" '^verify ok sweep'
	assert_no_gap "$dir/src.con" "$dir/dst2.con"
}

@test "without the handlers' proofs nobody gives the guest up" {
	handler_source src plat-a 1
	wait_line "$dir/src.con" '^tick 5$'
	handler_target dst "unix:$dir/b" plat-b 3
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" tamper=19:drop &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
	uri=unix:$dir/a
	refused '.' --path handler
}
