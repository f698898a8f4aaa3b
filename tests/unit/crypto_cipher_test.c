/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/cipher.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/secret.h"
#include "tests/unit/hex.h"

/* NIST SP 800-38A, F.5.1 */
static void ctr_gives_nist_answer_and_takes_any_length(void **state)
{
	uint8_t key[16], iv[16], in[32], out[32], part[32];
	auto_ctr struct crypto_ctr *c = NULL;
	struct err e = { 0 };

	(void)state;
	hex_get("2b7e151628aed2a6abf7158809cf4f3c", key);
	hex_get("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", iv);
	hex_get("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51", in);
	assert_int_equal(crypto_ctr_new(key, &c, &e), 0);
	assert_int_equal(crypto_ctr_xor(c, iv, in, out, 32, &e), 0);
	assert_hex_equal(out, "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff");
	for (size_t n = 0; n <= 32; n++) {
		memset(part, 0, sizeof(part));
		assert_int_equal(crypto_ctr_xor(c, iv, in, part, n, &e), 0);
		assert_memory_equal(part, out, n);
	}
	assert_int_equal(crypto_ctr_xor(c, iv, out, out, 32, &e), 0);
	assert_memory_equal(out, in, 32);
}

/* RFC 4231, test case 2 */
static void hmac_gives_rfc_answer_each_time_it_is_restarted(void **state)
{
	static const char want[] =
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
	auto_hmac struct crypto_hmac *h = NULL;
	uint8_t mac[HMAC_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypto_hmac_new("Jefe", 4, &h, &e), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(crypto_hmac_start(h, &e), 0);
		assert_int_equal(crypto_hmac_add(h, "what do ya want ", 16, &e), 0);
		assert_int_equal(crypto_hmac_add(h, "for nothing?", 12, &e), 0);
		assert_int_equal(crypto_hmac_end(h, mac, &e), 0);
		assert_hex_equal(mac, want);
	}
	assert_int_equal(crypto_hmac_start(h, &e), 0);
	assert_int_equal(crypto_hmac_add(h, "given up half way", 17, &e), 0);
	assert_int_equal(crypto_hmac_start(h, &e), 0);
	assert_int_equal(crypto_hmac_add(h, "what do ya want for nothing?", 28, &e), 0);
	assert_int_equal(crypto_hmac_end(h, mac, &e), 0);
	assert_hex_equal(mac, want);
	assert_int_equal(crypto_hmac("Jefe", 4, "what do ya want for nothing?", 28, mac, &e), 0);
	assert_hex_equal(mac, want);
}

/* FIPS 180-4 examples */
static void hashes_give_fips_answers(void **state)
{
	auto_hash struct crypto_hash *h = NULL;
	uint8_t out[SHA384_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypto_sha256("abc", 3, out, &e), 0);
	assert_hex_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(crypto_sha384("abc", 3, out, &e), 0);
	assert_hex_equal(out, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
			      "8086072ba1e7cc2358baeca134c825a7");
	assert_int_equal(crypto_hash_new(&h, &e), 0);
	assert_int_equal(crypto_hash_add(h, "a", 1, &e), 0);
	assert_int_equal(crypto_hash_get(h, out, &e), 0);
	assert_int_equal(crypto_hash_add(h, "bc", 2, &e), 0);
	assert_int_equal(crypto_hash_get(h, out, &e), 0);
	assert_hex_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* The GCM specification's test case 16 */
static void gcm_gives_published_answer(void **state)
{
	static const char cipher[] =
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662";
	uint8_t key[32], nonce[12], aad[20], in[60], out[60], tag[16];
	auto_gcm struct crypto_gcm *g = NULL;
	struct err e = { 0 };

	(void)state;
	hex_get("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
	hex_get("cafebabefacedbaddecaf888", nonce);
	hex_get("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
	hex_get("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		in);
	assert_int_equal(crypto_gcm_new(key, &g, &e), 0);
	for (int i = 0; i < 2; i++) { /* the context is reusable, in both directions */
		assert_int_equal(crypto_gcm_seal(g, nonce, aad, 20, in, 60, out, tag, &e), 0);
		assert_hex_equal(out, cipher);
		assert_hex_equal(tag, "76fc6ece0f4e1768cddf8853bb2d551b");
		assert_int_equal(crypto_gcm_open(g, nonce, aad, 20, out, 60, tag, out, &e), 0);
		assert_memory_equal(out, in, 60);
	}
}

static void gcm_refuses_any_change_and_leaves_nothing(void **state)
{
	uint8_t key[32] = { 1 }, nonce[12] = { 2 }, aad[3] = { 3, 4, 5 }, zero[20] = { 0 };
	uint8_t in[20] = "twenty bytes of text", c[20], tag[16], out[20];
	auto_gcm struct crypto_gcm *g = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypto_gcm_new(key, &g, &e), 0);
	assert_int_equal(crypto_gcm_seal(g, nonce, aad, 3, in, 20, c, tag, &e), 0);
	for (size_t i = 0; i < 20 + 16 + 3 + 12; i++) {
		uint8_t *at = i < 20   ? c + i
			      : i < 36 ? tag + (i - 20)
			      : i < 39 ? aad + (i - 36)
				       : nonce + (i - 39);

		*at ^= 0x80;
		memset(out, 0x77, sizeof(out));
		assert_int_equal(crypto_gcm_open(g, nonce, aad, 3, c, 20, tag, out, &e), -EBADMSG);
		assert_memory_equal(out, zero, 20);
		*at ^= 0x80;
	}
	assert_int_equal(crypto_gcm_open(g, nonce, aad, 3, c, 20, tag, out, &e), 0);
}

static void gcm_takes_empty_text_and_empty_aad(void **state)
{
	uint8_t key[32] = { 0 }, nonce[12] = { 0 }, tag[16], one = 0;
	auto_gcm struct crypto_gcm *g = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(crypto_gcm_new(key, &g, &e), 0);
	assert_int_equal(crypto_gcm_seal(g, nonce, NULL, 0, NULL, 0, &one, tag, &e), 0);
	assert_hex_equal(tag, "530f8afbc74536b9a963b4f1c4cb738b"); /* test case 13 */
	assert_int_equal(crypto_gcm_open(g, nonce, NULL, 0, NULL, 0, tag, &one, &e), 0);
	tag[15] ^= 1;
	assert_int_equal(crypto_gcm_open(g, nonce, NULL, 0, NULL, 0, tag, &one, &e), -EBADMSG);
}

/* RFC 5869, test cases 1 and 3 (info is text here, so case 3's empty one) */
static void hkdf_gives_rfc_answer(void **state)
{
	uint8_t ikm[22], salt[13];
	struct secret out = { .len = 42 };
	struct err e = { 0 };

	(void)state;
	memset(ikm, 0x0b, sizeof(ikm));
	assert_int_equal(crypto_hkdf(ikm, 22, NULL, 0, "", &out, &e), 0);
	assert_hex_equal(out.b, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
				"9d201395faa4b61a96c8");
	hex_get("000102030405060708090a0b0c", salt);
	assert_int_equal(crypto_hkdf(ikm, 22, salt, 13, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9",
				     &out, &e),
			 0);
	assert_hex_equal(out.b, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
				"34007208d5b887185865");
	out.len = SECRET_MAX + 1;
	assert_int_equal(crypto_hkdf(ikm, 22, NULL, 0, "", &out, &e), -EINVAL);
}

static void random_bytes_do_not_repeat_nor_come_back_in_a_child(void **state)
{
	uint8_t a[200][16], child[16], big[2000];
	struct err e = { 0 };
	int fd[2], st;
	pid_t pid;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(crypto_random(a[i], 16, &e), 0);
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(a[i], a[j], 16);
	}
	assert_int_equal(crypto_random(big, sizeof(big), &e), 0);
	assert_false(crypto_is_zero(big + sizeof(big) - 16, 16));
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int bad = crypto_random(child, 16, &e) < 0 || write(fd[1], child, 16) != 16;

		_exit(bad);
	}
	assert_int_equal(crypto_random(a[0], 16, &e), 0);
	assert_int_equal(read(fd[0], child, 16), 16);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	assert_memory_not_equal(a[0], child, 16);
	close(fd[0]);
	close(fd[1]);
}

static void compares_and_wipes(void **state)
{
	uint8_t a[5] = { 1, 2, 3, 4, 5 }, b[5] = { 1, 2, 3, 4, 6 }, zero[5] = { 0 };
	struct secret s = { .len = 5, .b = { 1, 2, 3, 4, 5 } };

	(void)state;
	assert_true(crypto_equal(a, a, 5));
	assert_true(crypto_equal(a, b, 4));
	assert_false(crypto_equal(a, b, 5));
	assert_false(crypto_is_zero(a, 5));
	assert_true(crypto_is_zero(zero, 5));
	secret_wipe(&s);
	assert_int_equal(s.len, 0);
	assert_memory_equal(s.b, zero, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ctr_gives_nist_answer_and_takes_any_length),
		cmocka_unit_test(hmac_gives_rfc_answer_each_time_it_is_restarted),
		cmocka_unit_test(hashes_give_fips_answers),
		cmocka_unit_test(gcm_gives_published_answer),
		cmocka_unit_test(gcm_refuses_any_change_and_leaves_nothing),
		cmocka_unit_test(gcm_takes_empty_text_and_empty_aad),
		cmocka_unit_test(hkdf_gives_rfc_answer),
		cmocka_unit_test(random_bytes_do_not_repeat_nor_come_back_in_a_child),
		cmocka_unit_test(compares_and_wipes),
	};

	return cmocka_run_group_tests_name("crypto_cipher", tests, NULL, NULL);
}
