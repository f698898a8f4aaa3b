# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the behaviour tests share. Each test has a folder of its own ($dir) with two platforms under
# one root, a small CA and a runtime folder; every process started is killed at the end.

: "${SEVMIG:=$PWD/build/sevmig}"
: "${SEVMIG_TESTGUEST:=${SEVMIG%/*}/guest/testguest.elf}"
: "${SEVMIG_TAP:=${SEVMIG%/*}/tests/e2e/tap}"

# Platforms and keys take seconds to make (RSA): once a run of a file, read-only afterwards.
shared_setup() {
	export SEVMIG_TESTS_KEYS="$BATS_FILE_TMPDIR/keys"
	mkdir -p "$SEVMIG_TESTS_KEYS"
	"$SEVMIG" platform init "$SEVMIG_TESTS_KEYS/plat-a"
	"$SEVMIG" platform init "$SEVMIG_TESTS_KEYS/plat-b" --ca "$SEVMIG_TESTS_KEYS/plat-a"
	"$SEVMIG" pki init "$SEVMIG_TESTS_KEYS/pki"
	"$SEVMIG" pki issue "$SEVMIG_TESTS_KEYS/pki" a --san localhost --san 127.0.0.1
	"$SEVMIG" pki issue "$SEVMIG_TESTS_KEYS/pki" b --san localhost --san 127.0.0.1
}

need_kvm() {
	if [ -w /dev/kvm ]; then
		return
	fi
	if [ -n "${SEVMIG_MUST_WORK_KVM:-}" ]; then
		echo "/dev/kvm must work here and does not" >&2
		return 1
	fi
	skip "no /dev/kvm on this machine"
}

case_setup() {
	dir=$BATS_TEST_TMPDIR
	export SEVMIG_RUNTIME_DIR=$dir/run
	mkdir -m 700 "$SEVMIG_RUNTIME_DIR"
	keys=$SEVMIG_TESTS_KEYS
	pids=()
}

case_teardown() {
	local p
	for p in "${pids[@]}"; do
		kill -KILL "$p" 2>/dev/null || true
	done
	for p in "${pids[@]}"; do
		wait "$p" 2>/dev/null || true
	done
}

# fail MESSAGE [FILE...]: say why, show the logs, fail the test.
fail() {
	echo "$1"
	shift
	local f
	for f in "$@" "$dir"/*.log; do
		[ -f "$f" ] && { echo "--- $f"; tail -n 15 "$f"; }
	done
	return 1
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		read -rt 0.03 <> <(:) || true
	done
}

has_line() { # FILE PATTERN
	grep -qsE -- "$2" "$1"
}

wait_line() { # FILE PATTERN [SECONDS]
	wait_for "${3:-20}" has_line "$1" "$2" || fail "no line '$2' in $1" "$1"
}

holds() { # FILE HEX: the bytes occur in it
	local pattern='' i
	for ((i = 0; i < ${#2}; i += 2)); do
		pattern+="\\x${2:i:2}"
	done
	LC_ALL=C grep -qaP -- "$pattern" "$1"
}

# ticks FILE...: the numbers of the whole tick lines of the files, read as one. The last line may
# still be in the writing ("tick 7" of "tick 71"): a mark behind it tells.
ticks() {
	{ cat "$@" && echo '~'; } 2>/dev/null | grep -axE 'tick [0-9]+' | cut -d' ' -f2
}

# last_tick FILE: the number of the last whole tick line, 0 without one.
last_tick() {
	ticks "$1" | tail -n 1 | grep . || echo 0
}

ticked_beyond() { # FILE NUMBER
	[ "$(last_tick "$1")" -gt "$2" ]
}

# The guest behind this console is alive: its counter goes on from where it is now.
assert_ticking() {
	local now
	now=$(last_tick "$1")
	wait_for 15 ticked_beyond "$1" "$((now + 3))" || fail "$1 stands at tick $now" "$1"
}

# guest_start NAME PLATFORM LETTER_OF_PKI [EXTRA OPTION...]: a guest that counts.
guest_start() {
	local name=$1 plat=$2 pki=$3
	shift 3
	"$SEVMIG" run --name "$name" --memory "${mem:-32M}" --kernel "$SEVMIG_TESTGUEST" \
		--platform "soft:$keys/$plat" --console "$dir/$name.con" --tls-dir "$keys/pki/$pki" \
		--append "${append:-private=4M shared=1M dirty=4M/s pace=5ms}" "$@" \
		2>"$dir/$name.log" </dev/null &
	last_pid=$!
	pids+=("$last_pid")
}

# target_start NAME URI [PLATFORM [EXTRA OPTION...]]: waits until it listens; its URI is in $uri.
# shellcheck disable=SC2034 # uri is the caller's
target_start() {
	local name=$1 want=$2 plat=${3:-plat-b}
	shift 2
	[ $# -gt 0 ] && shift
	guest_start "$name" "$plat" b --incoming "$want" "$@"
	wait_line "$dir/$name.log" 'listening on '
	uri=$(grep -oE 'listening on .*' "$dir/$name.log" | head -n 1 | cut -d' ' -f3)
}

# state_of NAME: what `sevmig status` says, or "gone".
state_of() {
	"$SEVMIG" status "$1" --json 2>/dev/null | jq -r '.status // empty' 2>/dev/null | grep . || echo gone
}

# The consoles one after the other hold every tick exactly once.
assert_no_gap() {
	local got want
	got=$(ticks "$@")
	want=$(seq 1 "$(echo "$got" | tail -n 1)")
	[ "$got" = "$want" ] || {
		diff <(echo "$got") <(echo "$want") | head -n 5
		fail "the counter has a gap or a repetition" "$@"
	}
}

# cpu_counts CPU MORE_THAN CONSOLE...: another processor's counter, read as if it were the guest's,
# has no gap over all consoles and came further than that. A move may cut a line in two.
cpu_counts() {
	local cpu=$1 more=$2 own=$dir/cpu$1.ticks
	shift 2
	{ cat "$@" && echo '~'; } | sed -n "s/^cpu $cpu \(tick [0-9]*\)\$/\1/p" >"$own"
	assert_no_gap "$own"
	[ "$(last_tick "$own")" -gt "$more" ] || fail "processor $cpu stands" "$@"
}
