#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A migration is broken at each of its messages, in real processes: SIGKILL of the source, SIGKILL
# of the target, a connection cut before, inside and after the message, for a moment and for good.
# Whatever happens: never two running guests, never none that could have run, and what the operator
# is told is true.

load lib

setup_file() { shared_setup; }
setup() {
	need_kvm
	case_setup
	mem=16M
	append="private=512K shared=64K dirty=100K/s pace=5ms"
}
teardown() { case_teardown; }

# One migration with a tap in between; tap's options are the arguments, PIDs as @source, @target.
broken_move() {
	rm -f "$dir"/*.con "$dir"/*.log "$dir"/*.out "$dir"/*.err "$dir/tap"
	guest_start src plat-a a
	source_pid=$last_pid
	target_start dst "unix:$dir/b"
	target_pid=$last_pid
	wait_line "$dir/src.con" '^tick 5$'
	local args=("$@")
	args=("${args[@]/@source/$source_pid}")
	args=("${args[@]/@target/$target_pid}")
	"$SEVMIG_TAP" "$dir/a" "$dir/b" "$dir/tap" "${args[@]}" &
	tap_pid=$!
	pids+=("$tap_pid")
	wait_line "$dir/tap" '^ready'
	move_rc=0
	timeout 60 "$SEVMIG" migrate src "unix:$dir/a" --commit-wait 1500 >"$dir/move.out" \
		2>"$dir/move.err" || move_rc=$?
	[ "$move_rc" -ne 124 ] || fail "the migration hangs ($*)" "$dir/tap" "$dir/move.err"
}

end_all() {
	kill -KILL "$source_pid" "$target_pid" "$tap_pid" 2>/dev/null || true
	wait "$source_pid" "$target_pid" "$tap_pid" 2>/dev/null || true
	pids=()
}

struck() { has_line "$dir/tap" '^strike'; }
sent() { # MESSAGE TYPE: somebody sent it, whether or not the strike took it
	has_line "$dir/tap" "^[0-9]+ [<>] type $1 "
}
arrived() { # MESSAGE TYPE: it was sent, and is not the one the strike took
	sent "$1" && ! grep -B1 '^strike' "$dir/tap" | grep -qE " type $1 "
}

runs() { # NAME: its vCPUs run
	[ "$(state_of "$1")" = running ]
}

assert_not_both() {
	if runs src && runs dst; then
		fail "two guests run ($1)" "$dir/tap" "$dir/move.err"
	fi
}

assert_source_goes_on() { # the operator was told why, too
	assert_ticking "$dir/src.con"
	[ "$move_rc" -eq 3 ] || fail "exit code $move_rc, not 3 ($1)" "$dir/tap" "$dir/move.err"
	grep -q . "$dir/move.err" || fail "no reason was printed ($1)"
	runs dst && fail "the target runs too ($1)" "$dir/tap"
	true
}

assert_target_goes_on() {
	assert_ticking "$dir/dst.con"
	assert_no_gap "$dir/src.con" "$dir/dst.con"
	! runs src || fail "the source runs too ($1)" "$dir/tap"
}

# The type numbers are PROTOCOL.md's.
READY=10
COMMIT=11
RUNNING=12

# Once COMMIT was sent the source cannot run the guest. It knows the outcome if RUNNING arrived.
assert_told_the_truth() {
	local want=4
	arrived $RUNNING && want=0
	[ "$move_rc" -eq "$want" ] || fail "exit code $move_rc, not $want ($1)" "$dir/tap" \
		"$dir/move.err"
	! runs src || fail "the source runs what it gave up ($1)"
}

@test "a cut for a moment at any message ends with exactly one running guest" {
	local k how
	for how in do=lose do=half "do=cut after"; do
		for ((k = 0; ; k++)); do
			# shellcheck disable=SC2086
			broken_move at=$k $how
			struck || break
			assert_not_both "$how at $k"
			if [ "$move_rc" -eq 0 ]; then
				assert_target_goes_on "$how at $k"
			elif [ "$move_rc" -eq 3 ]; then
				assert_source_goes_on "$how at $k"
			else
				fail "exit code $move_rc ($how at $k)" "$dir/tap" "$dir/move.err"
			fi
			end_all
		done
		[ "$k" -gt 8 ] || fail "only $k messages were walked" "$dir/tap"
		end_all
	done
}

@test "a network that stays away leaves the source its guest, or an outcome told as unknown" {
	local k
	for ((k = 0; ; k++)); do
		broken_move at=$k do=lose dead
		struck || break
		assert_not_both "dead at $k"
		if sent $COMMIT; then
			assert_told_the_truth "dead at $k"
			if ! runs dst; then # COMMIT itself was lost: the operator's word decides
				"$SEVMIG" adopt dst --source-is-dead
			fi
			assert_ticking "$dir/dst.con"
		else
			assert_source_goes_on "dead at $k"
		fi
		assert_not_both "dead at $k, afterwards"
		end_all
	done
	[ "$k" -gt 8 ]
}

@test "SIGKILL of the target at any message leaves the source its guest until COMMIT" {
	local k
	for ((k = 0; ; k++)); do
		broken_move at=$k do=lose kill=@target
		struck || break
		if sent $COMMIT; then
			assert_told_the_truth "target killed at $k"
		else
			assert_source_goes_on "target killed at $k"
		fi
		end_all
	done
	[ "$k" -gt 8 ]
}

@test "SIGKILL of the source at any message never loses a guest that was all there" {
	local k
	for ((k = 0; ; k++)); do
		broken_move at=$k do=cut after kill=@source
		struck || break
		# With the source's process its guest is gone; the target's copy is whole from READY on,
		# and must run by COMMIT or by the operator's word, and not before.
		if sent $COMMIT; then
			wait_for 10 runs dst || fail "nothing runs (source killed at $k)" "$dir/tap"
			assert_ticking "$dir/dst.con"
		elif sent $READY; then
			! runs dst || fail "the target runs by itself (source killed at $k)"
			wait_for 5 "$SEVMIG" adopt dst --source-is-dead
			assert_ticking "$dir/dst.con"
		else
			! runs dst || fail "half a guest runs (source killed at $k)" "$dir/tap"
		fi
		end_all
	done
	[ "$k" -gt 8 ]
}
