#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the owner expects a launch to measure is what measure.bash computes from the documents alone.

load lib
load measure

: "${SEVMIG_FIRMWARE:=${SEVMIG%/*}/guest/firmware/sevmig-firmware.bin}"

setup_file() {
	shared_setup
	"$SEVMIG" platform export "$SEVMIG_TESTS_KEYS/plat-a" --out "$SEVMIG_TESTS_KEYS/a"
}
setup() { case_setup; }
teardown() { case_teardown; }

# digest_of VERIFY-OPTION...: as the owner computes it
digest_of() {
	"$SEVMIG" owner verify --json "$@" | jq -er .digest
}

@test "the SEV-ES digest of every OVMF image here is that of the openssl command line" {
	local image images=() n
	for image in /usr/share/OVMF/OVMF_CODE*.fd /usr/share/ovmf/OVMF.fd; do
		[ ! -f "$image" ] || [ -L "$image" ] || images+=("$image")
	done
	[ ${#images[@]} -gt 0 ] || skip "OVMF is not installed"
	for image in "${images[@]}"; do
		for n in 1 2 16; do
			[ "$(digest_of --firmware "$image" --policy es --vcpus $n --cpu-type EPYC-Milan)" = \
				"$(es_digest "$image" $n 0xa00f11)" ] || fail "$image, $n vCPUs"
		done
	done
}

# host_signature: CPUID 1 EAX, made of what /proc/cpuinfo takes apart
host_signature() {
	awk -F': ' '
		/^cpu family/ { f = $2 } /^model\t/ { m = $2 } /^stepping/ { s = $2 }
		/^$/ { exit }
		END { print (f > 15 ? (f - 15) * 1048576 + 15 * 256 : f * 256) + int(m / 16) * 65536 + m % 16 * 16 + s }
	' /proc/cpuinfo
}

# asked NAME: it is there, and says what was measured, in $dir/said
asked() {
	"$SEVMIG" qmp "$1" query-sev-launch-measure >"$dir/said" 2>/dev/null
}

# owned POLICY [OPTION...]: a guest with a session of the owner's; what was measured is in $dir/measured.
owned() {
	local policy=$1 name=owned-$BASHPID-$RANDOM
	shift
	"$SEVMIG" owner session --policy "$policy" --chain "$keys/a/pdh.cert" --chain "$keys/a/cert_chain" \
		--chain "$keys/a/ask_ark" --root "$keys/a/ark.cert" --out "$dir/s" >/dev/null
	append="private=64K shared=64K" mem=16M guest_start "$name" plat-a a --policy "$policy" \
		--session "$dir/s_launch_blob.bin" --dh "$dir/s_godh.cert" "$@"
	wait_for 30 asked "$name" || fail "$name does not say what was measured"
	jq -r .data "$dir/said" | base64 -d >"$dir/measured"
	"$SEVMIG" qmp "$name" quit
}

# expected DIGEST POLICY-NUMBER
expected() {
	measurement_is "$dir/measured" "$dir/s_tik.bin" 1 55 21 "$2" "$1"
}

@test "a guest with firmware has the measurement that openssl computes" {
	need_kvm
	local digest
	owned nodbg --vcpus 2 --firmware "$SEVMIG_FIRMWARE"
	digest=$(sevmig_digest "$SEVMIG_FIRMWARE" "$SEVMIG_TESTGUEST" "private=64K shared=64K" 0 0)
	expected "$digest" 1
	[ "$(digest_of --sevmig-guest --firmware "$SEVMIG_FIRMWARE" --kernel "$SEVMIG_TESTGUEST" \
		--append "private=64K shared=64K" --policy nodbg)" = "$digest" ]
}

@test "so has an SEV-ES guest of 1, 2 and 16 vCPUs" {
	need_kvm
	local n digest
	for n in 1 2 16; do
		owned nodbg,es --vcpus $n --firmware "$SEVMIG_FIRMWARE"
		digest=$(sevmig_digest "$SEVMIG_FIRMWARE" "$SEVMIG_TESTGUEST" "private=64K shared=64K" $n \
			"$(host_signature)")
		expected "$digest" 5
		[ "$(digest_of --sevmig-guest --firmware "$SEVMIG_FIRMWARE" --kernel "$SEVMIG_TESTGUEST" \
			--append "private=64K shared=64K" --policy nodbg,es --vcpus $n \
			--cpu-signature "$(host_signature)")" = "$digest" ]
	done
}

# Here only the last step is openssl's: the pages that are measured are sevmig's own boot structures.
@test "without firmware an SEV-ES guest has the measurement that the owner computes" {
	need_kvm
	local how=(--sevmig-guest --kernel "$SEVMIG_TESTGUEST" --memory 16M --cbit 38
		--append "private=64K shared=64K" --policy "nodbg,es")
	owned nodbg,es --cbit 38
	expected "$(digest_of "${how[@]}" --cpu-signature 1)" 5 # the first vCPU's RDX is set to 0
	if expected "$(digest_of "${how[@]}" --policy nodbg)" 5; then
		fail "registers make no difference"
	fi
}
