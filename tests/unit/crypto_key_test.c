/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/key.h"
#include "tests/unit/hex.h"

static void ec_signature_holds_until_anything_changes(void **state)
{
	auto_ec_key struct ec_key *k = NULL;
	uint8_t msg[10] = "ten bytes", sig[EC_SIG_LEN], zero[24] = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ec_key_generate(&k, &e), 0);
	assert_int_equal(ec_key_sign(k, CRYPTO_SHA256, msg, 10, sig, &e), 0);
	assert_memory_equal(sig + 48, zero, 24); /* little endian, zero extended */
	assert_memory_equal(sig + 72 + 48, zero, 24);
	assert_int_equal(ec_key_verify(k, CRYPTO_SHA256, msg, 10, sig, &e), 0);
	assert_int_equal(ec_key_verify(k, CRYPTO_SHA384, msg, 10, sig, &e), -EKEYREJECTED);
	assert_int_equal(ec_key_verify(k, CRYPTO_SHA256, msg, 9, sig, &e), -EKEYREJECTED);
	for (size_t i = 0; i < EC_SIG_LEN; i++) {
		sig[i] ^= 1;
		assert_int_equal(ec_key_verify(k, CRYPTO_SHA256, msg, 10, sig, &e), -EKEYREJECTED);
		sig[i] ^= 1;
	}
	memset(sig, 0, sizeof(sig));
	assert_int_equal(ec_key_verify(k, CRYPTO_SHA256, msg, 10, sig, &e), -EKEYREJECTED);
}

static void ec_key_comes_back_from_its_scalar_and_its_point(void **state)
{
	auto_ec_key struct ec_key *k = NULL;
	auto_ec_key struct ec_key *again = NULL;
	auto_ec_key struct ec_key *pub = NULL;
	uint8_t p1[2 * EC_COORD_LEN], p2[2 * EC_COORD_LEN], sig[EC_SIG_LEN];
	struct secret d = { 0 }, z1 = { 0 }, z2 = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ec_key_generate(&k, &e), 0);
	assert_int_equal(ec_key_scalar(k, &d, &e), 0);
	assert_int_equal(ec_key_of_scalar(d.b, &again, &e), 0);
	assert_int_equal(ec_key_point(k, p1, p1 + EC_COORD_LEN, &e), 0);
	assert_int_equal(ec_key_point(again, p2, p2 + EC_COORD_LEN, &e), 0);
	assert_memory_equal(p1, p2, sizeof(p1));
	assert_int_equal(ec_key_of_point(p1, p1 + EC_COORD_LEN, &pub, &e), 0);
	assert_int_equal(ec_key_sign(again, CRYPTO_SHA256, "x", 1, sig, &e), 0);
	assert_int_equal(ec_key_verify(pub, CRYPTO_SHA256, "x", 1, sig, &e), 0);
	assert_true(ec_key_has_private(again));
	assert_false(ec_key_has_private(pub));
	assert_int_equal(ec_key_sign(pub, CRYPTO_SHA256, "x", 1, sig, &e), -ENOKEY);
	assert_int_equal(ec_key_scalar(pub, &d, &e), -ENOKEY);
	assert_int_equal(ec_key_derive(pub, k, &z1, &e), -ENOKEY);
	assert_int_equal(ec_key_derive(k, pub, &z1, &e), 0);
	assert_int_equal(ec_key_derive(again, k, &z2, &e), 0);
	assert_memory_equal(z1.b, z2.b, P384_LEN);
}

static void ec_refuses_what_is_not_on_the_curve(void **state)
{
	auto_ec_key struct ec_key *k = NULL;
	struct ec_key *none = NULL;
	uint8_t x[EC_COORD_LEN], y[EC_COORD_LEN], zero[EC_COORD_LEN] = { 0 }, ff[P384_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ec_key_generate(&k, &e), 0);
	assert_int_equal(ec_key_point(k, x, y, &e), 0);
	y[0] ^= 1;
	assert_int_equal(ec_key_of_point(x, y, &none, &e), -EINVAL);
	y[0] ^= 1;
	x[48] = 1; /* too large */
	assert_int_equal(ec_key_of_point(x, y, &none, &e), -EINVAL);
	assert_int_equal(ec_key_of_point(zero, zero, &none, &e), -EINVAL);
	assert_int_equal(ec_key_of_scalar(zero, &none, &e), -EINVAL);
	memset(ff, 0xff, sizeof(ff));
	assert_int_equal(ec_key_of_scalar(ff, &none, &e), -EINVAL);
	assert_null(none);
}

static void rsa_signature_holds_until_anything_changes(void **state)
{
	auto_rsa_key struct rsa_key *k = NULL;
	auto_rsa_key struct rsa_key *pub = NULL;
	uint8_t n[256], x[256], sig[256];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(rsa_key_generate(2048, &k, &e), 0);
	assert_int_equal(rsa_key_numbers(k, n, x, &e), 0);
	assert_hex_equal(x, "0100010000");
	assert_int_equal(rsa_key_of_numbers(2048, n, x, &pub, &e), 0);
	assert_int_equal(rsa_key_bits(pub), 2048);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(rsa_key_sign(k, CRYPTO_SHA256, "message", 7, sig, &e), 0);
		assert_true(sig[255] != 0); /* virtee's verifier needs the top byte */
		assert_int_equal(rsa_key_verify(pub, CRYPTO_SHA256, "message", 7, sig, &e), 0);
	}
	assert_int_equal(rsa_key_verify(pub, CRYPTO_SHA384, "message", 7, sig, &e), -EKEYREJECTED);
	assert_int_equal(rsa_key_verify(pub, CRYPTO_SHA256, "messagE", 7, sig, &e), -EKEYREJECTED);
	for (size_t i = 0; i < 256; i += 17) {
		sig[i] ^= 1;
		assert_int_equal(rsa_key_verify(pub, CRYPTO_SHA256, "message", 7, sig, &e),
				 -EKEYREJECTED);
		sig[i] ^= 1;
	}
	assert_int_equal(rsa_key_sign(pub, CRYPTO_SHA256, "message", 7, sig, &e), -ENOKEY);
}

static void rsa_key_comes_back_from_der(void **state)
{
	auto_rsa_key struct rsa_key *k = NULL;
	auto_rsa_key struct rsa_key *again = NULL;
	struct rsa_key *none = NULL;
	auto_buf struct buf der = { 0 };
	uint8_t sig[256];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(rsa_key_generate(2048, &k, &e), 0);
	assert_int_equal(rsa_key_put(k, &der, &e), 0);
	assert_int_equal(rsa_key_get(der.p, der.len, &again, &e), 0);
	assert_int_equal(rsa_key_sign(again, CRYPTO_SHA384, "m", 1, sig, &e), 0);
	assert_int_equal(rsa_key_verify(k, CRYPTO_SHA384, "m", 1, sig, &e), 0);
	for (size_t n = 0; n < der.len; n += 97)
		assert_int_equal(rsa_key_get(der.p, n, &none, &e), -EINVAL);
	der.p[0] ^= 0xff;
	assert_int_equal(rsa_key_get(der.p, der.len, &none, &e), -EINVAL);
	assert_null(none);
}

static void rsa_refuses_odd_sizes_and_numbers(void **state)
{
	uint8_t n[512] = { 1 }, x[512] = { 1, 0, 1 };
	struct rsa_key *none = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(rsa_key_generate(1024, &none, &e), -EINVAL);
	assert_int_equal(rsa_key_of_numbers(3072, n, x, &none, &e), -EINVAL);
	assert_int_equal(rsa_key_of_numbers(2048, n, x, &none, &e), -EINVAL); /* top bit clear */
	n[255] = 0x80;
	n[0] = 2;
	assert_int_equal(rsa_key_of_numbers(2048, n, x, &none, &e), -EINVAL); /* even */
	n[0] = 3;
	x[0] = 2;
	assert_int_equal(rsa_key_of_numbers(2048, n, x, &none, &e), -EINVAL); /* even exponent */
	x[0] = 3;
	x[20] = 1;
	assert_int_equal(rsa_key_of_numbers(2048, n, x, &none, &e), -EINVAL); /* long exponent */
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ec_signature_holds_until_anything_changes),
		cmocka_unit_test(ec_key_comes_back_from_its_scalar_and_its_point),
		cmocka_unit_test(ec_refuses_what_is_not_on_the_curve),
		cmocka_unit_test(rsa_signature_holds_until_anything_changes),
		cmocka_unit_test(rsa_key_comes_back_from_der),
		cmocka_unit_test(rsa_refuses_odd_sizes_and_numbers),
	};

	return cmocka_run_group_tests_name("crypto_key", tests, NULL, NULL);
}
