#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Host, firmware and guest must all say yes before a guest is moved; status shows who does not, and
# why; what they said goes with the guest.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	mem=16M
	append="private=1M shared=64K dirty=0 pace=5ms"
}
teardown() { case_teardown; }

says() { # NAME PARTY: "yes", or the reason why not
	"$SEVMIG" status "$1" --json |
		jq -r --arg who "$2" '."x-sevmig".negotiation[$who] | if .ready then "yes" else .reason end'
}

# declared LOG: what the hypercalls in it add up to, as x-query-shared shows it.
declared() {
	sed -nE 's/.*MAP_GPA_RANGE frames (0x[0-9a-f]+)-(0x[0-9a-f]+) (shared|private)$/\1 \2 \3/p' "$1" |
		"$BATS_TEST_DIRNAME/shared_list"
}

ready_source() {
	guest_start src plat-a a "$@"
	wait_line "$dir/src.con" '^tick 3$'
}

# refused PATTERN OPTION...: src stays, with this in the error, and goes on.
refused() {
	local pattern=$1 rc=0
	shift
	timeout 60 "$SEVMIG" migrate src "$@" 2>"$dir/move.err" >"$dir/move.out" || rc=$?
	[ "$rc" -eq 3 ] || fail "exit code $rc, not 3" "$dir/move.err"
	grep -qE -- "$pattern" "$dir/move.err" || fail "no '$pattern' in the error" "$dir/move.err"
	assert_ticking "$dir/src.con"
}

@test "three times yes, and the list of shared pages with it, go from A to B to C" {
	ready_source --debug hypercall
	local who list
	"$SEVMIG" qmp src stop >"$dir/stop.out"
	list=$("$SEVMIG" qmp src x-query-shared)
	[ "$list" = "$(declared "$dir/src.log")" ] || fail "the list is $list"
	[ "$(jq '[.frames[] | .[1] - .[0]] | add' <<<"$list")" -ge 16 ] # of shared=64K
	for who in host firmware guest; do
		[ "$(says src $who)" = yes ] || fail "$who: $(says src $who)"
	done
	[ "$("$SEVMIG" status src | grep -cE '^(host|firmware|guest) +says +yes$')" -eq 3 ]
	target_start b "unix:$dir/b.mig"
	"$SEVMIG" migrate src "$uri"
	[ "$("$SEVMIG" qmp b x-query-shared)" = "$list" ] || fail "another list arrived"
	"$SEVMIG" qmp b cont >"$dir/cont.out"
	wait_line "$dir/b.con" '^tick '
	[ "$(says b guest)" = yes ]
	target_start c "unix:$dir/c.mig" plat-a
	"$SEVMIG" migrate b "$uri"
	assert_ticking "$dir/c.con"
	[ "$(says c guest) $(says c firmware) $(says c host)" = "yes yes yes" ]
	assert_no_gap "$dir/src.con" "$dir/b.con" "$dir/c.con"
}

@test "a host that does not offer it: the guest sees no feature bit, and is not moved" {
	ready_source --no-migration
	[[ $(says src host) == *"turned off"*--no-migration* ]] || fail "$(says src host)"
	# The bit was off for the guest, so it said nothing.
	wait_line "$dir/src.con" 'migration control not written'
	[[ $(says src guest) == *"MSR 0x4b564d08 is 0"* ]] || fail "$(says src guest)"
	[ "$(says src firmware)" = yes ]
	target_start dst "unix:$dir/b"
	refused 'host: migration was turned off.*; guest: it has not enabled' "unix:$dir/b"
	refused 'moved: host: migration was turned off' "unix:$dir/b" --force guest,firmware
	refused 'moved: guest: it has not enabled' "unix:$dir/b" --force host
}

@test "a guest that says nothing is shown, refused, and moved when its no is named" {
	append="$append msr=0"
	ready_source
	[ "$(says src host) $(says src firmware)" = "yes yes" ]
	"$SEVMIG" status src | grep -qE '^guest +says +no: it has not enabled migration'
	target_start dst "unix:$dir/b"
	refused 'guest: it has not enabled migration \(MSR 0x4b564d08 is 0\)' "unix:$dir/b"
	"$SEVMIG" migrate src "unix:$dir/b" --force guest
	assert_ticking "$dir/dst.con"
	[[ $(says dst guest) == "it has not enabled"* ]]
}

@test "a party that does not exist cannot be overridden" {
	ready_source
	refused "'everybody' is not host, firmware or guest" "unix:$dir/b" --force guest,everybody
}

@test "a dry run asks, moves nothing, and leaves both sides as they were" {
	ready_source
	target_start dst "unix:$dir/b"
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
	"$SEVMIG" migrate src "unix:$dir/a" --dry-run >"$dir/ask.out"
	[ "$(<"$dir/ask.out")" = "src could be moved to unix:$dir/a" ] || fail "$(<"$dir/ask.out")"
	# HELLO, START without a session, and nothing else went there.
	[ "$(grep -oE '[<>] type [0-9]+' "$dir/tap" | tr '\n' ' ')" = "> type 1 < type 2 > type 3 < type 18 " ] ||
		fail "more went out" "$dir/tap"
	[ "$("$SEVMIG" status src --json | jq -r .sev.state)" = running ]
	[ "$("$SEVMIG" status src --json | jq -r '.migration.status, .migration."x-sevmig".outcome' | xargs)" = "none answered" ]
	assert_ticking "$dir/src.con"
	[ "$(state_of dst)" = inmigrate ]
	"$SEVMIG" migrate src "unix:$dir/b"
	assert_ticking "$dir/dst.con"
}

@test "a dry run lists each difference, and so does a refused move" {
	ready_source
	mem=24M target_start dst "unix:$dir/b" plat-b --vcpus 2 --cbit 36
	local rc=0
	"$SEVMIG" migrate src "unix:$dir/b" --dry-run >"$dir/ask.out" || rc=$?
	[ "$rc" -eq 3 ] || fail "exit code $rc" "$dir/ask.out"
	local expected='^src cannot be moved to |^  1 vCPUs there, 2 here$|^  RAM range 0 is |^  C-bit is [0-9]+ there, 36 here$'
	[ "$(grep -cE "$expected" "$dir/ask.out")" -eq 4 ] || fail "not all of them" "$dir/ask.out"
	refused 'this VM cannot take it: 1 vCPUs there, 2 here; RAM range 0' "unix:$dir/b"
	grep -qE '^  C-bit is [0-9]+ there, 36 here$' "$dir/move.err" || fail "no list" "$dir/move.err"
	# The target takes one that fits still.
	[ "$(state_of dst)" = inmigrate ]
}

# silent_firmware FILE: the firmware, whose table says nothing of migration (its data are 6 bytes
# before the entry's GUID).
silent_firmware() {
	local at
	cp "${SEVMIG%/*}/guest/firmware/sevmig-firmware.bin" "$1"
	chmod u+w "$1"
	at=$(LC_ALL=C grep -obUaP '\xe7\x5f\x7f\xf6\x7a\xbc\x71\x42\x8b\x3c\xd0\x2b\x1a\xda\xfd\x9d' "$1" | cut -d: -f1)
	[ -n "$at" ]
	printf '\0' | dd of="$1" bs=1 seek=$((at - 6)) conv=notrunc status=none
}

@test "firmware that takes part says yes, and does so after the move" {
	mem=32M
	ready_source --firmware default
	grep -q '^firmware: sevmig .*, live migration offered' "$dir/src.con"
	[ "$(says src firmware) $(says src guest)" = "yes yes" ]
	target_start dst "unix:$dir/b" plat-b --firmware default
	"$SEVMIG" migrate src "$uri"
	[ "$(says dst firmware)" = yes ]
}

@test "firmware that says nothing is a no, here and on the next host" {
	mem=32M
	silent_firmware "$dir/silent.bin"
	ready_source --firmware "$dir/silent.bin"
	grep -q '^firmware: sevmig .*, live migration not offered' "$dir/src.con"
	[[ $(says src firmware) == *"says nothing of migration"* ]] || fail "$(says src firmware)"
	target_start other "unix:$dir/a" plat-b --firmware default
	refused 'moved: firmware: the image says nothing of migration' "unix:$dir/a"
	refused 'firmware image is [0-9a-f]{8}\.\.\. there, [0-9a-f]{8}\.\.\. here' "unix:$dir/a" --force firmware
	target_start dst "unix:$dir/b" plat-b --firmware "$dir/silent.bin"
	"$SEVMIG" migrate src "$uri" --force firmware
	[[ $(says dst firmware) == *"says nothing of migration"* ]] || fail "$(says dst firmware)"
}
