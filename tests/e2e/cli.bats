#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The program as its user meets it: help, wrong usage, exit codes, what each command prints.

load lib

setup_file() { shared_setup; }
setup() {
	case_setup
	mem=16M
	append="private=512K shared=64K dirty=100K/s pace=5ms"
}
teardown() { case_teardown; }

# usage_error PATTERN ARGUMENT...: exit code 2, nothing on stdout, the reason on stderr.
usage_error() {
	local pattern=$1 rc=0
	shift
	"$SEVMIG" "$@" >"$dir/out" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 2 ] || fail "exit code $rc of: $*" "$dir/err"
	[ ! -s "$dir/out" ] || fail "output in spite of wrong usage: $*" "$dir/out"
	grep -qE -- "$pattern" "$dir/err" || fail "no '$pattern': $*" "$dir/err"
}

# failure PATTERN ARGUMENT...: exit code 1; --json gives one document with the reason.
failure() {
	local pattern=$1 rc=0
	shift
	"$SEVMIG" "$@" --json >"$dir/out" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 1 ] || fail "exit code $rc of: $*" "$dir/err"
	grep -qE -- "$pattern" "$dir/err" || fail "no '$pattern': $*" "$dir/err"
	jq -er .error "$dir/out" | grep -qE -- "$pattern"
}

@test "every command has help and lists its options" {
	local command n=0
	while read -r command; do
		# shellcheck disable=SC2086 # a command is one word or two
		"$SEVMIG" $command --help >"$dir/help"
		grep -q "^Usage: sevmig $command " "$dir/help"
		# shellcheck disable=SC2086
		"$SEVMIG" $command --list-options >"$dir/options"
		grep -qx -- --json "$dir/options"
		grep -qx -- --help "$dir/options"
		"$SEVMIG" --help | grep -q "^  $command "
		n=$((n + 1))
	done < <("$SEVMIG" --list-commands)
	[ "$n" -ge 14 ]
	"$SEVMIG" --version | grep -qE '^sevmig [0-9]+\.[0-9]+\.[0-9]+$'
}

@test "wrong usage names what is wrong and ends with 2" {
	usage_error '^Usage: '
	usage_error 'fly: no such command' fly
	usage_error '--fly: no such option' --fly
	usage_error 'platform: needs one of these words' platform
	usage_error 'platform: needs one of these words' platform paint
	usage_error 'sevmig run: --memory 12Q: not a size \(examples: 512M, 2G\)' run --memory 12Q
	usage_error '--name and --platform must be given' run
	usage_error '--kernel or --incoming' run --name n --platform soft:x
	usage_error 'minimum API' run --name n --platform soft:x --kernel k --min-api new
	usage_error 'belong together' run --name n --platform soft:x --kernel k --dh f
	usage_error 'both want stdout' run --name n --platform soft:x --kernel k --console stdio --json
	usage_error 'arguments missing: NAME URI' migrate n
	usage_error 'one argument too many: x' migrate n u x
	usage_error '-f: options are long' list -f
	usage_error '--json takes no value' list --json=yes
	usage_error 'not one of kvm, lab' demo --place moon
	usage_error 'not a version' platform init "$dir/p" --api 1.2
	usage_error '2048 or 4096' platform init "$dir/p" --root-bits 1024
	usage_error 'name one platform' platform status
	usage_error 'name one platform' platform status "$dir" --platform kernel
	usage_error 'would run twice' adopt n
	usage_error 'x: not KEY=VALUE' qmp n stop x
}

@test "failures end with 1, their reason on stderr and in the JSON" {
	failure 'no guest named nobody is running here' status nobody
	failure 'no guest named nobody is running here' stop nobody
	failure 'no guest named nobody is running here' migrate nobody unix:/x
	failure 'no guest named nobody is running here' migrate-cancel nobody
	failure 'no guest named nobody is running here' adopt nobody --source-is-dead
	failure 'no guest named nobody is running here' qmp nobody stop
	failure "not a guest's name" status ../nobody
	failure "$dir/none" platform status "$dir/none"
	failure 'neither soft:DIR nor kernel' platform status --platform warm
	failure "$dir/none" run --name n --platform "soft:$dir/none" --kernel k
	failure "$dir/none" run --name n --platform "soft:$keys/plat-a" --kernel "$dir/none"
	failure 'File exists|exists' pki init "$keys/pki"
	failure 'File exists|exists' platform init "$keys/plat-a"
}

@test "with no guests there is an empty list, and with no runtime directory a reason" {
	[ "$("$SEVMIG" list --json | jq -c .)" = '{"guests":[]}' ]
	[ "$("$SEVMIG" list | wc -l)" -eq 1 ]
	rmdir "$SEVMIG_RUNTIME_DIR"
	[ "$("$SEVMIG" list --json | jq -c .)" = '{"guests":[]}' ]
}

@test "a software platform shows what it was made as" {
	"$SEVMIG" platform status "$keys/plat-a" --json >"$dir/a"
	"$SEVMIG" platform status --platform "soft:$keys/plat-b" --json >"$dir/b"
	jq -e '.owner == "self" and .guests == 0 and (."platform-id" | test("^[0-9a-f]{64}$"))' "$dir/a"
	[ "$(jq -r '."platform-id"' "$dir/a")" != "$(jq -r '."platform-id"' "$dir/b")" ]
	"$SEVMIG" platform init "$dir/old" --api 1.49.3 --json >"$dir/old.json"
	"$SEVMIG" platform status "$dir/old" --json >"$dir/old.status"
	[ "$(jq -r .version "$dir/old.status")" = 1.49.3 ]
	[ "$(jq -r '."platform-id"' "$dir/old.json")" = "$(jq -r '."platform-id"' "$dir/old.status")" ]
	[ "$(stat -c %a "$dir/old")" = 700 ]
	[ -z "$(find "$dir/old" -type f ! -perm 600)" ]
}

@test "exported certificates have AMD's sizes and join to the chains" {
	"$SEVMIG" platform export "$keys/plat-a" --out "$dir/x" >"$dir/names"
	[ "$(grep -c "^$dir/x/" "$dir/names")" -eq 9 ]
	[ "$(stat -c %s "$dir/x/pdh.cert")" -eq 2084 ]
	cat "$dir"/x/{pek,oca,cek}.cert | cmp - "$dir/x/cert_chain"
	cat "$dir"/x/{ask,ark}.cert | cmp - "$dir/x/ask_ark"
	"$SEVMIG" platform export "$keys/plat-b" --out "$dir/y"
	cmp "$dir/x/ark.cert" "$dir/y/ark.cert" # one root
	if cmp -s "$dir/x/cek.cert" "$dir/y/cek.cert"; then
		fail "two platforms have one CEK"
	fi
}

@test "the small authority issues certificates for the names asked for" {
	"$SEVMIG" pki issue "$keys/pki" many --san one.example,two.example --san three.example --local
	openssl x509 -in "$keys/pki/many/cert.pem" -noout -ext subjectAltName >"$dir/san"
	local name
	for name in one two three; do
		grep -q "DNS:$name.example" "$dir/san"
	done
	grep -q 'IP Address:127.0.0.1' "$dir/san"
	openssl verify -CAfile "$keys/pki/ca-cert.pem" "$keys/pki/many/cert.pem"
	[ "$(stat -c %a "$keys/pki/many/key.pem")" = 600 ]
}

@test "doctor says yes, partly or no to each thing, and what to do about it" {
	"$SEVMIG" doctor --json >"$dir/doctor"
	jq -e '.findings | length >= 8 and all(.answer | IN("yes", "partly", "no"))' "$dir/doctor"
	jq -e '.findings | all(.answer == "yes" or .advice != "")' "$dir/doctor"
	jq -e '.findings[] | select(.what == "software platform") | .answer == "yes"' "$dir/doctor"
	jq -e '.demo | IN("kvm", "lab")' "$dir/doctor"
}

@test "a running guest is listed, shown, stopped and gone" {
	need_kvm
	guest_start one plat-a a --policy nodbg,noks --min-api 0.24
	wait_line "$dir/one.con" '^tick 3$'
	[ "$(stat -c %a "$SEVMIG_RUNTIME_DIR/one.sock")" = 600 ]
	[ "$("$SEVMIG" list --json | jq -r '.guests[].name')" = one ]
	"$SEVMIG" list | grep -qE '^one +running +16M'
	"$SEVMIG" status one | grep -qE '^policy +0x18000003 nodbg noks api>=0.24$'
	"$SEVMIG" status one --json | jq -e '.status == "running" and .sev.state == "running" and
		.sev.policy == 402653187 and .migration == {}'
	"$SEVMIG" qmp one query-sev-launch-measure | jq -e '.data | length == 64'
	"$SEVMIG" stop one
	wait "$last_pid"
	[ "$(state_of one)" != running ]
	[ ! -e "$SEVMIG_RUNTIME_DIR/one.sock" ]
}

@test "a second guest of the same name is refused, a dead one's socket is replaced" {
	need_kvm
	guest_start twin plat-a a
	local first=$last_pid
	wait_line "$dir/twin.con" '^tick 3$'
	failure 'a guest named twin is running already' run --name twin --memory 16M \
		--platform "soft:$keys/plat-a" --kernel "$SEVMIG_TESTGUEST"
	[ "$(state_of twin)" = running ]
	kill -KILL "$first"
	wait "$first" || true
	[ -S "$SEVMIG_RUNTIME_DIR/twin.sock" ]
	[ "$("$SEVMIG" list --json | jq -c .guests)" = '[]' ]
	rm "$dir/twin.con"
	guest_start twin plat-a a
	wait_line "$dir/twin.con" '^tick 3$'
	[ "$(state_of twin)" = running ]
}

@test "a guest that powers off ends its process with 0, and a signal does" {
	need_kvm
	guest_start off plat-a a
	wait_line "$dir/off.con" '^tick 3$'
	"$SEVMIG" qmp off x-console-write $'data=poweroff\n'
	wait "$last_pid"
	has_line "$dir/off.log" 'the guest powered off'
	guest_start sig plat-a a
	wait_line "$dir/sig.con" '^tick 3$'
	kill -TERM "$last_pid"
	wait "$last_pid"
}

@test "stop and cont do, and the debug digest needs a stopped guest" {
	need_kvm
	guest_start p plat-a a
	wait_line "$dir/p.con" '^tick 3$'
	failure 'running: stop it first' qmp p x-debug-digest
	"$SEVMIG" qmp p stop
	[ "$(state_of p)" = paused ]
	local one two
	one=$("$SEVMIG" qmp p x-debug-digest | jq -r .digest)
	two=$("$SEVMIG" qmp p x-debug-digest | jq -r .digest)
	[[ $one =~ ^[0-9a-f]{64}$ ]]
	[ "$one" = "$two" ]
	"$SEVMIG" qmp p cont
	assert_ticking "$dir/p.con"
}

@test "a migration is reported by both sides, and both processes end well" {
	need_kvm
	guest_start src plat-a a
	local source_pid=$last_pid
	target_start dst tls://127.0.0.1:0
	local target_pid=$last_pid
	[ "$(state_of dst)" = inmigrate ]
	"$SEVMIG" status dst --json | jq -er '."x-sevmig".uri' | grep -qx "$uri"
	failure 'has not arrived' qmp dst cont
	failure 'no held guest' adopt dst --source-is-dead
	wait_line "$dir/src.con" '^tick 20$'
	"$SEVMIG" migrate src "$uri" --progress --json >"$dir/move" 2>"$dir/progress"
	jq -e '.status == "completed" and ."x-sevmig".outcome == "moved" and
		."x-sevmig"."private-pages" > 0 and ."x-sevmig"."shared-pages" > 0 and
		."x-sevmig"."never-written-pages" > 0 and .ram.transferred > 0 and
		."total-time" >= .downtime' "$dir/move"
	grep -qE 'pass [0-9]+, [0-9]+ pages left' "$dir/progress"
	wait "$source_pid"
	has_line "$dir/src.log" "moved to $uri"
	assert_ticking "$dir/dst.con"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
	"$SEVMIG" status dst --json | jq -e '.status == "running" and .migration.status == "completed"'
	failure 'no migration is under way' migrate-cancel dst
	"$SEVMIG" stop dst
	wait "$target_pid"
}

@test "a guest that arrived can go on to a third place, and back" {
	need_kvm
	guest_start src plat-a a
	target_start mid tls://127.0.0.1:0
	wait_line "$dir/src.con" '^tick 5$'
	"$SEVMIG" migrate src "$uri"
	target_start src tls://127.0.0.1:0 plat-a --console "$dir/back.con"
	assert_ticking "$dir/mid.con"
	"$SEVMIG" migrate mid "$uri"
	assert_ticking "$dir/back.con"
	assert_no_gap "$dir/src.con" "$dir/mid.con" "$dir/back.con"
}

@test "a cancelled migration leaves the guest, with exit code 3 and the reason" {
	need_kvm
	guest_start src plat-a a
	target_start dst tls://127.0.0.1:0
	wait_line "$dir/src.con" '^tick 5$'
	local rc=0 mover
	"$SEVMIG" migrate src "$uri" --max-bandwidth 64K 2>"$dir/err" >"$dir/out" &
	mover=$!
	wait_for 10 "$SEVMIG" migrate-cancel src
	wait "$mover" || rc=$?
	[ "$rc" -eq 3 ]
	grep -qi 'cancel' "$dir/err"
	[ "$("$SEVMIG" status src --json | jq -r .migration.status)" = cancelled ]
	assert_ticking "$dir/src.con"
}

@test "a second migration while one is under way is refused, and so is stopping the guest" {
	need_kvm
	guest_start src plat-a a
	target_start dst tls://127.0.0.1:0
	wait_line "$dir/src.con" '^tick 5$'
	"$SEVMIG" qmp src migrate "uri=$uri" x-max-bandwidth=65536
	failure 'under way' qmp src stop
	local rc=0
	"$SEVMIG" migrate src "$uri" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 3 ]
	grep -q 'under way already' "$dir/err"
	"$SEVMIG" migrate-cancel src
	assert_ticking "$dir/src.con"
}

@test "the demo on KVM holds what it promises" {
	need_kvm
	export TMPDIR=$dir
	"$SEVMIG" demo --place kvm --json >"$dir/demo"
	jq -e '.ok and .missing == 0 and .repeated == 0 and .verified and .source_silent and .ended and
		.ticks_all > .ticks_source' "$dir/demo"
	[ -z "$(find "$dir" -name 'sevmig-*')" ] # nothing is left behind
}
