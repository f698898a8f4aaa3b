/* SPDX-License-Identifier: Apache-2.0 */

/* Known answers: sev-tool's and virtee/sev's unit tests, sevctl's secret test, and two computed
 * with an independent implementation. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/kdf.h"
#include "crypto/session.h"
#include "tests/unit/hex.h"

static struct secret secret_of(const char *hex)
{
	struct secret s = { 0 };

	s.len = hex_get(hex, s.b);
	return s;
}

#define ZERO16 "00000000000000000000000000000000"
#define COUNT16 "000102030405060708090a0b0c0d0e0f"
#define TEK_D "101112131415161718191a1b1c1d1e1f"
#define TIK_D "202122232425262728292a2b2c2d2e2f"

static void derives_published_keys_from_zero(void **state)
{
	struct secret z = secret_of(ZERO16), ms = { .len = 16 };
	struct session_master m;
	uint8_t nonce[16] = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypto_kdf_sev(&z, "sev-master-secret", nonce, 16, &ms, &e), 0);
	assert_hex_equal(ms.b, "ab4d269fcc62bedb4511d56c386ce706");
	assert_int_equal(session_master_derive(&z, nonce, &m, &e), 0);
	assert_hex_equal(m.kek.b, "b6abfbfb75ea1ea74ed8750b8afdb973");
	assert_hex_equal(m.kik.b, "53b524bf5669a363f365c864acba8572");
}

static void wraps_zero_keys_as_published(void **state)
{
	struct secret z = secret_of(ZERO16);
	struct session_keys k = { secret_of(ZERO16), secret_of(ZERO16) };
	uint8_t nonce[16] = { 0 }, iv[16] = { 0 }, out[SESSION_BUF_LEN];
	struct session_master m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(session_master_derive(&z, nonce, &m, &e), 0);
	assert_int_equal(session_wrap(&m, &k, 0, nonce, iv, out, &e), 0);
	assert_hex_equal(out + 0x10,
			 "2137bc7f9bb8bd7c3e55a576a15d3454b3856b8ba27afadf46dcfee9f02c02c4");
	assert_hex_equal(out + 0x40,
			 "3176c0752738bd9d5e86689534020f528c088f16238826b000b327dee6aeed7d");
	assert_hex_equal(out + 0x60,
			 "aa7855e13839dd767cd5da7c1ff5036540c9264b7a803029315e55375287b4af");
}

static void measures_as_published(void **state)
{
	struct secret tik = secret_of("66320db73158a35a255d051758e95ed4");
	struct session_measured m = { .api_minor = 0x12, .build = 0x0f };
	uint8_t mac[HMAC_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypto_sha256("", 0, m.digest, &e), 0);
	assert_hex_equal(m.digest,
			 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hex_get("4fbe0bedbad6c86ae8f68971d103e554", m.mnonce);
	assert_int_equal(session_measure(&tik, &m, mac, &e), 0);
	assert_hex_equal(mac, "6faab2daae389bcd3405a05d6cafe33c0414f7bedd0bae19ba5f38b7fd1664ea");
}

static void opens_published_secret(void **state)
{
	static const char plain[] = "42f5741edd71664d963eef4287ff173b3a000000e5696873f084734992ec"
				    "06879ce3da0b260000004d592d4c554b532d50415353504852415345"
				    "000000000000";
	static const char cipher[] = "d14ddee4f717bf4516f87e2d48114a39d0987ca135fa3dfc05cd9fb8ed7a"
				     "9988b223eb16c7b20d7e7fa58188f9e862f5db2ca29c36be9557c20b00ff"
				     "db0e5c3c";
	struct session_keys k = { secret_of("52a869b79ab9c13bb6a92b0561619cb3"),
				  secret_of("c6d5a9956133050912b24bbe5c372686") };
	auto_session_packer struct session_packer *p = NULL;
	uint8_t hdr[SESSION_HDR_LEN] = { 0 }, packet[64], out[64], measure[32];
	struct session_packet kind = { .domain = 1, .measure = measure };
	struct err e = { 0 };

	(void)state;
	hex_get("4cb780efad3b959427b4b8d1635fe2fac6ed75267eef9cf1a73e0fc7d873a412", measure);
	hex_get("ac5474ed4dd32c7d989ec523d92559ec", hdr + 4);
	hex_get("bc152cde610e17f0aef557334a2d4fca42c22c4312e3b5b85a3d47b0aac857e5", hdr + 0x14);
	assert_int_equal(hex_get(cipher, packet), 64);
	assert_int_equal(session_packer_new(&k, &p, &e), 0);
	assert_int_equal(session_open(p, &kind, hdr, packet, 64, out, &e), 0);
	assert_hex_equal(out, plain);
}

static void agrees_and_wraps_as_computed_elsewhere(void **state)
{
	uint8_t seven[48] = { [47] = 7 }, eleven[48] = { [47] = 11 };
	uint8_t nonce[16], iv[16], out[SESSION_BUF_LEN];
	struct session_keys k = { secret_of(TEK_D), secret_of(TIK_D) }, got = { 0 };
	auto_ec_key struct ec_key *a = NULL;
	auto_ec_key struct ec_key *b = NULL;
	struct secret z = { 0 }, ms = { .len = 16 };
	struct session_master m;
	struct err e = { 0 };

	(void)state;
	hex_get(COUNT16, nonce);
	hex_get("404142434445464748494a4b4c4d4e4f", iv);
	assert_int_equal(ec_key_of_scalar(seven, &a, &e), 0);
	assert_int_equal(ec_key_of_scalar(eleven, &b, &e), 0);
	assert_int_equal(ec_key_derive(a, b, &z, &e), 0);
	assert_int_equal(z.len, 48);
	assert_hex_equal(z.b, "8366c4994a4f8178be0e80d6e7c06e6c42fa847b2b2112f972bee0a7111c5b8e"
			      "604c9f0f2f029c95c1134cb107e7ef95");
	assert_int_equal(crypto_kdf_sev(&z, "sev-master-secret", nonce, 16, &ms, &e), 0);
	assert_hex_equal(ms.b, "d0bb6f3648d9381b851134068e2b6e3d");
	assert_int_equal(session_master_agree(b, a, nonce, &m, &e), 0);
	assert_hex_equal(m.kek.b, "59854835a307b6552d71a00b7fc1f25e");
	assert_hex_equal(m.kik.b, "2c85dd4255059bbc1d1257b50e47f658");
	assert_int_equal(session_wrap(&m, &k, 3, nonce, iv, out, &e), 0);
	assert_hex_equal(out, COUNT16
			 "3aa06d70a67896da7906b2bd391485b1009ca45b871811fd212b7b478494597c"
			 "404142434445464748494a4b4c4d4e4f"
			 "08f974956f4a37e6072036bffd52f5cba0d4ecc311b6892396363957b082c321"
			 "f19823c14acdfbb8914e451756cce2665abd80f761a711b93ff21f9f58eea123");
	assert_int_equal(session_unwrap(&m, 3, out, &got, &e), 0);
	assert_memory_equal(got.tek.b, k.tek.b, 16);
	assert_memory_equal(got.tik.b, k.tik.b, 16);
}

static void opens_data_packet_as_computed_elsewhere(void **state)
{
	struct session_keys k = { secret_of(TEK_D), secret_of(TIK_D) };
	auto_session_packer struct session_packer *p = NULL;
	const struct session_packet data = { .domain = 2 }, vmsa = { .domain = 3 };
	uint8_t hdr[SESSION_HDR_LEN] = { 0 }, packet[16], out[16], zero[16] = { 0 };
	struct err e = { 0 };

	(void)state;
	hex_get("eda330f90eecd16c003e5fb09bcff358", packet);
	hex_get("9ca1288d411129a6aebcd7fe285a0c969350c8e2182c97c73ed6c3cccf85392a", hdr + 0x14);
	assert_int_equal(session_packer_new(&k, &p, &e), 0);
	assert_int_equal(session_open(p, &data, hdr, packet, 16, out, &e), 0);
	assert_memory_equal(out, zero, 16);
	assert_int_equal(session_open(p, &vmsa, hdr, packet, 16, out, &e), -EBADMSG);
}

static void measures_as_computed_elsewhere(void **state)
{
	struct secret tik = secret_of(TIK_D);
	struct session_measured m = { .api_major = 1, .api_minor = 55, .build = 21, .policy = 3 };
	uint8_t mac[HMAC_LEN], zero[16] = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypto_sha256(zero, 16, m.digest, &e), 0);
	assert_int_equal(session_measure(&tik, &m, mac, &e), 0);
	assert_hex_equal(mac, "09353530b083d877f6e6ec1ddd0e44ef4d1c9648c9071abc758e4855a39c13c6");
}

static void every_changed_byte_behind_the_nonce_is_refused(void **state)
{
	struct secret z = secret_of(ZERO16);
	struct session_keys k = { secret_of(TEK_D), secret_of(TIK_D) }, got;
	uint8_t nonce[16] = { 1 }, iv[16] = { 2 }, good[SESSION_BUF_LEN];
	struct session_master m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(session_master_derive(&z, nonce, &m, &e), 0);
	assert_int_equal(session_wrap(&m, &k, 5, nonce, iv, good, &e), 0);
	assert_int_equal(session_unwrap(&m, 4, good, &got, &e), -EBADMSG);
	for (size_t i = 16; i < sizeof(good); i++) {
		uint8_t bad[SESSION_BUF_LEN];

		memcpy(bad, good, sizeof(bad));
		bad[i] ^= 1;
		memset(&got, 0x5a, sizeof(got));
		assert_int_equal(session_unwrap(&m, 5, bad, &got, &e), -EBADMSG);
		assert_int_equal(got.tek.b[0], 0x5a);
	}
}

static void sealed_packets_differ_and_open(void **state)
{
	struct session_keys k;
	auto_session_packer struct session_packer *p = NULL;
	const struct session_packet data = { .domain = 2 };
	uint8_t h1[SESSION_HDR_LEN], h2[SESSION_HDR_LEN], c1[48], c2[48], out[48];
	uint8_t plain[48] = "the same plain text twice, two cipher texts";
	struct err e = { 0 };

	(void)state;
	assert_int_equal(session_keys_random(&k, &e), 0);
	assert_int_equal(session_packer_new(&k, &p, &e), 0);
	assert_int_equal(session_seal(p, &data, plain, 48, h1, c1, &e), 0);
	assert_int_equal(session_seal(p, &data, plain, 48, h2, c2, &e), 0);
	assert_memory_not_equal(c1, c2, 48);
	assert_int_equal(session_open(p, &data, h1, c1, 48, out, &e), 0);
	assert_memory_equal(out, plain, 48);
	assert_int_equal(session_open(p, &data, h1, c2, 48, out, &e), -EBADMSG);
}

/* The MAC is right, so only the flags are left to refuse. */
static void refuses_packets_with_flags_it_does_not_know(void **state)
{
	struct session_keys k = { secret_of(TEK_D), secret_of(TIK_D) };
	auto_session_packer struct session_packer *p = NULL;
	const struct session_packet data = { .domain = 2 };
	uint8_t in[1 + 20 + 8 + 16] = { 2 }, hdr[SESSION_HDR_LEN] = { 0 }, out[16] = { 9 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(session_packer_new(&k, &p, &e), 0);
	in[21] = in[25] = 16;
	in[1] = hdr[0] = 1;
	assert_int_equal(crypto_hmac(k.tik.b, 16, in, sizeof(in), hdr + 0x14, &e), 0);
	assert_int_equal(session_open(p, &data, hdr, in + 29, 16, out, &e), -ENOTSUP);
	in[1] = hdr[0] = 2;
	assert_int_equal(crypto_hmac(k.tik.b, 16, in, sizeof(in), hdr + 0x14, &e), 0);
	assert_int_equal(session_open(p, &data, hdr, in + 29, 16, out, &e), -EINVAL);
	assert_int_equal(out[0], 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derives_published_keys_from_zero),
		cmocka_unit_test(wraps_zero_keys_as_published),
		cmocka_unit_test(measures_as_published),
		cmocka_unit_test(opens_published_secret),
		cmocka_unit_test(agrees_and_wraps_as_computed_elsewhere),
		cmocka_unit_test(opens_data_packet_as_computed_elsewhere),
		cmocka_unit_test(measures_as_computed_elsewhere),
		cmocka_unit_test(every_changed_byte_behind_the_nonce_is_refused),
		cmocka_unit_test(sealed_packets_differ_and_open),
		cmocka_unit_test(refuses_packets_with_flags_it_does_not_know),
	};

	return cmocka_run_group_tests_name("crypto_session", tests, NULL, NULL);
}
