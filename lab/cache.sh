# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For sourcing, after tools/lib.sh: what lab/prepare and lab/debian make is kept in $CACHE. An entry
# appears by rename, so one that exists is whole; one that nobody used for two weeks goes.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/sevmig/lab
find "$CACHE" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} + 2>/dev/null || :

# make_entry NAME COMMAND...: run COMMAND with a new directory as its last argument; it becomes
# cache entry NAME, whole or not at all, whoever else does the same at the same time.
make_entry() {
	local name=$1 tmp

	shift
	if [ ! -d "$CACHE/$name" ]; then
		mkdir -p "$CACHE"
		tmp=$(mktemp -d "$CACHE/.new.XXXXXX")
		# Called plainly: in a condition the shell would go on past failures in it.
		"$@" "$tmp"
		chmod 755 "$tmp"
		mv -T "$tmp" "$CACHE/$name" 2>/dev/null || [ -d "$CACHE/$name" ] ||
			die "cannot make $CACHE/$name"
		rm -rf "$tmp"
	fi
	touch "$CACHE/$name"
}
