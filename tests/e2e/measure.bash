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

# --- guests of sevmig run with a firmware: doc/man/sevmig-owner.1.pod, "verify"

# hash FILE: hexadecimal
hash() {
	openssl dgst -sha256 -r "$1" | cut -d' ' -f1
}

# elf_packed ELF FILE: the kernel as the firmware is handed it: a page that says where its segments
# go, then their bytes, nothing between them.
elf_packed() {
	local n size at i k=0 head
	n=$(number "$1" 56 2) size=$(number "$1" 54 2)
	at=$(number "$1" 32 8)
	: >"$2.bytes"
	for ((i = 0; i < n; i++, at += size)); do
		[ "$(number "$1" $at 4)" -eq 1 ] && [ "$(number "$1" $((at + 40)) 8)" -gt 0 ] || continue # PT_LOAD
		head+=$(le 8 "$(number "$1" $((at + 24)) 8)")$(le 8 "$(number "$1" $((at + 40)) 8)")
		head+=$(le 8 "$(number "$1" $((at + 32)) 8)")
		tail -c +$(($(number "$1" $((at + 8)) 8) + 1)) "$1" | head -c "$(number "$1" $((at + 32)) 8)" >>"$2.bytes"
		k=$((k + 1))
	done
	head -c 4096 /dev/zero >"$2"
	put "$2" 0 "$(printf sevmigkn | od -An -tx1 -v | tr -d ' \n')$(le 8 "$(number "$1" 24 8)")$(le 4 1)$(le 4 $k)$head"
	# A kernel without a setup header of Linux's is handed this one: flag, "HdrS", 2.15, loaded high,
	# where an initial RAM disk may end, alignment, length of the command line.
	put "$2" 0x1fe "$(le 2 0xaa55)"
	put "$2" 0x202 "$(le 4 0x53726448)$(le 2 0x20f)"
	put "$2" 0x211 01
	put "$2" 0x22c "$(le 4 0x7fffffff)$(le 4 0x1000000)"
	put "$2" 0x238 "$(le 4 2047)"
	cat "$2.bytes" >>"$2"
}

# hashes_table KERNEL INITRD APPEND FILE: QEMU's layout; each entry is GUID, u16 length, SHA-256
hashes_table() {
	local entry
	entry=$(le 2 50)
	printf '%s\0' "$3" >"$4.append"
	{
		printf '%s%s' "$(guid 9438d606-4f22-4cc9-b479-a793d411fd21)" "$(le 2 168)"
		printf '%s%s%s' "$(guid 97d02dd8-bd20-4c94-aa78-e7714d36ab2a)" "$entry" "$(hash "$4.append")"
		printf '%s%s%s' "$(guid 44baf731-3a2f-4bd7-9af1-41e29169781d)" "$entry" "$(hash "$2")"
		printf '%s%s%s' "$(guid 4de79437-abd2-427f-b835-d5b172d2045b)" "$entry" "$(hash "$1")"
		printf '%016d' 0
	} | unhex >"$4"
}

# sevmig_digest FIRMWARE ELF APPEND VCPUS SIGNATURE: without an initial RAM disk. VCPUS 0: plain SEV.
sevmig_digest() {
	local i reset
	elf_packed "$2" "$dir/packed"
	hashes_table "$dir/packed" /dev/null "$3" "$dir/hashes"
	reset=$(es_reset "$1")
	{
		cat "$1" "$dir/hashes"
		for ((i = 0; i < $4; i++)); do
			vmsa "$5" $((i ? reset : 0))
		done
	} | openssl dgst -sha256 -r | cut -d' ' -f1
}
