#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The guest owner's broker as a service, and guests that start with what it gives or do not start.

load lib

setup_file() {
	shared_setup
	"$SEVMIG" platform export "$SEVMIG_TESTS_KEYS/plat-a" --out "$SEVMIG_TESTS_KEYS/a"
	"$SEVMIG" pki issue "$SEVMIG_TESTS_KEYS/pki" owner --san 127.0.0.1
}
setup() {
	case_setup
	mem=16M
	append="private=512K shared=64K dirty=100K/s pace=5ms"
	digest=$("$SEVMIG" owner verify --sevmig-guest --kernel "$SEVMIG_TESTGUEST" --memory "$mem" \
		--cbit 38 --append "$append" --json | jq -r .digest)
	"$SEVMIG" owner guest --state "$dir/owner" --name web --policy nodbg,noks --digest "$digest" \
		--root "$keys/a/ark.cert"
}
teardown() { case_teardown; }

broker_start() {
	"$SEVMIG" owner broker --state "$dir/owner" --listen tls://127.0.0.1:0 \
		--tls-dir "$keys/pki/owner" 2>"$dir/broker.log" </dev/null &
	broker_pid=$!
	pids+=("$broker_pid")
	wait_line "$dir/broker.log" 'listening on '
	broker=$(grep -oE 'tls://[0-9.:]+' "$dir/broker.log" | head -n 1)
}

web_start() {
	guest_start web plat-a a --cbit 38 --policy nodbg,noks --broker "$broker"
}

decisions() { # PATTERN of request, guest, role, decision
	jq -r '[.request, .guest, .role, .decision] | join(" ")' "$dir/owner/audit.log" |
		grep -cE "^$1\$" || true
}

@test "a guest starts with the broker's session and key, and the log says so" {
	need_kvm
	broker_start
	web_start
	wait_line "$dir/web.log" 'broker has given this guest its key'
	wait_line "$dir/web.con" '^tick 3$'
	[ "$(decisions 'session web start granted')" -eq 1 ]
	[ "$(decisions 'secret web start granted')" -eq 1 ]
	[ "$(jq -r .platform "$dir/owner/audit.log" | sort -u)" = \
		"$("$SEVMIG" platform status "$keys/plat-a" --json | jq -r '."platform-id"')" ]
	jq -r .peer "$dir/owner/audit.log" | grep -q 'CN=a ' || fail "the log does not say who asked"
	kill -TERM "$broker_pid"
	wait "$broker_pid"
}

@test "a guest that was changed gets no key and does not start" {
	need_kvm
	local rc=0
	broker_start
	append="$append pace=6ms" web_start
	wait "$last_pid" || rc=$?
	[ "$rc" -eq 1 ]
	grep -q 'refused: .*no launch of this guest' "$dir/web.log" || fail "no reason" "$dir/web.log"
	[ ! -s "$dir/web.con" ] || fail "it ran" "$dir/web.con"
	[ "$(decisions 'secret web start refused')" -eq 1 ]
}

@test "a platform that the owner did not list gets nothing" {
	need_kvm
	local rc=0
	"$SEVMIG" owner guest --state "$dir/owner" --name web --policy nodbg,noks --digest "$digest" \
		--root "$keys/a/ark.cert" --platform-id "$(printf %064d 7)"
	broker_start
	web_start
	wait "$last_pid" || rc=$?
	[ "$rc" -eq 1 ]
	grep -q "refused: .*not on the owner's list" "$dir/web.log" || fail "no reason" "$dir/web.log"
	[ "$(decisions 'session web start refused')" -eq 1 ]
}

@test "a host whose certificate the owner's CA did not sign is not heard" {
	broker_start
	local rc=0
	"$SEVMIG" pki init "$dir/other"
	"$SEVMIG" pki issue "$dir/other" a --san 127.0.0.1
	"$SEVMIG" run --name web --memory "$mem" --kernel "$SEVMIG_TESTGUEST" --append "$append" \
		--platform "soft:$keys/plat-a" --policy nodbg,noks --broker "$broker" \
		--tls-dir "$dir/other/a" 2>"$dir/web.log" </dev/null || rc=$?
	[ "$rc" -eq 1 ]
	grep -qE 'certificate|alert|handshake' "$dir/web.log" || fail "no reason" "$dir/web.log"
	[ ! -e "$dir/owner/audit.log" ]
}

@test "a request in a file is answered on stdout" {
	local rc=0
	jq -n --arg chain "$(cat "$keys/a/pdh.cert" "$keys/a/cert_chain" "$keys/a/ask_ark" | base64 -w0)" \
		'{request: "session", guest: "web", role: "start", chain: $chain}' >"$dir/request"
	"$SEVMIG" owner broker --state "$dir/owner" --answer "$dir/request" >"$dir/answer"
	[ "$(jq -r .godh "$dir/answer" | base64 -d | wc -c)" -eq 2084 ]
	[ "$(jq -r .session "$dir/answer" | base64 -d | wc -c)" -eq 128 ]
	jq '.guest = "mail"' "$dir/request" |
		"$SEVMIG" owner broker --state "$dir/owner" --answer - >"$dir/answer" || rc=$?
	[ "$rc" -eq 1 ]
	[ "$(jq -r .error "$dir/answer")" = "no guest of this name" ]
}

@test "the folder's secrets are nobody else's to read" {
	[ "$(stat -c %a "$dir/owner")" = 700 ]
	chmod 755 "$dir/owner"
	local rc=0
	"$SEVMIG" owner broker --state "$dir/owner" --answer /dev/null 2>"$dir/err" || rc=$?
	[ "$rc" -eq 1 ]
	grep -q 'chmod 700' "$dir/err"
}
