#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# An SEV-ES guest under a dirty load is moved many times in a row, there and back. Its memory arrives
# byte for byte, and it notices nothing.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	append="private=8M shared=1M dirty=8M/s flips=50 pace=5ms sweep=300ms"
}
teardown() { case_teardown; }

digest() { # NAME WHERE
	grep -oE "digest $2: [0-9a-f]{64}" "$dir/$1.log" | grep -oE '[0-9a-f]{64}'
}

# many_moves VCPUS OPTION...: of a guest made with these.
many_moves() {
	local n from to plat consoles vcpus=$1
	shift
	set -- --vcpus "$vcpus" "$@"
	guest_start g0 plat-a a --policy nodbg,es --debug-digest "$@"
	wait_line "$dir/g0.con" 'SEV-ES, GHCB protocol'
	wait_line "$dir/g0.con" 'verify ok sweep 1'
	consoles=("$dir/g0.con")
	for ((n = 1; n <= 20; n++)); do
		printf -v from g%u $((n - 1))
		printf -v to g%u "$n"
		plat="plat-a"
		((n % 2)) && plat="plat-b"
		target_start "$to" tls://127.0.0.1:0 "$plat" --policy nodbg,es --debug-digest "$@"
		"$SEVMIG" migrate "$from" "$uri" || fail "migration $n failed" "$dir/$from.log"
		consoles+=("$dir/$to.con")
		wait_line "$dir/$to.con" 'verify ok'
		wait_line "$dir/$from.log" 'digest at the stop'
		[ "$(digest "$from" "at the stop")" = "$(digest "$to" "on arrival")" ] ||
			fail "migration $n: memory differs"
	done
	assert_no_gap "${consoles[@]}"
	for ((n = 1; n < vcpus; n++)); do
		cpu_counts "$n" 20 "${consoles[@]}"
	done
	! grep -aE 'CORRUPT|TRAP' "${consoles[@]}" || fail "the guest noticed"
}

@test "twenty migrations in a row of an SEV-ES guest, every page equal at each arrival" {
	many_moves 1
}

@test "and of one with firmware and four processors" {
	many_moves 4 --firmware default
}
