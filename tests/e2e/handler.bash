# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Guests with a migration handler, whose owner gives each its key by files.

: "${SEVMIG_HANDLER:=${SEVMIG%/*}/guest/handler/handler.bin}"
HANDLER_GUID=bbb6c923-ffcb-41c6-a1d1-6ef7c5ace25f

bytes() { # HEX...
	printf '%s' "$@" | sed 's/../\\x&/g' | xargs -0 printf
}

# What an owner needs of the platforms.
handler_keys() {
	local p
	for p in plat-a plat-b; do
		"$SEVMIG" platform export "$SEVMIG_TESTS_KEYS/$p" --out "$SEVMIG_TESTS_KEYS/$p.chain"
	done
}

# owner_key FILE FLAGS [KEY_BYTE [GUEST_BYTE]]: the handler's entry of the secret, doc/HANDLER.md 2.
owner_key() {
	local key=${3:-07} guest=${4:-01} i

	{
		bytes 01000100 "0$2000000"
		for ((i = 0; i < 16; i++)); do bytes "$guest"; done
		for ((i = 0; i < 32; i++)); do bytes "$key"; done
	} >"$1"
}

# owner_answer NAME FLAGS: waits for the measurement, makes the secret.
owner_answer() {
	local s=$dir/$1
	wait_for 20 test -s "$s.measure" || fail "$1 was not measured"
	owner_key "$s.key" "$2" "${KEY_BYTE:-07}"
	"$SEVMIG" owner secret --secret "$HANDLER_GUID:$s.key" --tik "$s"_tik.bin --tek "$s"_tek.bin \
		--measurement "$s.measure" --out "$s" >/dev/null || fail "no secret for $1"
}

# handler_options NAME PLATFORM: a launch session, in $session; the guest then waits for its owner.
handler_options() {
	local c=$keys/$2.chain
	"$SEVMIG" owner session --policy nodbg --chain "$c/pdh.cert" --chain "$c/cert_chain" \
		--chain "$c/ask_ark" --root "$keys/plat-a.chain/ark.cert" --out "$dir/$1" >/dev/null || fail "no session for $1"
	session=(--dh "$dir/$1_godh.cert" --session "$dir/$1_launch_blob.bin" --handler "$SEVMIG_HANDLER"
		--measurement "$dir/$1.measure"
		--launch-secret "$dir/$1_secret_header.bin,$dir/$1_secret.bin")
}

# handler_source NAME PLATFORM FLAGS [OPTION...]
handler_source() {
	local name=$1 plat=$2 flags=$3
	shift 3
	rm -f "$dir/$name".* "$dir/$name"_*
	handler_options "$name" "$plat"
	guest_start "$name" "$plat" a "${session[@]}" "$@"
	owner_answer "$name" "$flags"
}

# handler_target NAME URI PLATFORM FLAGS [OPTION...]
handler_target() {
	local name=$1 want=$2 plat=$3 flags=$4
	shift 4
	rm -f "$dir/$name".* "$dir/$name"_*
	handler_options "$name" "$plat"
	guest_start "$name" "$plat" b --incoming "$want" "${session[@]}" "$@"
	owner_answer "$name" "$flags"
	wait_line "$dir/$name.log" 'listening on '
	# shellcheck disable=SC2034 # the caller's
	uri=$(grep -oE 'listening on .*' "$dir/$name.log" | head -n 1 | cut -d' ' -f3)
}
