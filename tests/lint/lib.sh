# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For sourcing: which files there are, and how a finding is told. LINT_ROOT is another tree to look
# at, for the lints' own test.

set -euo pipefail
cd "${LINT_ROOT:-$(dirname "${BASH_SOURCE[0]}")/../..}"
FOUND=0

# files PATTERN...: what is, or is about to be, in the repository, by git's glob patterns
files() {
	git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do
		[ ! -f "$f" ] || printf '%s\n' "$f"
	done
}

c_files() {
	files '*.c' '*.h'
}

# Scripts by their first line, and what is sourced.
shell_files() {
	files | while read -r f; do
		case $f in
		*.sh) echo "$f" ;;
		*.c | *.h | *.md | *.bats) ;;
		*) if head -c 64 "$f" | grep -aqE '^#!.*\b(ba)?sh$'; then echo "$f"; fi ;;
		esac
	done
}

finding() {
	printf '%s\n' "$*"
	FOUND=1
}

# findings REASON: each line of input is one
findings() {
	local line

	while IFS= read -r line; do
		finding "$line: $1"
	done
}

finish() {
	exit $FOUND
}
