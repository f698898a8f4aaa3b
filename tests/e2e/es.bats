#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A guest under policy ES: its processors' registers are the Secure Processor's, at the launch, at
# each exit and while it is moved.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	# 48 bits that occur nowhere else; each register has two bytes more: processor and register.
	canary=$((0x5ec7e75ec7e7))
	canary_hex=e7c75ee7c75e
	spin="idle pace=200ms regcanary=$canary"
}
teardown() { case_teardown; }

# Which of the 64 registers with canaries are in FILE, as "processor register".
canaries_in() {
	local cpu reg
	for cpu in 0 1 2 3; do
		for ((reg = 0; reg < 16; reg++)); do
			! holds "$1" "$(printf '4%x%02x' "$reg" "$cpu")$canary_hex" || echo "$cpu $reg"
		done
	done
}

# Of one processor at least all 16: another may have been in its timer's handler at the stop.
assert_registers_readable() { # FILE
	canaries_in "$1" | cut -d' ' -f1 | sort | uniq -c | grep -qE '^ *16 ' ||
		fail "no processor's registers are in $1: $(canaries_in "$1")"
}

# What the source sends is recorded in $dir/wire, what it sees of the guest in $dir/*.mem.
move_with_canaries() { # RUN OPTION...
	append=$spin guest_start src plat-a a --vcpus 4 "$@"
	target_start dst "unix:$dir/b" plat-b --vcpus 4 "$@"
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" "record=$dir/wire" &
	pids+=("$!")
	wait_line "$dir/tap" '^ready'
	wait_line "$dir/src.con" '^cpu 3 tick 1$'
	"$SEVMIG" qmp src stop
	"$SEVMIG" qmp src x-debug-dump-shared "path=$dir/src.mem"
	"$SEVMIG" qmp src cont
	"$SEVMIG" migrate src "unix:$dir/a"
	wait_line "$dir/dst.con" '^cpu 3 tick'
	"$SEVMIG" qmp dst stop
	"$SEVMIG" qmp dst x-debug-dump-shared "path=$dir/dst.mem"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
}

@test "without ES the registers at the stop are readable in what the source sends" {
	move_with_canaries --policy nodbg
	assert_registers_readable "$dir/wire"
	[ -z "$(canaries_in "$dir/src.mem")" ]
}
