#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs that are not of this tree, on a software platform: what they ask is what virtee/sev,
# sev-tool, sevctl and the kernel's selftests ask (sev_client*.c).

load lib
load shim

setup_file() {
	export SEVMIG_TESTS_KEYS="$BATS_FILE_TMPDIR/keys"
	mkdir "$SEVMIG_TESTS_KEYS"
	"$SEVMIG" platform init "$SEVMIG_TESTS_KEYS/plat"
}
setup() {
	case_setup
	shim_setup
	cp -a "$keys/plat" "$dir/plat"
	plat=$dir/plat
}
teardown() { case_teardown; }

# refused PATTERN ARGUMENT...: exit code 1, and why.
refused() {
	local pattern=$1 rc=0
	shift
	"$SEVMIG" shim --state "$plat" "$@" >"$dir/out" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 1 ] || fail "exit code $rc of: $*" "$dir/err"
	grep -qE -- "$pattern" "$dir/err" || fail "no '$pattern': $*" "$dir/err"
}

# misused PATTERN ARGUMENT...: exit code 2, and why.
misused() {
	local pattern=$1 rc=0
	shift
	"$SEVMIG" shim "$@" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 2 ] || fail "exit code $rc of: $*" "$dir/err"
	grep -qE -- "$pattern" "$dir/err" || fail "no '$pattern': $*" "$dir/err"
}

# Where the processor cannot make CPUID fault, the client itself sends what the kernel would, and the
# library is told that it comes. Redefines shim(): the program would not tell it so.
made_to_fault() {
	export CPUID_FAULT=made
	shim() {
		local cbit=51
		while [ "$1" != -- ]; do
			[ "$1" != --cbit ] || cbit=$2
			shift
		done
		SEVMIG_SHIM_STATE=$plat SEVMIG_SHIM_CBIT=$cbit SEVMIG_SHIM_CPUID=fault \
			LD_PRELOAD=$sanitizer:$SHIM_LIBRARY "${@:2}"
	}
}

@test "the platform's identity changes with PEK_GEN and PDH_GEN as sev-tool checks it" {
	clients platform_identity
}

@test "lengths are asked for with empty buffers" {
	clients platform_queries
}

@test "an owner outside signs the PEK, and reset gives the platform back" {
	clients platform_owner
}

@test "write permission is judged per command" {
	clients platform_read_only
}

@test "what is no command gets the errno of Linux' driver" {
	clients platform_errors
}

@test "a guest of VM type 2 launches and runs as virtee/sev does it" {
	need_kvm
	clients launch_virtee
}

@test "launch, status and debugging as the selftests' helper does it" {
	need_kvm
	clients launch_selftest launch_secret
}

@test "an SEV-ES guest's registers are hidden once they are measured" {
	need_kvm
	clients launch_es
}

@test "INIT2 takes what the selftests allow and nothing else" {
	need_kvm
	clients init2_rules
}

@test "mirrors follow the selftests' rules" {
	need_kvm
	clients mirror_rules
}

@test "contexts move in chains, with mirrors, and from many threads at once" {
	need_kvm
	clients move_chain move_es move_mirrors move_locking move_rules
}

@test "a guest ends with the last descriptor of its VM, however copied" {
	need_kvm
	clients fd_copies fd_stale
}

@test "fork, vfork and threads keep the platform whole" {
	need_kvm
	clients fd_fork fd_threads
}

@test "/dev/sev stays what it is over exec and sockets" {
	clients fd_exec fd_lookups
	[ "$(shim --state "$plat" -- bash -c '[ -c /dev/sev ] && echo yes')" = yes ]
}

@test "CPUID tells the C-bit, and the program's own SIGSEGV handler goes on working" {
	need_kvm
	[ "$(shim --state "$plat" --check --json -- true | jq -r .cpuid)" = fault ] || made_to_fault
	clients cpuid_leaf cpuid_signals
	CBIT=47 shim --state "$plat" --cbit 47 -- "$SEV_CLIENT" cpuid_leaf
}

@test "with the host's own CPUID its position is told for QEMU" {
	local said seen
	shim --state "$plat" --host-cpuid --check -- true >"$dir/out" 2>"$dir/err"
	said=$(sed -nE 's/.*cbitpos=([0-9]+)\.$/\1/p' "$dir/err")
	seen=$("$SEV_CLIENT" cpuid_host)
	[ "$said" = "$seen" ] || fail "told $said, CPUID says $seen"
	[ "$(shim --state "$plat" --host-cpuid -- "$SEV_CLIENT" cpuid_host)" = "$seen" ]
}

@test "arguments, exit code and standard streams are the command's own" {
	local rc=0
	# shellcheck disable=SC2016 # for the inner shell
	echo in | shim --state "$plat" -- sh -c 'cat; echo "$1" "$SEVMIG_SHIM_LOADED"; exit 7' \
		sh "a b" >"$dir/out" || rc=$?
	[ "$rc" -eq 7 ]
	[ "$(cat "$dir/out")" = $'in\na b 1' ]
}

@test "several processes share one platform and none sees half a change" {
	local p before
	before=$("$SEVMIG" platform status "$plat" --json | jq -r '."platform-id"')
	pids=()
	for _ in 1 2 3; do
		# shellcheck disable=SC2016 # for the inner shell
		shim --state "$plat" -- bash -c '"$0" platform_owner >/dev/null 2>&1
			for i in 1 2 3 4 5; do "$0" platform_queries || exit 1; done' \
			"$SEV_CLIENT" 2>"$dir/shared.log" &
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p" || fail "a client failed"
	done
	"$SEVMIG" platform status "$plat" --json | jq -e --arg id "$before" '."platform-id" == $id'
}

@test "a platform is made where there is none, once by however many start" {
	local p
	pids=()
	export XDG_STATE_HOME=$dir/state
	for _ in 1 2; do
		shim -- "$SEV_CLIENT" platform_queries &
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p"
	done
	[ "$(ls "$XDG_STATE_HOME/sevmig")" = platform ]
}

@test "programs that cannot be helped are refused with the reason" {
	refused 'statically linked' -- "${SEV_CLIENT}_static"
	printf '#!%s\n' "${SEV_CLIENT}_static" >"$dir/script"
	chmod +x "$dir/script"
	refused 'statically linked' -- "$dir/script"
	refused 'no such program' -- no-such-program
	refused 'not a program that can be run' -- "$dir/plat"
	echo text >"$dir/text"
	chmod +x "$dir/text"
	refused 'neither a program nor a script' -- "$dir/text"
	cp "$(command -v sleep)" "$dir/privileged"
	if [ "$(id -u)" -eq 0 ]; then
		chown 65534 "$dir/privileged"
		chmod u+s "$dir/privileged"
		refused 'setuid' -- "$dir/privileged" 0
	fi
}

@test "a library that does not load is told before the command starts" {
	echo text >"$dir/library.so"
	refused 'cannot be preloaded into .*: ERROR: ld.so' --library "$dir/library.so" -- touch "$dir/ran"
	[ ! -e "$dir/ran" ]
	refused 'No such file' --library "$dir/none.so" -- true
}

@test "a device that cannot be made says why and what to do" {
	local rc
	if [ ! -e /dev/cuse ]; then
		rc=0
		"$SEVMIG" device --state "$plat" >"$dir/out" 2>"$dir/err" || rc=$?
		[ "$rc" -eq 1 ]
		grep -q 'modprobe cuse' "$dir/err" || fail "no remedy" "$dir/err"
	fi
	"$SEVMIG" device --state "$plat" --name null --json >"$dir/out" 2>/dev/null && fail "made /dev/null"
	jq -e '.error | test("/dev/null is there already")' "$dir/out"
	"$SEVMIG" device --state "$dir/none" 2>"$dir/err" && fail "made without a platform"
	grep -q 'not a software platform' "$dir/err"
	rc=0
	"$SEVMIG" device 2>"$dir/err" || rc=$?
	[ "$rc" -eq 2 ] && grep -q 'no --state' "$dir/err"
}

@test "wrong use of the shim ends with 2" {
	misused 'write -- before it' --state "$plat" true
	misused 'not from 32 to 62' --cbit 12 -- true
	misused '--paint: no such option' --paint -- true
}
