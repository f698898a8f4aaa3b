# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For sourcing, after tools/lib.sh: run suites of tests, count what they say, tell it in a line each.
#
#	suite NAME DIR KIND COMMAND...	log in DIR/logs; KIND says how results are counted:
#					one	the command's exit code is the result
#					tap	by the TAP lines it prints
#					meson	by the log of the meson_suite it runs
#	suite_ok			did the last one pass?
#	suites_end			the sum; exits

PASSED=0 FAILED=0 SKIPPED=0 LAST_FAILED=0
# Where CI=true, a test may be skipped for want of these only: no machine can be asked for them.
# (cmocka has no reasons for a skip. What must work there is told by SEVMIG_MUST_WORK_*.)
MAY_SKIP='SEV hardware|this processor|/dev/sev|cmocka'
[ -e /dev/kvm ] || MAY_SKIP="$MAY_SKIP|/dev/kvm"

# meson_suite DIR SUITE
meson_suite() {
	meson test -C "$1" --no-rebuild --suite "$2" --logbase "$2" --print-errorlogs
}

# TAP on stdin; prints "PASSED FAILED SKIPPED", then the lines of what failed.
tap_count() {
	awk -v ci="${CI:-}" -v may="$MAY_SKIP" '
	/^(not )?ok/ && tolower($0) ~ /# skip/ {
		if (ci == "true" && $0 !~ may) {
			failed++
			names = names "\nskipped, which CI does not allow: " $0
		} else
			skipped++
		next
	}
	/^not ok/ { failed++; names = names "\n" $0; next }
	/^ok/ { passed++ }
	END { printf "%d %d %d%s\n", passed, failed, skipped, names }'
}

# The TAP that is in a log of meson, one line for each test that speaks none or broke off.
meson_tap() {
	jq -r '(.stdout // "" | split("\n") | map(select(test("^(not )?ok\\b")))) as $lines |
		.name as $name |
		($lines | map(sub("^(?<r>(not )?ok) *[0-9]* *-? *"; "\(.r) - \($name): ") |
			sub("# SKIP (?<t>[a-z0-9_]*)$"; "# SKIP by cmocka: \(.t)"))[]),
		(if .result == "SKIP" and ($lines | length) == 0 then
			"ok - \(.name) # SKIP \(.stdout // "" | split("\n") | .[0])"
		elif (.result | IN("OK", "SKIP", "EXPECTEDFAIL")) | not then
			(if any($lines[]; test("^not ok (?!.*# SKIP)")) then empty
			else "not ok - \(.name): \(.result)" end)
		elif ($lines | length) == 0 then "ok - \(.name)" else empty end)' "$1"
}

# Say something each minute while a suite is at work, so that nobody thinks it dead.
heartbeat() {
	local name=$1 start=$SECONDS never

	exec {never}<> <(:) # a pipe that nothing is ever written to: no child to leave behind
	until read -r -t 55 <&"$never"; do
		printf '  ... %s, %d s\n' "$name" $((SECONDS - start))
	done
}

# suite NAME DIR KIND COMMAND...
suite() {
	local name=$1 dir=$2 kind=$3 start=$SECONDS status=0 log beat counts p f s

	shift 3
	mkdir -p "$dir/logs"
	log=$dir/logs/$(printf '%s' "$name" | tr -cs 'a-zA-Z0-9' '-').log
	heartbeat "$name" &
	beat=$!
	"$@" </dev/null >"$log" 2>&1 || status=$?
	kill "$beat"
	wait "$beat" 2>/dev/null || :

	case $kind in
	one) counts=$([ $status -eq 0 ] && echo "1 0 0" || printf '0 1 0\n%s' "exit code $status") ;;
	tap) counts=$(tap_count <"$log") ;;
	meson) counts=$(meson_tap "$2/meson-logs/$3.json" | tap_count) ;;
	esac
	read -r p f s <<<"$counts"
	# Nothing counted, or a failure that no test owned up to, is a failure too.
	if [ $((p + f + s)) -eq 0 ] || { [ $status -ne 0 ] && [ "$f" -eq 0 ]; }; then
		f=$((f + 1))
		counts+=$'\n'"exit code $status after $p passed"
	fi
	PASSED=$((PASSED + p)) FAILED=$((FAILED + f)) SKIPPED=$((SKIPPED + s)) LAST_FAILED=$f
	printf '%-36s %-6s %5d passed %3d failed %3d skipped %4d s\n' "$name" \
		"$([ "$f" -eq 0 ] && echo ok || echo FAILED)" "$p" "$f" "$s" $((SECONDS - start))
	[ "$f" -eq 0 ] || suite_explain "$log" "$counts"
}

suite_explain() {
	tail -n +2 <<<"$2" | sed 's/^/  /'
	printf '  the end of %s:\n' "$1"
	grep -avE '^ *$|^\[[0-9]+/[0-9]+\] |^(Summary of Failures|Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout): ' "$1" |
		tail -n 60 | sed 's/^/  | /' || :
}

suite_ok() {
	[ "$LAST_FAILED" -eq 0 ]
}

suites_end() {
	local skipped=

	[ $SKIPPED -eq 0 ] || skipped=", $SKIPPED skipped"
	printf '%d passed, %d failed%s\n' $PASSED $FAILED "$skipped"
	[ $FAILED -eq 0 ]
	exit
}
