# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# For sourcing, after lab/hosts.sh: what the scripts that move a guest from one host to the other have
# in common. They set $sevmig (the program), $keep (where logs go, or empty) and $MEMORY (of the
# guest).

step() {
	printf '[%3d s] %s\n' $SECONDS "$*" >&2
}

# Why and where it ended, with what the hosts had to say.
fail() {
	local name f

	say "lab: $*"
	for name in a b; do
		for f in sevmig.log guest.log host.log; do
			[ -s "$LAB_DIR/$name/$f" ] || continue
			say "--- host $name, the end of $f"
			tail -n 15 "$LAB_DIR/$name/$f" | tr -d '\r' >&2
		done
	done
	exit 1
}

keep_logs() {
	[ -z "$keep" ] || { mkdir -p "$keep" && cp -r "$LAB_DIR"/?/*.log "$LAB_DIR"/*.log \
		"$LAB_DIR"/*.json "$keep/" 2>/dev/null; } || :
}

# run_on NAME SECONDS COMMAND: must succeed
run_on() {
	local code=0

	host_run "$@" || code=$?
	[ $code -eq 0 ] || { collect_logs && fail "host $1: $3: exit code $code"; }
}

collect_logs() {
	local name

	for name in a b; do
		host_run "$name" 10 "cat /run/sevmig.log" >"$LAB_DIR/$name/sevmig.log" 2>/dev/null || :
	done
}

console_wait() {
	file_wait "$1" "$LAB_DIR/$1/guest.log" "$2" "$3" || {
		collect_logs
		fail "no '$2' on the guest's console on host $1 within $3 s"
	}
}

# Two platforms under one root and a certificate for each host, made here, put into the hosts.
make_identities() {
	local state=$LAB_DIR/overlay/state

	mkdir -p "$state"
	"$sevmig" platform init "$state/a"
	"$sevmig" platform init "$state/b" --ca "$state/a"
	"$sevmig" pki init "$state/pki"
	"$sevmig" pki issue "$state/pki" a --san 10.0.0.1
	"$sevmig" pki issue "$state/pki" b --san 10.0.0.2
}

# sevmig_start NAME OPTIONS: the console's input is a fifo, its output the host's second port
sevmig_start() {
	run_on "$1" 10 "rm -f /run/exit; [ -p /run/console ] || mkfifo /run/console; { sevmig run --name demo --memory $MEMORY \
--platform soft:/state/$1 --tls-dir /state/pki/$1 --console stdio $2 \
0<>/run/console >/dev/vport0p2; echo \$? >/run/exit; } >/run/sevmig.log 2>&1 &"
}

# sevmig_ended NAME: its process ends by itself, and is content
sevmig_ended() {
	local code

	code=$(run_on "$1" 60 "until [ -s /run/exit ]; do usleep 50000; done; cat /run/exit")
	[ "$code" -eq 0 ] || { collect_logs && fail "sevmig run on host $1 ended with exit code $code"; }
}
