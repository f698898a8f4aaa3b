#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many moves by the guest's own handler: doc/HANDLER.md.

load lib
load handler

setup_file() {
	shared_setup
	handler_keys
}
setup() {
	need_kvm
	case_setup
	mem=48M
}
teardown() { case_teardown; }

@test "twenty moves under load, back and forth, without a lost or broken page" {
	local from=src to plat flags=1 n cons=() i
	append="private=4M shared=1M dirty=40M/s flips=40 pace=5ms sweep=100ms"
	handler_source src plat-a 1
	wait_line "$dir/src.con" '^tick 20$'
	cons=("$dir/src.con")
	for ((n = 1; n <= 20; n++)); do
		to=g$n
		plat=plat-$([ $((n % 2)) -eq 1 ] && echo b || echo a)
		handler_target "$to" "unix:$dir/$to.sock" "$plat" 3 --handler-vcpus $((n % 2 + 1))
		"$SEVMIG" migrate "$from" "$uri" --path handler --json >"$dir/move" 2>"$dir/err" ||
			fail "move $n" "$dir/move" "$dir/err"
		wait_line "$dir/$to.con" '^verify ok sweep'
		cons+=("$dir/$to.con")
		from=$to
	done
	assert_ticking "$dir/$from.con"
	for i in "${cons[@]}"; do
		if grep -qE 'CORRUPT|TRAP' "$i"; then fail "broken" "$i"; fi
	done
	assert_no_gap "${cons[@]}"
}
