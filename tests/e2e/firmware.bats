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

@test "an SEV-ES guest's second processor starts by the firmware's jump table, and moves" {
	local es=(--firmware "$SEVMIG_FIRMWARE" --vcpus 2 --policy "nodbg,es")
	guest_start src plat-a a "${es[@]}"
	wait_line "$dir/src.con" '^testguest: 2 processors, 1 by the AP jump table' 40
	wait_line "$dir/src.con" '^cpu 1 tick 5$' 30
	target_start dst "unix:$dir/b" plat-b "${es[@]}"
	"$SEVMIG" migrate src "unix:$dir/b" || fail "exit code $?"
	assert_ticking "$dir/dst.con"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
	cpu_counts 1 5 "$dir/src.con" "$dir/dst.con"
}

# held OPTION...: a launch with the owner's session that waits for the owner.
held() {
	"$SEVMIG" platform export "$keys/plat-a" --out "$dir/certs"
	"$SEVMIG" owner session --chain "$dir/certs/pdh.cert" --chain "$dir/certs/cert_chain" \
		--chain "$dir/certs/ask_ark" --root "$dir/certs/ark.cert" --policy nodbg --out "$dir/vm"
	guest_start src plat-a a --dh "$dir/vm_godh.cert" --session "$dir/vm_launch_blob.bin" --hold "$@"
	wait_line "$dir/src.log" 'src is measured and waits for its owner'
}

# secret_make: from what is measured now, as arguments for the control socket.
secret_make() {
	head -c 40 /dev/urandom | base64 -w 0 >"$dir/pass"
	"$SEVMIG" owner secret --secret "736869e5-84f0-4973-92ec-06879ce3da0b:$dir/pass" \
		--tik "$dir/vm_tik.bin" --tek "$dir/vm_tek.bin" --base64 --out "$dir/vm" \
		--measurement "$("$SEVMIG" qmp src query-sev-launch-measure | jq -r .data)"
}

@test "a held launch takes the owner's secret where the firmware wants it, and then runs" {
	held --firmware "$SEVMIG_FIRMWARE"
	[ "$(state_of src)" = prelaunch ]
	"$SEVMIG" qmp src query-sev | jq -e '.state == "launch-secret"'
	secret_make
	"$SEVMIG" qmp src sev-inject-launch-secret "packet-header=$(cat "$dir/vm_secret_header.b64")" \
		"secret=$(cat "$dir/vm_secret.b64")"
	# A packet that somebody has changed, and one after the launch has ended.
	run "$SEVMIG" qmp src sev-inject-launch-secret \
		"packet-header=$(cat "$dir/vm_secret_header.b64")" "secret=$(head -c 64 /dev/zero | base64 -w 0)"
	[ "$status" -eq 1 ]
	[ ! -s "$dir/src.con" ] || fail "the guest runs" "$dir/src.con"
	"$SEVMIG" qmp src cont
	wait_line "$dir/src.con" '^tick 2$' 30
	run "$SEVMIG" qmp src sev-inject-launch-secret \
		"packet-header=$(cat "$dir/vm_secret_header.b64")" "secret=$(cat "$dir/vm_secret.b64")"
	[ "$status" -eq 1 ]
	[[ $output == *"no launch waits for a secret"* ]] || fail "$output"
}

@test "a held launch without firmware needs the secret's address, and can be given up" {
	held
	secret_make
	run "$SEVMIG" qmp src sev-inject-launch-secret "packet-header=$(cat "$dir/vm_secret_header.b64")" \
		"secret=$(cat "$dir/vm_secret.b64")"
	[ "$status" -eq 1 ]
	[[ $output == *"gpa is needed"* ]] || fail "$output"
	"$SEVMIG" qmp src sev-inject-launch-secret "packet-header=$(cat "$dir/vm_secret_header.b64")" \
		"secret=$(cat "$dir/vm_secret.b64")" gpa=1048576
	kill -TERM "$last_pid"
	wait_for 20 has_line "$dir/src.log" 'stopped before the launch was ended'
	wait "$last_pid" && fail "it ended well"
	pids=()
}
