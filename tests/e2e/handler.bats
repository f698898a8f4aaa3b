#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Migrations by the guest's own handler: doc/HANDLER.md.

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
	append="private=4M shared=1M dirty=4M/s pace=5ms"
}
teardown() { case_teardown; }

@test "a guest moves by its handler, and every page arrives as it was" {
	handler_source src plat-a 1 --debug-digest
	wait_line "$dir/src.con" '^tick 20$'
	handler_target dst "unix:$dir/b" plat-b 3 --debug-digest
	"$SEVMIG" migrate src "$uri" --path handler --json >"$dir/move" || fail "not moved" "$dir/move"
	jq -e '."x-sevmig".path == "handler" and .status == "completed"' "$dir/move"
	wait_line "$dir/dst.con" '^verify ok sweep'
	assert_ticking "$dir/dst.con"
	grep -oE 'digest [a-z ]+: .*' "$dir/src.log" | grep -oE '[0-9a-f]{64}' >"$dir/a"
	grep -oE 'digest [a-z ]+: .*' "$dir/dst.log" | grep -oE '[0-9a-f]{64}' >"$dir/b.digest"
	cmp "$dir/a" "$dir/b.digest"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
}
