# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of `sevmig shim` share, after lib.bash.

: "${SEV_CLIENT:=${SEVMIG%/*}/tests/e2e/sev_client}"
SHIM_LIBRARY=${SEVMIG%/*}/shim/libsevmig-shim.so

# Built with a sanitizer, the library needs the sanitizer's own before all others. Clients that nobody
# here wrote may leak, and SIGSEGV is theirs.
shim_setup() {
	sanitizer=$(ldd "$SHIM_LIBRARY" | sed -nE 's/.*=> (.*lib[at]san\.so[^ ]*).*/\1/p')
	export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:handle_segv=0
}

# shim [OPTION...] -- COMMAND...
shim() {
	LD_PRELOAD=$sanitizer "$SEVMIG" shim "$@"
}

# clients SCENARIO...: each in a process of its own, on a platform of this test.
clients() {
	local s
	for s in "$@"; do
		CBIT=51 shim --state "$plat" -- "$SEV_CLIENT" "$s" 2>"$dir/$s.log" || fail "$s"
	done
}
