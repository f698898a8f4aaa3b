#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# QEMU as the distribution ships it, with its own SEV code, on a software platform; the guest owner's
# side is `sevmig owner`. The guest is launched and measured, and never run.

load lib
load shim
load measure

: "${OVMF:=/usr/share/OVMF/OVMF_CODE.fd}"
: "${SEVMIG_FIRMWARE:=${SEVMIG%/*}/guest/firmware/sevmig-firmware.bin}"

setup_file() {
	export SEVMIG_TESTS_KEYS="$BATS_FILE_TMPDIR/keys"
	mkdir "$SEVMIG_TESTS_KEYS"
	"$SEVMIG" platform init "$SEVMIG_TESTS_KEYS/plat"
	"$SEVMIG" platform export "$SEVMIG_TESTS_KEYS/plat" --out "$SEVMIG_TESTS_KEYS/certs"
}

setup() {
	need_kvm
	command -v qemu-system-x86_64 || skip "qemu-system-x86_64 is not installed"
	[ -f "$OVMF" ] || skip "OVMF is not installed"
	case_setup
	shim_setup
	shim_opts=()
	cbit_told
	trust=(--chain "$keys/certs/pdh.cert" --chain "$keys/certs/cert_chain"
		--chain "$keys/certs/ask_ark" --root "$keys/certs/ark.cert")
}
teardown() { case_teardown; }

# fails COMMAND...: it must not succeed.
fails() {
	if "$@"; then
		fail "succeeded: $*"
	fi
}

# What `sevmig shim` says is what to give to QEMU, whether or not this host's CPUID can fault.
cbit_told() {
	cbit=$(shim --state "$keys/plat" "${shim_opts[@]}" --check --json -- true 2>/dev/null | jq .cbit)
}

# session POLICY: the owner's keys and blobs, vm_* in $dir.
session() {
	"$SEVMIG" owner session "${trust[@]}" --policy "$1" --base64 --out "$dir/vm"
}

# qemu_start POLICY-NUMBER [OPTION...]: until it answers.
qemu_start() {
	local policy=$1
	shift
	coproc QEMU {
		exec env LD_PRELOAD="$sanitizer" "$SEVMIG" shim --state "$keys/plat" "${shim_opts[@]}" -- \
			qemu-system-x86_64 -accel kvm -cpu EPYC -m 256M -S -display none -nodefaults \
			-machine q35,confidential-guest-support=sev0 \
			-object "sev-guest,id=sev0,cbitpos=$cbit,reduced-phys-bits=1,policy=$policy,\
dh-cert-file=$dir/vm_godh.b64,session-file=$dir/vm_session.b64${sev_more:-}" \
			-drive "if=pflash,unit=0,format=raw,readonly=on,file=$OVMF" \
			-qmp stdio "$@" 2>"$dir/qemu.log"
	}
	pids+=("$QEMU_PID")
	# A coprocess's descriptors are closed in subshells; these are not.
	exec {to_qemu}>&"${QEMU[1]}" {from_qemu}<&"${QEMU[0]}"
	qmp qmp_capabilities >"$dir/answer"
}

# qmp COMMAND [ARGUMENTS]: the answer's "return"; fails with QEMU's message.
qmp() {
	local line
	printf '{"execute": "%s", "arguments": %s}\n' "$1" "${2:-{\}}" >&"$to_qemu"
	while read -rt 60 line <&"$from_qemu"; do
		case $line in
		*'"return"'*) jq -c .return <<<"$line" && return ;;
		*'"error"'*) fail "$1: $line" ;;
		esac
	done
	fail "$1: QEMU does not answer"
}

qemu_end() {
	local p=$QEMU_PID
	qmp quit
	exec {to_qemu}>&- {from_qemu}<&-
	wait "$p"
}

# all_queries POLICY: what QEMU says of SEV is what the platform and the owner know.
all_queries() {
	qmp query-sev >"$dir/sev"
	jq -e --argjson p "$1" '.enabled and .policy == $p and .state == "launch-secret"' "$dir/sev"
	"$SEVMIG" platform status "$keys/plat" --json >"$dir/status"
	[ "$(jq -r '"\(."api-major").\(."api-minor").\(."build-id")"' "$dir/sev")" = \
		"$(jq -r .version "$dir/status")" ]

	qmp query-sev-capabilities >"$dir/caps"
	jq -e --argjson c "$cbit" '.cbitpos == $c and ."reduced-phys-bits" == 1' "$dir/caps"
	jq -r .pdh "$dir/caps" | base64 -d | cmp - "$keys/certs/pdh.cert"
	jq -r '."cert-chain"' "$dir/caps" | base64 -d | cmp - "$keys/certs/cert_chain"
	[ "$(jq -r '."cpu0-id"' "$dir/caps" | base64 -d | wc -c)" -eq 64 ]
	measurement=$(qmp query-sev-launch-measure | jq -r .data)
}

# verified VERIFY-OPTION...: the owner's own computation of the measurement.
verified() {
	"$SEVMIG" owner verify "${trust[@]}" --measurement "$measurement" --tik "$dir/vm_tik.bin" \
		--firmware "$OVMF" --api "$(jq -r '"\(."api-major").\(."api-minor")"' "$dir/sev")" \
		--build "$(jq -r '."build-id"' "$dir/sev")" "$@"
}

# The report is signed by the platform, holds our nonce, and the digest of the launch.
report_verified() {
	local mnonce=000102030405060708090a0b0c0d0e0f
	qmp query-sev-attestation-report '{"mnonce": "AAECAwQFBgcICQoLDA0ODw=="}' |
		jq -r .data | base64 -d >"$dir/report"
	"$SEVMIG" owner report "$dir/report" "${trust[@]}" --mnonce "$mnonce" "$@"
}

# secret_arrives [table]: injected by QMP, then read where the guest would: at an address, or where
# the firmware's table has its area.
secret_arrives() {
	local gpa=1048576 size at
	at=", \"gpa\": $gpa"
	[ "${1:-}" != table ] || { at='' && gpa=$((0x80000)); }
	head -c 40 /dev/urandom | base64 -w 0 >"$dir/pass"
	"$SEVMIG" owner secret --secret "736869e5-84f0-4973-92ec-06879ce3da0b:$dir/pass" \
		--tik "$dir/vm_tik.bin" --tek "$dir/vm_tek.bin" --measurement "$measurement" \
		--base64 --out "$dir/vm"
	size=$(wc -c <"$dir/vm_secret.bin")
	qmp sev-inject-launch-secret "{\"packet-header\": \"$(cat "$dir/vm_secret_header.b64")\",
		\"secret\": \"$(cat "$dir/vm_secret.b64")\"$at}"
	qmp pmemsave "{\"val\": $gpa, \"size\": $size, \"filename\": \"$dir/memory\"}"
	grep -qaF "$(cat "$dir/pass")" "$dir/memory" || fail "no secret in the guest's memory"
	fails grep -qaF "$(cat "$dir/pass")" "$dir/vm_secret.bin"
}

@test "QEMU launches an SEV guest whose measurement the owner computes alike" {
	session nodbg
	qemu_start 1
	all_queries 1
	verified --policy nodbg
	# Not any measurement passes: not with another policy, not of another firmware.
	fails verified --policy noks
	head -c 65536 /dev/zero >"$dir/firmware"
	fails verified --policy nodbg --firmware "$dir/firmware"
	report_verified --digest "$(sha256sum "$OVMF" | cut -d' ' -f1)"
	secret_arrives
	qemu_end
}

# recomputed POLICY-NUMBER DIGEST: QEMU's measurement, by nothing but openssl.
recomputed() {
	local version
	read -ra version < <(jq -r '"\(."api-major") \(."api-minor") \(."build-id")"' "$dir/sev")
	base64 -d <<<"$measurement" >"$dir/measured"
	measurement_is "$dir/measured" "$dir/vm_tik.bin" "${version[@]}" "$1" "$2"
}

@test "QEMU's SEV measurement is recomputed with the openssl command line alone" {
	session nodbg
	qemu_start 1
	all_queries 1
	recomputed 1 "$(sha256sum "$OVMF" | cut -d' ' -f1)"
	qemu_end
}

@test "QEMU's SEV-ES measurement of 1, 2 and 16 vCPUs is recomputed with openssl alone" {
	local n
	session nodbg,es
	for n in 1 2 16; do
		qemu_start 5 -smp "$n"
		all_queries 5
		recomputed 5 "$(es_digest "$OVMF" "$n" 0x800f12)"
		fails recomputed 5 "$(es_digest "$OVMF" $((n + 1)) 0x800f12)"
		verified --policy nodbg,es --vcpus "$n" --cpu-type EPYC
		qemu_end
	done
}

@test "so is that of a guest with the larger OVMF image" {
	[ -f "${OVMF%.fd}_4M.fd" ] || skip "there is no ${OVMF%.fd}_4M.fd"
	OVMF=${OVMF%.fd}_4M.fd
	session nodbg,es
	qemu_start 5 -smp 2
	all_queries 5
	recomputed 5 "$(es_digest "$OVMF" 2 0x800f12)"
	verified --policy nodbg,es --vcpus 2 --cpu-type EPYC
	qemu_end
}

@test "QEMU launches an SEV-ES guest whose vCPUs' registers are measured" {
	session nodbg,es
	qemu_start 5 -smp 2
	all_queries 5
	verified --policy nodbg,es --vcpus 2 --cpu-type EPYC
	fails verified --policy nodbg,es --vcpus 1 --cpu-type EPYC
	fails verified --policy nodbg,es --vcpus 2 --cpu-type EPYC-Milan
	report_verified
	secret_arrives
	qemu_end
}

# QEMU reads the image's GUID table by itself: where secondary vCPUs start, where hashes and secrets go.
@test "QEMU finds what it needs in the firmware that comes with sevmig" {
	OVMF=$SEVMIG_FIRMWARE
	# What QEMU takes for a Linux: the setup header's magic words, and nothing to run.
	head -c 8192 /dev/zero >"$dir/vmlinuz"
	printf '\x01' | dd of="$dir/vmlinuz" bs=1 seek=$((0x1f1)) conv=notrunc status=none
	printf '\x55\xaa\xeb\x66HdrS\x0c\x02' | dd of="$dir/vmlinuz" bs=1 seek=$((0x1fe)) conv=notrunc status=none
	session nodbg,es
	sev_more=,kernel-hashes=on
	qemu_start 5 -smp 2 -kernel "$dir/vmlinuz" -append quiet
	all_queries 5
	verified --policy nodbg,es --vcpus 2 --cpu-type EPYC --kernel-hashes --kernel "$dir/vmlinuz" \
		--append quiet
	fails verified --policy nodbg,es --vcpus 2 --cpu-type EPYC --kernel-hashes \
		--kernel "$dir/vmlinuz" --append loud
	secret_arrives table
	qemu_end
}

@test "QEMU finishes the launch when it is told to go on, and starts anew" {
	session nodbg
	for _ in 1 2; do
		qemu_start 1
		qmp cont
		qmp query-sev | jq -e '.state == "running"'
		qemu_end
	done
}

@test "QEMU takes the position that the host's CPUID has" {
	shim_opts=(--host-cpuid)
	cbit_told
	[ "$cbit" -eq "$("$SEV_CLIENT" cpuid_host)" ]
	session nodbg
	qemu_start 1
	all_queries 1
	verified --policy nodbg
	qemu_end
}

@test "QEMU refuses a position that the shim did not tell" {
	session nodbg
	cbit=$((cbit + 1))
	fails qemu_start 1
	grep -q "cbitpos check failed, host '$((cbit - 1))' requested '$cbit'" "$dir/qemu.log"
}

@test "a session of another platform is refused as hardware does" {
	"$SEVMIG" platform init "$dir/other"
	"$SEVMIG" platform export "$dir/other" --out "$dir/other-certs"
	"$SEVMIG" owner session --chain "$dir/other-certs/pdh.cert" --chain "$dir/other-certs/cert_chain" \
		--chain "$dir/other-certs/ask_ark" --root "$dir/other-certs/ark.cert" \
		--policy nodbg --base64 --out "$dir/vm"
	fails qemu_start 1
	grep -qE 'LAUNCH_START ret=1 fw_error=11 .*[Mm]easurement' "$dir/qemu.log"
}

@test "what doc/CI-HOWTO.md tells to type works when typed" {
	local top=$PWD
	mkdir "$dir/bin" "$dir/typed"
	# shellcheck disable=SC2016 # for the script
	printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$sanitizer" "$SEVMIG" >"$dir/bin/sevmig"
	chmod +x "$dir/bin/sevmig"
	# shellcheck disable=SC2016 # Markdown's quotes
	sed -n '/^```sh$/,/^```$/{/^```/!p}' "$top/doc/CI-HOWTO.md" >"$dir/typed.sh"
	grep -q 'owner verify' "$dir/typed.sh"
	cd "$dir/typed"
	PATH=$dir/bin:$PATH bash -euxo pipefail "$dir/typed.sh"
}
