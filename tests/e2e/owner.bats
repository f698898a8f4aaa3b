#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The guest owner's commands, against a running guest and against an owner made of the openssl
# command line alone.

load lib

setup_file() {
	shared_setup
	"$SEVMIG" platform export "$SEVMIG_TESTS_KEYS/plat-a" --out "$SEVMIG_TESTS_KEYS/a"
	"$SEVMIG" platform export "$SEVMIG_TESTS_KEYS/plat-b" --out "$SEVMIG_TESTS_KEYS/b"
}
setup() {
	case_setup
	mem=16M
	append="private=512K shared=64K dirty=100K/s pace=5ms"
	chain=(--chain "$keys/a/pdh.cert" --chain "$keys/a/cert_chain" --chain "$keys/a/ask_ark")
	root=(--root "$keys/a/ark.cert")
}
teardown() { case_teardown; }

# failure PATTERN ARGUMENT...: exit code 1, the reason on stderr and in the JSON.
failure() {
	local pattern=$1 rc=0
	shift
	"$SEVMIG" owner "$@" --json >"$dir/out" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 1 ] || fail "exit code $rc of: $*" "$dir/err"
	grep -qE -- "$pattern" "$dir/err" || fail "no '$pattern': $*" "$dir/err"
	jq -er .error "$dir/out" | grep -qE -- "$pattern"
}

# usage_error PATTERN ARGUMENT...: exit code 2, nothing on stdout.
usage_error() {
	local pattern=$1 rc=0
	shift
	"$SEVMIG" owner "$@" >"$dir/out" 2>"$dir/err" || rc=$?
	[ "$rc" -eq 2 ] || fail "exit code $rc of: $*" "$dir/err"
	[ ! -s "$dir/out" ] || fail "output in spite of wrong usage: $*" "$dir/out"
	grep -qE -- "$pattern" "$dir/err" || fail "no '$pattern': $*" "$dir/err"
}

# --- bytes, with nothing but coreutils and openssl

hex() { od -An -vtx1 "$@" | tr -d ' \n'; }
# shellcheck disable=SC2001,SC2059 # sed's & has no like in the shell; the bytes are the format
unhex() { printf "$(sed 's/../\\x&/g' <<<"$1")"; }
bytes_of() { # FILE OFFSET LENGTH, as hex
	tail -c +"$(($2 + 1))" "$1" | head -c "$3" | hex
}
swap() { # the other byte order
	local s=$1 out=
	while [ -n "$s" ]; do
		out=${s:0:2}$out
		s=${s:2}
	done
	printf %s "$out"
}
zeros() { printf '%0*d' "$((2 * $1))" 0; }
le32() { swap "$(printf %08x "$1")"; }
hmac() { # KEY MESSAGE, both hex
	unhex "$2" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary | hex
}
ctr() { # KEY IV DATA
	unhex "$3" | openssl enc -aes-128-ctr -K "$1" -iv "$2" -nopad | hex
}
kdf() { # KEY LABEL CONTEXT: 128 bits
	hmac "$1" "$(le32 1)$(printf %s "$2" | hex)00$3$(le32 128)" | head -c 32
}
random() { openssl rand -hex "$1"; }

# A P-384 public key as AMD's certificates hold it (x and y, little endian, 72 bytes each), to PEM.
point_to_pem() { # XY_HEX FILE
	local x y
	x=$(swap "${1:0:96}")
	y=$(swap "${1:144:96}")
	unhex "3076301006072a8648ce3d020106052b8104002203620004$x$y" |
		openssl pkey -pubin -inform DER -out "$2"
}
point_of_key() { # PEM: x and y as AMD holds them
	local der
	der=$(openssl pkey -in "$1" -pubout -outform DER | hex)
	printf %s "$(swap "${der:48:96}")$(zeros 24)$(swap "${der:144:96}")$(zeros 24)"
}
# An unsigned certificate: usage, algorithm, point.
cert_make() { # USAGE ALGO XY_HEX
	local empty
	empty=$(le32 0x1000)$(le32 0)$(zeros 512)
	unhex "$(le32 1)00000000$(le32 "$1")$(le32 "$2")$(le32 2)$3$(zeros 880)$empty$empty"
}

measurement_of() { # API_MAJOR API_MINOR BUILD POLICY TIK DIGEST MNONCE
	hmac "$5" "04$(printf '%02x%02x%02x' "$1" "$2" "$3")$(le32 "$4")$6$7"
}

# guest_with SESSION_FILE GODH_FILE [OPTION...]: it is measured when this returns; $measurement.
guest_with() {
	local session=$1 godh=$2
	shift 2
	guest_start owned plat-a a --policy nodbg,noks --cbit 38 --session "$session" --dh "$godh" "$@"
	wait_line "$dir/owned.con" '^tick 1$'
	measurement=$("$SEVMIG" qmp owned query-sev-launch-measure | jq -r .data)
}

# --- certificates

@test "a chain is verified up to the root that is named, by file or by fingerprint" {
	local print
	print=$(sha256sum "$keys/a/ark.cert" | cut -d' ' -f1)
	"$SEVMIG" owner verify "${chain[@]}" "${root[@]}" --json >"$dir/one"
	"$SEVMIG" owner verify "${chain[@]}" --root-fingerprint "${print^^}" --json >"$dir/two"
	cmp "$dir/one" "$dir/two"
	[ "$(jq -r .root.fingerprint "$dir/one")" = "$print" ]
	[ "$(jq -r '."platform-id"' "$dir/one")" = \
		"$("$SEVMIG" platform status "$keys/plat-a" --json | jq -r '."platform-id"')" ]
	jq -e '.root.generation == null' "$dir/one" # no root of AMD's
}

@test "a chain in any order, joined, apart or in base64 is the same chain" {
	cat "$keys"/a/{pdh,pek,oca,cek,ask,ark}.cert >"$dir/sevctl-full"
	cat "$keys"/a/{pdh,pek,oca,cek}.cert >"$dir/sevctl"
	base64 "$keys/a/cert_chain" >"$dir/qemu-cert-chain"
	base64 -w0 "$keys/a/pdh.cert" >"$dir/qemu-pdh"
	"$SEVMIG" owner verify --chain "$dir/sevctl-full" "${root[@]}"
	"$SEVMIG" owner verify --chain "$keys/a/ask_ark" --chain "$dir/sevctl" "${root[@]}"
	"$SEVMIG" owner verify --chain "$dir/qemu-cert-chain" --chain "$dir/qemu-pdh" \
		--chain "$keys/a/ask.cert" "${root[@]}" # the root brings the ARK
}

@test "the first link that does not hold is named" {
	failure 'chain: root ARK has another fingerprint' verify "${chain[@]}" \
		--root-fingerprint "$(zeros 32)"
	"$SEVMIG" platform init "$dir/other"
	"$SEVMIG" platform export "$dir/other" --out "$dir/o"
	failure 'another ARK than the one given before' verify "${chain[@]}" --root "$dir/o/ark.cert"
	local x=$keys/a y=$dir/o
	failure 'ASK.*ARK' verify --chain "$y/ask.cert" --chain "$x/pdh.cert" --chain "$x/cert_chain" "${root[@]}"
	failure 'CEK.*ASK' verify --chain "$x/ask_ark" --chain "$y/cek.cert" --chain "$x/pdh.cert" \
		--chain "$x/pek.cert" --chain "$x/oca.cert" "${root[@]}"
	failure 'PEK.*CEK' verify --chain "$x/ask_ark" --chain "$x/cek.cert" --chain "$x/pdh.cert" \
		--chain "$y/pek.cert" --chain "$y/oca.cert" "${root[@]}"
	failure 'PEK.*OCA' verify --chain "$x/ask_ark" --chain "$x/cek.cert" --chain "$x/pdh.cert" \
		--chain "$x/pek.cert" --chain "$y/oca.cert" "${root[@]}"
	failure 'PDH.*PEK' verify --chain "$x/ask_ark" --chain "$x/cert_chain" --chain "$y/pdh.cert" "${root[@]}"
	failure 'PDH is missing' verify --chain "$x/ask_ark" --chain "$x/cert_chain" "${root[@]}"
	failure 'ASK is missing' verify --chain "$x/pdh.cert" --chain "$x/cert_chain" "${root[@]}"
	failure 'certificate for ASK, not for ARK' verify "${chain[@]}" --root "$x/ask.cert"
}

@test "a CEK that firmware exported unsigned is replaced by the signed one" {
	{
		head -c 1044 "$keys/a/cek.cert"
		unhex "$(le32 0x1000)$(le32 0)$(zeros 512)$(le32 0x1000)$(le32 0)$(zeros 512)"
	} >"$dir/cek"
	cat "$keys"/a/{pdh,pek,oca}.cert "$dir/cek" >"$dir/hardware"
	failure 'CEK' verify --chain "$dir/hardware" --chain "$keys/a/ask_ark" "${root[@]}"
	"$SEVMIG" owner verify --chain "$dir/hardware" --chain "$keys/a/ask_ark" --chain "$keys/a/cek.cert" \
		"${root[@]}"
}

@test "a joined chain is split into its certificates, whatever joined it" {
	cat "$keys"/a/{pdh,pek,oca,cek,ask,ark}.cert >"$dir/full"
	"$SEVMIG" owner split "$dir/full" --out "$dir/full.d" --json | jq -e '.files | length == 6'
	base64 "$keys/a/cert_chain" >"$dir/text"
	"$SEVMIG" owner split "$dir/text" "$keys/a/ask_ark" --out "$dir/two.d"
	local c
	for c in pek oca cek ask ark; do
		cmp "$dir/full.d/$c.cert" "$keys/a/$c.cert"
		cmp "$dir/two.d/$c.cert" "$keys/a/$c.cert"
	done
	cmp "$dir/full.d/pdh.cert" "$keys/a/pdh.cert"
	[ ! -e "$dir/two.d/pdh.cert" ]
	head -c 6000 "$dir/full" >"$dir/cut"
	failure 'at byte 4168' split "$dir/cut" --out "$dir/cut.d"
	cat "$dir/full" "$keys/a/pek.cert" >"$dir/twice"
	failure 'a second PEK' split "$dir/twice" --out "$dir/twice.d"
	echo hello >"$dir/hello"
	failure 'neither certificates nor base64' split "$dir/hello" --out "$dir/hello.d"
	[ ! -e "$dir/cut.d" ]
	[ ! -e "$dir/twice.d" ]
}

@test "certificates are exported in the orders that sevctl and QEMU expect" {
	cat "$keys"/a/{pdh,pek,oca,cek}.cert | cmp - "$keys/a/sev_chain"
	"$SEVMIG" owner verify --chain "$keys/a/sev_chain" --chain "$keys/a/ask_ark" "${root[@]}"
}

# --- session, measurement, secret

@test "a session comes as the files that sevctl, sev-tool and QEMU take, keys for the owner only" {
	"$SEVMIG" owner session --policy 0x3 "${chain[@]}" "${root[@]}" --out "$dir/s" --base64 --json >"$dir/json"
	jq -e '.policy == 3 and (.files | length == 6)' "$dir/json"
	[ "$(stat -c %s "$dir/s_launch_blob.bin" "$dir/s_godh.cert" "$dir/s_tik.bin" "$dir/s_tek.bin" | tr '\n' ' ')" = '128 2084 16 16 ' ]
	[ "$(stat -c %a "$dir/s_tik.bin" "$dir/s_tek.bin" | tr '\n' ' ')" = '600 600 ' ]
	base64 -d "$dir/s_session.b64" | cmp - "$dir/s_launch_blob.bin"
	base64 -d "$dir/s_godh.b64" | cmp - "$dir/s_godh.cert"
	[ "$(bytes_of "$dir/s_godh.cert" 8 8)" = "$(le32 0x1003)$(le32 3)" ]
	# POLICY_MAC covers the policy's four bytes with TIK
	[ "$(bytes_of "$dir/s_launch_blob.bin" 96 32)" = "$(hmac "$(hex "$dir/s_tik.bin")" "$(le32 3)")" ]
	cd "$dir"
	"$SEVMIG" owner session --policy 0x3 "${chain[@]}" "${root[@]}"
	[ -e vm_launch_blob.bin ]
	if cmp -s vm_tik.bin s_tik.bin; then
		fail "two sessions have one key"
	fi
}

@test "no session is made for a platform whose chain does not hold" {
	failure 'PDH.*PEK' session --policy 1 --chain "$keys/b/pdh.cert" --chain "$keys/a/cert_chain" \
		--chain "$keys/a/ask_ark" "${root[@]}" --out "$dir/s"
	[ -z "$(find "$dir" -name 's_*')" ]
	usage_error 'say whom to trust' session --policy 1 "${chain[@]}"
	usage_error '--policy must be given' session "${chain[@]}" "${root[@]}"
	usage_error '--chain must be given' session --policy 1 "${root[@]}"
}

@test "a guest launched with the owner's session has the measurement that the owner computes" {
	need_kvm
	"$SEVMIG" owner session --policy nodbg,noks "${chain[@]}" "${root[@]}" --out "$dir/s"
	guest_with "$dir/s_launch_blob.bin" "$dir/s_godh.cert" --vcpus 2
	local how=(--measurement "$measurement" --tik "$dir/s_tik.bin" --policy 'nodbg,noks' --api 1.55
		--build 21 --sevmig-guest --kernel "$SEVMIG_TESTGUEST" --memory "$mem" --cbit 38)
	"$SEVMIG" owner verify "${how[@]}" --vcpus 2 --append "$append" --json >"$dir/json"
	jq -e '.measurement == "match"' "$dir/json"
	local digest rc
	digest=$(jq -r .digest "$dir/json")
	# The same by openssl
	printf %s "$measurement" | base64 -d >"$dir/measurement"
	[ "$(bytes_of "$dir/measurement" 0 32)" = "$(measurement_of 1 55 21 3 "$(hex "$dir/s_tik.bin")" \
		"$digest" "$(bytes_of "$dir/measurement" 32 16)")" ]
	# Given as a digest, and the measurement as a file
	"$SEVMIG" owner verify --measurement "$dir/measurement" --tik "$dir/s_tik.bin" --policy 3 --api 1.55 \
		--build 21 --digest "$digest"
	# Whatever is different is noticed
	local other
	for other in "--vcpus 1" "--vcpus 2 --memory 32M" "--vcpus 2 --cbit 39" "--vcpus 2 --policy nodbg" \
		"--vcpus 2 --api 1.54" "--vcpus 2 --build 20" "--vcpus 2 --append $append." "--vcpus 2 --tik $dir/s_tek.bin"; do
		rc=0
		# shellcheck disable=SC2086 # options and values; the command line is the last of them
		case $other in
		*--append*) "$SEVMIG" owner verify "${how[@]}" --vcpus 2 --append "$append." --json >"$dir/json" || rc=$? ;;
		*) "$SEVMIG" owner verify "${how[@]}" --append "$append" $other --json >"$dir/json" || rc=$? ;;
		esac
		[ "$rc" -eq 1 ] || fail "exit code $rc with $other"
		jq -e '.measurement == "mismatch"' "$dir/json"
	done
}

@test "another platform and another policy do not take the session" {
	need_kvm
	"$SEVMIG" owner session --policy nodbg "${chain[@]}" "${root[@]}" --out "$dir/s"
	local session=(--dh "$dir/s_godh.cert" --session "$dir/s_launch_blob.bin") rc=0
	guest_start other plat-b b --policy nodbg "${session[@]}"
	wait "$last_pid" || rc=$?
	[ "$rc" -eq 1 ]
	has_line "$dir/other.log" 'LAUNCH_START.*BAD_MEASUREMENT'
	rc=0
	guest_start lax plat-a a --policy 0 "${session[@]}"
	wait "$last_pid" || rc=$?
	[ "$rc" -eq 1 ]
	has_line "$dir/lax.log" 'LAUNCH_START.*BAD_MEASUREMENT'
}

@test "an owner made of openssl alone launches a guest and verifies it" {
	need_kvm
	local tek tik nonce iv z ms kek kik wrapped digest
	tek=$(random 16) tik=$(random 16) nonce=$(random 16) iv=$(random 16)
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$dir/own.pem"
	point_to_pem "$(bytes_of "$keys/a/pdh.cert" 20 144)" "$dir/pdh.pem"
	z=$(openssl pkeyutl -derive -inkey "$dir/own.pem" -peerkey "$dir/pdh.pem" | hex)
	ms=$(kdf "$z" sev-master-secret "$nonce")
	kek=$(kdf "$ms" sev-kek '')
	kik=$(kdf "$ms" sev-kik '')
	wrapped=$(ctr "$kek" "$iv" "$tek$tik")
	unhex "$nonce$wrapped$iv$(hmac "$kik" "$wrapped")$(hmac "$tik" "$(le32 3)")" >"$dir/blob"
	cert_make 0x1003 3 "$(point_of_key "$dir/own.pem")" >"$dir/godh"
	[ "$(stat -c %s "$dir/blob" "$dir/godh" | tr '\n' ' ')" = '128 2084 ' ]
	guest_with "$dir/blob" "$dir/godh"
	unhex "$tek$tik" >"$dir/tk"
	"$SEVMIG" owner verify --measurement "$measurement" --tk "$dir/tk" --policy 3 --api 1.55 --build 21 \
		--sevmig-guest --kernel "$SEVMIG_TESTGUEST" --memory "$mem" --cbit 38 --append "$append" \
		--json >"$dir/json"
	digest=$(jq -r .digest "$dir/json")
	printf %s "$measurement" | base64 -d >"$dir/measurement"
	[ "$(bytes_of "$dir/measurement" 0 32)" = \
		"$(measurement_of 1 55 21 3 "$tik" "$digest" "$(bytes_of "$dir/measurement" 32 16)")" ]
}

@test "a secret packet is what openssl makes of the same table" {
	local tek tik measure hdr data plain
	tek=$(random 16) tik=$(random 16) measure=$(random 48)
	unhex "$tek" >"$dir/tek"
	unhex "$tik" >"$dir/tik"
	unhex "$tek$tik" >"$dir/tk"
	unhex "$measure" >"$dir/measure"
	printf MY-LUKS-PASSPHRASE >"$dir/pass"
	printf 12345 >"$dir/five"
	local both=(--secret "736869e5-84f0-4973-92ec-06879ce3da0b:$dir/pass"
		--secret "e6f5a162-d67f-4750-a67c-5d065f2a9910:$dir/five")
	"$SEVMIG" owner secret "${both[@]}" --tik "$dir/tik" --tek "$dir/tek" --measurement "$dir/measure" \
		--out "$dir/p" --base64 --json >"$dir/json"
	hdr=$(hex "$dir/p_secret_header.bin")
	data=$(hex "$dir/p_secret.bin")
	[ "${#hdr}" -eq 104 ]
	plain=$(ctr "$tek" "${hdr:8:32}" "$data")
	# 20 + (20 + 18) + (20 + 5) = 83 bytes, padded to 96
	[ "$plain" = "42f5741edd71664d963eef4287ff173b$(le32 83)e5696873f084734992ec06879ce3da0b$(le32 38)$(printf MY-LUKS-PASSPHRASE | hex)62a1f5e67fd65047a67c5d065f2a9910$(le32 25)$(printf 12345 | hex)$(zeros 13)" ]
	[ "${hdr:0:8}" = 00000000 ]
	[ "${hdr:40}" = "$(hmac "$tik" "01$(le32 0)${hdr:8:32}$(le32 96)$(le32 96)$data${measure:0:64}")" ]
	# What QMP takes
	[ "$(jq -r '."packet-header"' "$dir/json")" = "$(base64 -w0 "$dir/p_secret_header.bin")" ]
	[ "$(jq -r .secret "$dir/json")" = "$(cat "$dir/p_secret.b64")" ]
	"$SEVMIG" owner secret "${both[@]}" --tk "$dir/tk" --measurement "$(base64 -w0 "$dir/measure")" --out "$dir/q"
	hdr=$(hex "$dir/q_secret_header.bin")
	[ "$(ctr "$tek" "${hdr:8:32}" "$(hex "$dir/q_secret.bin")")" = "$plain" ]
	failure 'have one GUID' secret "${both[0]}" "${both[1]}" "${both[0]}" "${both[1]}" --tk "$dir/tk" \
		--measurement "$dir/measure" --out "$dir/r"
	head -c 16345 /dev/zero >"$dir/big"
	failure '16384 bytes' secret --secret "736869e5-84f0-4973-92ec-06879ce3da0b:$dir/big" --tk "$dir/tk" \
		--measurement "$dir/measure" --out "$dir/r"
	failure 'not GUID:FILE' secret --secret "$dir/pass" --tk "$dir/tk" --measurement "$dir/measure" --out "$dir/r"
	failure 'neither 48 bytes nor base64' secret "${both[@]}" --tk "$dir/tk" --measurement "$dir/five" --out "$dir/r"
	failure 'five: not the 16 bytes of a key' secret "${both[@]}" --tik "$dir/five" --tek "$dir/tek" \
		--measurement "$dir/measure" --out "$dir/r"
	[ -z "$(find "$dir" -name 'r_*')" ]
}

# --- QEMU's guests

@test "the digest of a firmware is that of its file, with hashes and registers behind it" {
	local f=$dir/firmware hashes d
	# A table: hash area, reset vector, footer; then 32 bytes of code
	d=$(le32 0x810c00)$(le32 0x400)1a00$(swap 7255371f)$(swap 3a3b)$(swap 4b04)927b1da6efa8d454
	d+=$(le32 0x80b004)1600$(swap 00f771de)$(swap 1a7e)$(swap 4fcb)890e68c77e2fb44e
	d+=4200$(swap 96b582de)$(swap 1fb2)$(swap 45f7)baeaa366c55a082d
	{
		head -c 3998 /dev/zero
		unhex "$d$(zeros 32)"
	} >"$f"
	[ "$(stat -c %s "$f")" -eq 4096 ]
	[ "$("$SEVMIG" owner verify --firmware "$f" --json | jq -r .digest)" = "$(sha256sum "$f" | cut -d' ' -f1)" ]
	printf kernel >"$dir/k"
	printf initrd >"$dir/i"
	sha() { "$@" | openssl dgst -sha256 -binary | hex; }
	hashes=06d63894224fc94cb479a793d411fd21a800
	hashes+=d82dd09720bd944caa78e7714d36ab2a3200$(sha printf 'console=ttyS0\0')
	hashes+=31f7ba442f3ad74b9af141e29169781d3200$(sha cat "$dir/i")
	hashes+=3794e74dd2ab7f42b835d5b172d2045b3200$(sha cat "$dir/k")$(zeros 8)
	unhex "$hashes" >"$dir/hashes"
	local measured=(--firmware "$f" --kernel-hashes --kernel "$dir/k" --initrd "$dir/i" --append console=ttyS0)
	[ "$("$SEVMIG" owner verify "${measured[@]}" --json | jq -r .digest)" = \
		"$(cat "$f" "$dir/hashes" | sha256sum | cut -d' ' -f1)" ]
	# With registers: one more vCPU is another digest, and so is another way to initialise
	local seen=() es
	for es in "--vcpus 1" "--vcpus 2" "--vcpus 2 --init2" "--vcpus 2 --cpu-type EPYC-Milan"; do
		# shellcheck disable=SC2086
		seen+=("$("$SEVMIG" owner verify "${measured[@]}" --policy es --cpu-type EPYC $es --json | jq -r .digest)")
	done
	[ "$(printf '%s\n' "${seen[@]}" | sort -u | wc -l)" -eq 4 ]
	[ "$("$SEVMIG" owner verify "${measured[@]}" --policy es --cpu-signature 0xa00f11 --vcpus 2 --json |
		jq -r .digest)" = "${seen[3]}" ]
}

@test "a firmware without the tables needed is refused with the reason" {
	head -c 4096 /dev/zero >"$dir/f"
	printf kernel >"$dir/k"
	failure 'no GUID table' verify --firmware "$dir/f" --kernel-hashes --kernel "$dir/k"
	failure 'no GUID table' verify --firmware "$dir/f" --policy es --vcpus 2 --cpu-type EPYC
	failure 'CPU Pentium: none of' verify --firmware "$dir/f" --policy es --cpu-type Pentium
}

# --- reports

@test "a report signed by openssl with the platform's key is verified and shown" {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$dir/pek.pem"
	cert_make 0x1002 2 "$(point_of_key "$dir/pek.pem")" >"$dir/pek"
	local mnonce digest signed rs r s
	mnonce=$(random 16) digest=$(random 32)
	signed=$mnonce$digest$(le32 3)
	unhex "$signed" | openssl dgst -sha256 -sign "$dir/pek.pem" -out "$dir/sig"
	rs=$(openssl asn1parse -inform DER -in "$dir/sig" | sed -n 's/.*INTEGER *://p' | tr A-F a-f)
	r=$(printf '%96s' "$(sed -n 1p <<<"$rs")" | tr ' ' 0)
	s=$(printf '%96s' "$(sed -n 2p <<<"$rs")" | tr ' ' 0)
	unhex "$signed$(le32 0x1002)$(le32 2)$(le32 0)$(swap "$r")$(zeros 24)$(swap "$s")$(zeros 24)" >"$dir/report"
	"$SEVMIG" owner report "$dir/report" --pek "$dir/pek" --digest "$digest" --mnonce "$mnonce" --json >"$dir/json"
	jq -e --arg d "$digest" --arg n "$mnonce" '.digest == $d and .mnonce == $n and .policy == 3' "$dir/json"
	base64 "$dir/report" >"$dir/report.b64"
	"$SEVMIG" owner report "$dir/report.b64" --pek "$dir/pek" | grep -qx "policy       0x3 nodbg noks"
	failure 'another launch digest' report "$dir/report" --pek "$dir/pek" --digest "$(zeros 32)"
	failure 'another mnonce' report "$dir/report" --pek "$dir/pek" --mnonce "$(zeros 16)"
	failure 'not signed by this PEK' report "$dir/report" "${chain[@]}" "${root[@]}"
	failure 'not signed by this PEK' report "$dir/report" --pek "$keys/a/pek.cert"
	failure 'no PEK in it' report "$dir/report" --pek "$keys/a/oca.cert"
	usage_error 'stands for itself' report "$dir/report" --pek "$dir/pek" "${root[@]}"
	usage_error '--chain must be given' report "$dir/report"
}

@test "options that contradict each other or are not enough are refused" {
	local m=(--measurement x --tik t --policy 1 --api 1.55 --build 21)
	usage_error 'nothing to verify' verify
	usage_error 'say whom to trust' verify "${chain[@]}"
	usage_error '--measurement needs' verify "${m[@]}"
	usage_error '--measurement needs' verify --measurement x --digest "$(zeros 32)" --tik t --policy 1 --api 1.55
	usage_error 'not a version' verify --digest x --api one
	usage_error 'more than 255' verify --digest x --build 256
	usage_error 'more than 255' verify --digest x --build 257
	usage_error 'neither --firmware nor --sevmig-guest' verify --digest x --firmware y
	usage_error 'without --kernel-hashes' verify --firmware y --kernel k
	usage_error 'need --firmware or --sevmig-guest' verify --digest x --kernel k
	usage_error '--kernel-hashes needs' verify --firmware y --kernel-hashes
	usage_error 'registers are measured' verify --firmware y --policy es
	usage_error 'needs the --kernel' verify --sevmig-guest
	usage_error 'needs the --cbit' verify --sevmig-guest --kernel k
	usage_error 'registers are measured' verify --sevmig-guest --kernel k --cbit 47 --policy es
	usage_error "for QEMU's guests" verify --sevmig-guest --kernel k --firmware f --init2
	usage_error '--secret and --measurement' secret --tk t
	usage_error '--tik and --tek' secret --secret a:b --measurement m --tik t
	usage_error 'arguments missing' split
}
