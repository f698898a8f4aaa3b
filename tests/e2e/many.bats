#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A guest under a dirty load is moved many times in a row, there and back between two platforms. Each
# time its memory, private and shared, arrives byte for byte as it was at the stop, and it notices
# nothing: its counter has no gap and its own verification of every page never fails.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	mem=48M
	append="private=16M shared=2M dirty=64M/s flips=200 pace=5ms sweep=200ms"
}
teardown() { case_teardown; }

digest() { # NAME WHERE
	grep -oE "digest $2: [0-9a-f]{64}" "$dir/$1.log" | grep -oE '[0-9a-f]{64}'
}

@test "twenty migrations in a row under load, every page equal at each arrival" {
	local n from to plat consoles
	guest_start g0 plat-a a --debug-digest
	wait_line "$dir/g0.con" 'verify ok sweep 2'
	consoles=("$dir/g0.con")
	for ((n = 1; n <= 20; n++)); do
		printf -v from g%u $((n - 1))
		printf -v to g%u "$n"
		plat="plat-a"
		((n % 2)) && plat="plat-b"
		target_start "$to" tls://127.0.0.1:0 "$plat" --debug-digest
		"$SEVMIG" migrate "$from" "$uri" || fail "migration $n failed"
		consoles+=("$dir/$to.con")
		wait_line "$dir/$to.con" 'verify ok'
		wait_line "$dir/$from.log" 'digest at the stop'
		[ "$(digest "$from" "at the stop")" = "$(digest "$to" "on arrival")" ] ||
			fail "migration $n: memory differs"
	done
	assert_no_gap "${consoles[@]}"
	! grep -aE 'CORRUPT|TRAP' "${consoles[@]}" || fail "the guest noticed"
	# The load was real: what was at one stop is not what was at the next.
	[ "$(grep -ohE 'at the stop: [0-9a-f]+' "$dir"/*.log | sort -u | wc -l)" -eq 20 ]
}
