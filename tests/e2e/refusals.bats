#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What must not happen is refused before SEND_START, with an error that names the rule, and the
# guest keeps running where it is.

load lib

setup_file() {
	shared_setup
	local k=$SEVMIG_TESTS_KEYS
	"$SEVMIG" platform init "$k/plat-alien"
	"$SEVMIG" platform init "$k/plat-old" --ca "$k/plat-a" --api 1.49.3
	"$SEVMIG" platform init "$k/plat-same-owner" --ca "$k/plat-a" --oca "$k/plat-a"
	"$SEVMIG" platform export "$k/plat-alien" --out "$k/alien"
	"$SEVMIG" pki issue "$k/pki" expired --san localhost --san 127.0.0.1 --days -1
	"$SEVMIG" pki init "$k/pki2"
	"$SEVMIG" pki issue "$k/pki2" stranger --san localhost --san 127.0.0.1
}
setup() {
	need_kvm
	case_setup
	mem=16M
	append="private=1M shared=64K dirty=0 pace=5ms"
}
teardown() { case_teardown; }

# refused PATTERN OPTION...: migrating src fails like that; nothing but HELLO went out; it ticks on.
refused() {
	local pattern=$1 rc=0
	shift
	timeout 60 "$SEVMIG" migrate src "$@" 2>"$dir/move.err" >"$dir/move.out" || rc=$?
	[ "$rc" -eq 3 ] || fail "exit code $rc, not 3" "$dir/move.err"
	grep -qE -- "$pattern" "$dir/move.err" || fail "no '$pattern' in the error" "$dir/move.err"
	if [ -f "$dir/tap" ]; then
		grep -q ' type 1 ' "$dir/tap" || fail "not even HELLO went out" "$dir/tap"
		! grep -q ' type 3 ' "$dir/tap" || fail "START was sent" "$dir/tap"
	fi
	[ "$(state_of src)" = running ] || fail "the source is $(state_of src)"
	assert_ticking "$dir/src.con"
}

tapped() { # the target's unix: path through a tap, so that what was sent is known
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
}

ready_source() { # [PLATFORM [OPTION...]]
	local plat=${1:-plat-a}
	[ $# -gt 0 ] && shift
	guest_start src "$plat" a "$@"
	wait_line "$dir/src.con" '^tick 3$'
}

@test "a target whose root is not the pinned one" {
	ready_source
	target_start dst "unix:$dir/b" plat-alien
	tapped
	refused 'root|ARK' "unix:$dir/a"
}

@test "a target under our own root when another one is pinned" {
	ready_source
	target_start dst "unix:$dir/b"
	tapped
	refused 'root|ARK' "unix:$dir/a" --root "$keys/alien/ark.cert"
}

@test "a target that is not on the allow list" {
	ready_source
	target_start dst "unix:$dir/b"
	tapped
	printf '# nobody we know\n%064d\n' 0 >"$dir/allow"
	refused 'allow list' "unix:$dir/a" --allow "$dir/allow"
}

@test "a target that is on the allow list is taken" {
	ready_source
	target_start dst "unix:$dir/b"
	"$SEVMIG" platform status "$keys/plat-b" --json | jq -r '."platform-id"' >"$dir/allow"
	grep -qE '^[0-9a-f]{64}$' "$dir/allow"
	"$SEVMIG" migrate src "$uri" --allow "$dir/allow"
	assert_ticking "$dir/dst.con"
}

@test "a guest whose policy says NOSEND" {
	ready_source plat-a --policy nodbg,nosend
	target_start dst "unix:$dir/b"
	tapped
	refused NOSEND "unix:$dir/a"
}

@test "a guest bound to its domain, and a target with another OCA" {
	ready_source plat-a --policy nodbg,domain
	target_start dst "unix:$dir/b"
	tapped
	refused 'DOMAIN|OCA' "unix:$dir/a"
}

@test "a guest bound to its domain goes to a target with the same OCA" {
	ready_source plat-a --policy nodbg,domain
	target_start dst "unix:$dir/b" plat-same-owner
	"$SEVMIG" migrate src "$uri"
	assert_ticking "$dir/dst.con"
}

@test "a target older than the policy's minimum API" {
	ready_source plat-a --min-api 1.50
	target_start dst "unix:$dir/b" plat-old
	tapped
	refused 'API' "unix:$dir/a"
}

@test "a target whose TLS certificate has expired" {
	ready_source
	target_start dst tls://127.0.0.1:0 plat-b --tls-dir "$keys/pki/expired"
	refused 'expired' "$uri"
}

@test "a target whose TLS certificate is from an unknown authority" {
	ready_source
	target_start dst tls://127.0.0.1:0 plat-b --tls-dir "$keys/pki2/stranger"
	refused 'certificate' "$uri"
}

@test "a source whose TLS certificate the target does not know" {
	ready_source plat-a --tls-dir "$keys/pki2/stranger"
	target_start dst tls://127.0.0.1:0
	refused 'certificate' "$uri"
}

@test "a source whose TLS certificate has expired; the target goes on listening" {
	ready_source plat-a --tls-dir "$keys/pki/expired"
	target_start dst tls://127.0.0.1:0
	refused 'expired' "$uri"
	"$SEVMIG" migrate src "$uri" --tls-dir "$keys/pki/a"
	assert_ticking "$dir/dst.con"
}

@test "a guest that has not said yes, unless forced" {
	append="$append msr=0"
	ready_source
	target_start dst "unix:$dir/b"
	refused '0x4b564d08' "unix:$dir/b"
	refused 'guest: it has not enabled' "unix:$dir/b" --force host,firmware
	"$SEVMIG" migrate src "unix:$dir/b" --force guest
	assert_ticking "$dir/dst.con"
}

@test "a target with other memory" {
	ready_source
	mem=24M
	target_start dst "unix:$dir/b"
	refused 'memory|RAM' "unix:$dir/b"
}

@test "nobody at the address" {
	ready_source
	refused 'unix:|No such file' "unix:$dir/nobody"
}

@test "limits of nothing, which are not taken for the defaults" {
	ready_source
	refused 'maximum downtime: must be from 1' "unix:$dir/nobody" --max-downtime 0
	refused 'maximum passes: must be from 1' "unix:$dir/nobody" --max-passes 0
	refused 'commit wait: must be from 1' "unix:$dir/nobody" --commit-wait 0
	! "$SEVMIG" qmp src migrate-set-parameters downtime-limit=0 2>"$dir/set.err" ||
		fail "a limit of 0 was set"
	has_line "$dir/set.err" 'downtime-limit: must be from 1'
}
