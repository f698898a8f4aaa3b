# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For sourcing: what every script of this tree shares. The caller has "set -euo pipefail".

# shellcheck disable=SC2034 # for those who source this
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
	printf '%s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root for: $* (neither root nor sudo here)"
	fi
}

# Package lists, once a run, and only when somebody found that they are needed.
apt_update_once() {
	[ -z "${APT_UPDATED:-}" ] || return 0
	say "apt-get update"
	as_root apt-get -qq update >&2
	APT_UPDATED=1
}

package_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]
}

# Install those of the named Debian packages that are missing.
packages_need() {
	local p missing=() output

	for p in "$@"; do
		package_installed "$p" || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null ||
		die "needs these Debian packages or their like: ${missing[*]}"
	apt_update_once
	say "installing: ${missing[*]}"
	output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
		--no-install-recommends "${missing[@]}" 2>&1) || die "$output"
}
