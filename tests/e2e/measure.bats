#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the owner expects a launch to measure is what measure.bash computes from the documents alone.

load lib
load measure

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
