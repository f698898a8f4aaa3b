# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a launch measures, computed once more from the documents alone, with printf, dd and the openssl
# command: nothing here knows a line of the program's.

# le BYTES N: the number as hexadecimal digits, little endian
le() {
	local i out=
	for ((i = 0; i < $1; i++)); do
		out+=$(printf '%02x' $(($2 >> 8 * i & 255)))
	done
	printf '%s' "$out"
}

# unhex: bytes of the hexadecimal digits on standard input
unhex() {
	printf '%b' "$(sed 's/../\\x&/g')"
}

# put FILE OFFSET HEX
put() {
	printf '%s' "$3" | unhex | dd of="$1" bs=1 seek="$(($2))" conv=notrunc status=none
}

# number FILE OFFSET BYTES: the little-endian number that stands there, in decimal
number() {
	printf '%d' "0x$(od -An -tx1 -v -j "$(($2))" -N "$3" "$1" | tr -d '\n' |
		awk '{ for (i = NF; i > 0; i--) printf "%s", $i }')"
}

# guid GUID: its bytes in a file, as hexadecimal digits
guid() {
	local a b c d e
	IFS=- read -r a b c d e <<<"$1"
	printf '%s' "$(le 4 $((16#$a)))$(le 2 $((16#$b)))$(le 2 $((16#$c)))$d$e"
}

# firmware_entry FIRMWARE GUID: the offset of its data in OVMF's table of GUIDs, which ends 32 bytes
# before the image does and is read backwards: data, u16 length of all of it, GUID. Nothing: none.
firmware_entry() {
	local size at start want length
	size=$(stat -Lc %s "$1")
	at=$((size - 0x30))
	[ "$(od -An -tx1 -v -j $at -N 16 "$1" | tr -d ' \n')" = \
		"$(guid 96b582de-1fb2-45f7-baea-a366c55a082d)" ] || return 0
	start=$((at + 16 - $(number "$1" $((at - 2)) 2)))
	want=$(guid "$2")
	at=$((at - 2))
	while [ $((at - 18)) -ge "$start" ]; do
		length=$(number "$1" $((at - 18)) 2)
		if [ "$(od -An -tx1 -v -j $((at - 16)) -N 16 "$1" | tr -d ' \n')" = "$want" ]; then
			echo $((at - length))
			return
		fi
		at=$((at - length))
	done
}

# es_reset FIRMWARE: where it lets secondary vCPUs start
es_reset() {
	local at
	at=$(firmware_entry "$1" 00f771de-1a7e-4fcb-890e-68c77e2fb44e)
	number "$1" "$at" 4
}

# vmsa_reset FILE SIGNATURE RESET: a page of registers after reset, of a VM of KVM_SEV_ES_INIT: AMD64
# Architecture Programmer's Manual 2, table B-4; SVME, CR0 and CR4 as KVM changes them. RESET 0: the
# first vCPU.
vmsa_reset() {
	local at cs_base=0xffff0000 rip=0xfff0
	[ "$3" -eq 0 ] || cs_base=$(($3 & 0xffff0000)) rip=$(($3 & 0xffff))
	head -c 4096 /dev/zero >"$1"
	for at in 0x000 0x020 0x030 0x040 0x050; do # ES, SS, DS, FS, GS: selector, attributes, limit
		put "$1" $at "0000$(le 2 0x93)$(le 4 0xffff)"
	done
	put "$1" 0x010 "$(le 2 0xf000)$(le 2 0x9b)$(le 4 0xffff)$(le 8 "$cs_base")"
	put "$1" 0x064 "$(le 4 0xffff)"                  # GDTR
	put "$1" 0x070 "0000$(le 2 0x82)$(le 4 0xffff)"  # LDTR
	put "$1" 0x084 "$(le 4 0xffff)"                  # IDTR
	put "$1" 0x090 "0000$(le 2 0x8b)$(le 4 0xffff)"  # TR
	put "$1" 0x0d0 "$(le 8 0x1000)"                  # EFER
	put "$1" 0x148 "$(le 8 0x40)"                    # CR4
	put "$1" 0x158 "$(le 8 0x10)"                    # CR0
	put "$1" 0x160 "$(le 8 0x400)$(le 8 0xffff0ff0)" # DR7, DR6
	put "$1" 0x170 "$(le 8 2)$(le 8 "$rip")"         # RFLAGS, RIP
	put "$1" 0x268 "$(le 8 0x0007040600070406)"      # PAT
	put "$1" 0x310 "$(le 8 "$2")"                    # RDX
	put "$1" 0x3e8 "$(le 8 1)"                       # XCR0
}

# vmsa SIGNATURE RESET: that page, which is made once
vmsa() {
	local page=$dir/vmsa-$1-$2
	[ -f "$page" ] || vmsa_reset "$page" "$1" "$2"
	cat "$page"
}

# es_digest FIRMWARE VCPUS SIGNATURE: of QEMU's launch, in hexadecimal: firmware, then a page a vCPU
es_digest() {
	local i reset
	reset=$(es_reset "$1")
	{
		cat "$1"
		vmsa "$3" 0
		for ((i = 1; i < $2; i++)); do
			vmsa "$3" "$reset"
		done
	} | openssl dgst -sha256 -r | cut -d' ' -f1
}

# measurement_is MEASURED TIK API-MAJOR API-MINOR BUILD POLICY DIGEST: do the 48 bytes in the file
# MEASURED say so? SEV API, LAUNCH_MEASURE: 4, version, policy, digest, nonce, under the session's
# TIK.
measurement_is() {
	{
		printf '04%02x%02x%02x%s%s' "$3" "$4" "$5" "$(le 4 "$6")" "$7" | unhex
		tail -c 16 "$1"
	} | openssl dgst -sha256 -mac HMAC -binary \
		-macopt "hexkey:$(od -An -tx1 -v "$2" | tr -d ' \n')" |
		cmp - <(head -c 32 "$1")
}
