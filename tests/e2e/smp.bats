#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A guest with four vCPUs, each of which writes, verifies and converts its share of memory and counts
# aloud, boots and is moved under load. No counter has a gap or a repetition.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	append="private=8M shared=1M dirty=16M/s flips=100 pace=10ms sweep=200ms"
}
teardown() { case_teardown; }

@test "four vCPUs boot, share the work out and count, each for itself" {
	local k
	guest_start g0 plat-a a --vcpus 4
	wait_line "$dir/g0.con" '^testguest: 4 processors, 0 by the AP jump table'
	wait_line "$dir/g0.con" 'verify ok sweep 3'
	for k in 1 2 3; do
		wait_line "$dir/g0.con" "^cpu $k tick 5\$"
		cpu_counts "$k" 4 "$dir/g0.con"
	done
	assert_no_gap "$dir/g0.con"
	! grep -aE 'CORRUPT|TRAP' "$dir/g0.con" || fail "the guest noticed"
}

@test "four vCPUs are moved three times in a row under load, and all counters go on" {
	local n k plat consoles
	guest_start g0 plat-a a --vcpus 4
	wait_line "$dir/g0.con" 'verify ok sweep 1'
	consoles=("$dir/g0.con")
	for n in 1 2 3; do
		plat="plat-a"
		((n % 2)) && plat="plat-b"
		target_start "g$n" tls://127.0.0.1:0 "$plat" --vcpus 4
		"$SEVMIG" migrate "g$((n - 1))" "$uri" || fail "migration $n failed"
		consoles+=("$dir/g$n.con")
		wait_line "$dir/g$n.con" 'verify ok'
		wait_line "$dir/g$n.con" '^cpu 3 tick'
	done
	for k in 1 2 3; do
		cpu_counts "$k" 0 "${consoles[@]}"
	done
	assert_no_gap "${consoles[@]}"
	! grep -aE 'CORRUPT|TRAP' "${consoles[@]}" || fail "the guest noticed"
}
