/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/key.h"
#include "crypto/sevcert.h"

struct pki {
	struct rsa_key *ark_key, *ask_key;
	struct ec_key *cek_key, *oca_key, *pek_key;
	uint8_t ark[AMDCERT_LEN_4096], ask[AMDCERT_LEN_4096];
	uint8_t cek[SEVCERT_LEN], oca[SEVCERT_LEN], pek[SEVCERT_LEN];
	size_t amd_len;
};

static struct pki pki;

static int pki_make(struct pki *k, unsigned bits, struct err *e)
{
	struct amdcert_head ark = { .usage = SEVCERT_ARK, .key_id = { 1 }, .certifying_id = { 1 } };
	struct amdcert_head ask = { .usage = SEVCERT_ASK, .key_id = { 2 }, .certifying_id = { 1 } };
	struct sevcert_head head = { .api_major = 1, .api_minor = 55, .algo = 2 };

	if (rsa_key_generate(bits, &k->ark_key, e) || rsa_key_generate(bits, &k->ask_key, e) ||
	    ec_key_generate(&k->cek_key, e) || ec_key_generate(&k->oca_key, e) ||
	    ec_key_generate(&k->pek_key, e) ||
	    amdcert_make(&ark, k->ark_key, k->ark_key, k->ark, &k->amd_len, e) ||
	    amdcert_make(&ask, k->ask_key, k->ark_key, k->ask, &k->amd_len, e))
		return -1;
	head.usage = SEVCERT_CEK;
	if (sevcert_make(&head, k->cek_key, k->cek, e) ||
	    sevcert_sign_rsa(k->cek, 0, SEVCERT_ASK, k->ask_key, e))
		return -1;
	head.usage = SEVCERT_OCA;
	if (sevcert_make(&head, k->oca_key, k->oca, e) ||
	    sevcert_sign(k->oca, 0, SEVCERT_OCA, k->oca_key, e))
		return -1;
	head.usage = SEVCERT_PEK;
	if (sevcert_make(&head, k->pek_key, k->pek, e) ||
	    sevcert_sign(k->pek, 0, SEVCERT_OCA, k->oca_key, e) ||
	    sevcert_sign(k->pek, 1, SEVCERT_CEK, k->cek_key, e))
		return -1;
	return 0;
}

static void pki_fini(struct pki *k)
{
	rsa_key_free(k->ark_key);
	rsa_key_free(k->ask_key);
	ec_key_free(k->cek_key);
	ec_key_free(k->oca_key);
	ec_key_free(k->pek_key);
}

static int pki_setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	return pki_make(&pki, 2048, &e);
}

static int pki_teardown(void **state)
{
	(void)state;
	pki_fini(&pki);
	return 0;
}

static int get(const uint8_t *p, size_t len, struct sevcert *out)
{
	struct rd in = rd_of(p, len);
	struct err e = { 0 };

	return sevcert_get(&in, out, &e);
}

static int get_amd(const uint8_t *p, size_t len, struct amdcert *out)
{
	struct rd in = rd_of(p, len);
	struct err e = { 0 };

	return amdcert_get(&in, out, &e);
}

static void reads_what_was_made(void **state)
{
	struct sevcert c;
	struct amdcert a;

	(void)state;
	assert_int_equal(get(pki.pek, SEVCERT_LEN, &c), 0);
	assert_int_equal(c.version, 1);
	assert_int_equal(c.api_major, 1);
	assert_int_equal(c.api_minor, 55);
	assert_int_equal(c.usage, SEVCERT_PEK);
	assert_int_equal(c.algo, SEVCERT_ECDSA_SHA256);
	assert_int_equal(c.sig[0].usage, SEVCERT_OCA);
	assert_int_equal(c.sig[1].usage, SEVCERT_CEK);
	assert_ptr_equal(c.sig[1].bytes, pki.pek + 0x624);
	assert_int_equal(get(pki.cek, SEVCERT_LEN, &c), 0);
	assert_int_equal(c.sig[0].usage, SEVCERT_ASK);
	assert_int_equal(c.sig[0].algo, SEVCERT_RSA_SHA256);
	assert_int_equal(c.sig[1].usage, SEVCERT_NONE);
	assert_int_equal(c.sig[1].algo, 0);
	assert_int_equal(get_amd(pki.ask, pki.amd_len, &a), 0);
	assert_int_equal(a.usage, SEVCERT_ASK);
	assert_int_equal(a.bits, 2048);
	assert_int_equal(a.len, AMDCERT_LEN_2048);
	assert_int_equal(a.certifying_id[0], 1);
	assert_string_equal(sevcert_usage_name(SEVCERT_OCA), "OCA");
	assert_string_equal(sevcert_usage_name(0x77), "unknown certificate");
}

static void refuses_every_short_certificate(void **state)
{
	struct sevcert c;
	struct amdcert a;

	(void)state;
	for (size_t n = 0; n < SEVCERT_LEN; n++)
		assert_int_equal(get(pki.pek, n, &c), -EPROTO);
	for (size_t n = 0; n < pki.amd_len; n++)
		assert_int_equal(get_amd(pki.ask, n, &a), -EPROTO);
}

static void refuses_fields_it_does_not_know(void **state)
{
	static const struct {
		size_t at;
		uint8_t v;
	} bad[] = { { 0, 2 }, { 8, 9 }, { 9, 0 }, { 0xc, 9 }, { 0x10, 1 }, { 0x10, 3 } };
	static const size_t bad_amd[] = { 0, 0x24, 0x38, 0x3c };
	uint8_t bytes[SEVCERT_LEN];
	struct sevcert c;
	struct amdcert a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(bytes, pki.pek, sizeof(bytes));
		bytes[bad[i].at] = bad[i].v;
		assert_int_equal(get(bytes, SEVCERT_LEN, &c), -EPROTO);
	}
	for (size_t i = 0; i < sizeof(bad_amd) / sizeof(bad_amd[0]); i++) {
		memcpy(bytes, pki.ask, pki.amd_len);
		bytes[bad_amd[i]] ^= 0x40;
		assert_int_equal(get_amd(bytes, pki.amd_len, &a), -EPROTO);
	}
}

static void each_link_holds(void **state)
{
	struct sevcert cek, oca, pek;
	struct amdcert ask, ark;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(get(pki.cek, SEVCERT_LEN, &cek), 0);
	assert_int_equal(get(pki.oca, SEVCERT_LEN, &oca), 0);
	assert_int_equal(get(pki.pek, SEVCERT_LEN, &pek), 0);
	assert_int_equal(get_amd(pki.ask, pki.amd_len, &ask), 0);
	assert_int_equal(get_amd(pki.ark, pki.amd_len, &ark), 0);
	assert_int_equal(amdcert_verify(&ark, &ark, &e), 0);
	assert_int_equal(amdcert_verify(&ask, &ark, &e), 0);
	assert_int_equal(sevcert_verify_amd(&cek, &ask, &e), 0);
	assert_int_equal(sevcert_verify(&oca, &oca, &e), 0);
	assert_int_equal(sevcert_verify(&pek, &oca, &e), 0);
	assert_int_equal(sevcert_verify(&pek, &cek, &e), 0);
	assert_int_equal(sevcert_verify(&oca, &cek, &e), -EKEYREJECTED);
	assert_string_equal(e.msg, "OCA is not signed by CEK");
	assert_int_equal(amdcert_verify(&ask, &ask, &e), -EKEYREJECTED);
	assert_string_equal(e.msg, "ASK is not signed by ASK");
	assert_int_equal(sevcert_verify_amd(&cek, &ark, &e), -EKEYREJECTED);
	assert_int_equal(sevcert_verify_amd(&pek, &ask, &e), -EKEYREJECTED);
}

/* Bytes 0x0 to 0x413, then usage, algorithm and the used part of the only signature. */
static void every_signed_byte_of_a_certificate_counts(void **state)
{
	uint8_t bytes[SEVCERT_LEN];
	struct sevcert oca, bad;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(get(pki.oca, SEVCERT_LEN, &oca), 0);
	for (size_t i = 0; i < SEVCERT_SIGNED_LEN + 8 + EC_SIG_LEN; i++) {
		memcpy(bytes, pki.oca, sizeof(bytes));
		bytes[i] ^= 0x10;
		if (get(bytes, SEVCERT_LEN, &bad) == 0)
			assert_int_equal(sevcert_verify(&bad, &oca, &e), -EKEYREJECTED);
	}
}

static void every_byte_of_an_amd_certificate_counts(void **state)
{
	uint8_t bytes[AMDCERT_LEN_2048];
	struct amdcert ark, bad;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(get_amd(pki.ark, pki.amd_len, &ark), 0);
	for (size_t i = 0; i < pki.amd_len; i += 3) {
		memcpy(bytes, pki.ask, sizeof(bytes));
		bytes[i] ^= 0x10;
		if (get_amd(bytes, pki.amd_len, &bad) == 0)
			assert_int_equal(amdcert_verify(&bad, &ark, &e), -EKEYREJECTED);
	}
}

static void a_signature_by_a_key_of_another_name_is_refused(void **state)
{
	struct amdcert_head head = { .usage = SEVCERT_ASK,
				     .key_id = { 2 },
				     .certifying_id = { 9 } };
	uint8_t bytes[AMDCERT_LEN_4096];
	struct amdcert ark, ask;
	struct err e = { 0 };
	size_t len = 0;

	(void)state;
	assert_int_equal(amdcert_make(&head, pki.ask_key, pki.ark_key, bytes, &len, &e), 0);
	assert_int_equal(get_amd(pki.ark, pki.amd_len, &ark), 0);
	assert_int_equal(get_amd(bytes, len, &ask), 0);
	assert_int_equal(amdcert_verify(&ask, &ark, &e), -EKEYREJECTED);
}

static void first_generation_root_may_lack_its_signature(void **state)
{
	struct amdcert ark;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(get_amd(pki.ark, AMDCERT_LEN_2048 - 256, &ark), 0);
	assert_null(ark.sig);
	assert_int_equal(amdcert_verify(&ark, &ark, &e), -EKEYREJECTED);
	assert_string_equal(e.msg, "ARK carries no signature");
}

static void a_key_off_the_curve_never_verifies(void **state)
{
	uint8_t bytes[SEVCERT_LEN];
	struct ec_key *k = NULL;
	struct sevcert bad, pek;
	struct err e = { 0 };

	(void)state;
	memcpy(bytes, pki.oca, sizeof(bytes));
	bytes[0x14] ^= 1;
	assert_int_equal(get(bytes, SEVCERT_LEN, &bad), 0);
	assert_int_equal(get(pki.pek, SEVCERT_LEN, &pek), 0);
	assert_int_equal(sevcert_ec_key(&bad, &k, &e), -EINVAL);
	assert_int_equal(sevcert_verify(&pek, &bad, &e), -EKEYREJECTED);
}

/* An owner may have an RSA OCA; its key form is in no certificate made here, so build one. */
static void verifies_with_an_rsa_owner(void **state)
{
	uint8_t oca[SEVCERT_LEN], pek[SEVCERT_LEN];
	struct sevcert o, p;
	struct err e = { 0 };

	(void)state;
	memcpy(oca, pki.oca, sizeof(oca));
	memset(oca + 0x10, 0, SEVCERT_PUBKEY_LEN);
	oca[0xc] = SEVCERT_RSA_SHA256;
	oca[0x11] = 2048 >> 8;
	assert_int_equal(rsa_key_numbers(pki.ask_key, oca + 0x214, oca + 0x14, &e), 0);
	assert_int_equal(sevcert_sign_rsa(oca, 0, SEVCERT_OCA, pki.ask_key, &e), 0);
	memcpy(pek, pki.pek, sizeof(pek));
	assert_int_equal(sevcert_sign_rsa(pek, 0, SEVCERT_OCA, pki.ask_key, &e), 0);
	assert_int_equal(get(oca, SEVCERT_LEN, &o), 0);
	assert_int_equal(get(pek, SEVCERT_LEN, &p), 0);
	assert_int_equal(sevcert_verify(&o, &o, &e), 0);
	assert_int_equal(sevcert_verify(&p, &o, &e), 0);
	pek[0x20] ^= 1;
	assert_int_equal(sevcert_verify(&p, &o, &e), -EKEYREJECTED);
	oca[0x11] = 3;
	assert_int_equal(get(oca, SEVCERT_LEN, &o), -EPROTO);
}

/* The form of every generation but the first. */
static void roots_of_4096_bits_hold(void **state)
{
	struct pki big = { 0 };
	struct amdcert ask, ark;
	struct sevcert cek;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(pki_make(&big, 4096, &e), 0);
	assert_int_equal(big.amd_len, AMDCERT_LEN_4096);
	assert_int_equal(get_amd(big.ark, big.amd_len, &ark), 0);
	assert_int_equal(get_amd(big.ask, big.amd_len, &ask), 0);
	assert_int_equal(get(big.cek, SEVCERT_LEN, &cek), 0);
	assert_int_equal(cek.sig[0].algo, SEVCERT_RSA_SHA384);
	assert_int_equal(amdcert_verify(&ark, &ark, &e), 0);
	assert_int_equal(amdcert_verify(&ask, &ark, &e), 0);
	assert_int_equal(sevcert_verify_amd(&cek, &ask, &e), 0);
	assert_int_equal(get_amd(pki.ask, pki.amd_len, &ask), 0);
	assert_int_equal(amdcert_verify(&ask, &ark, &e), -EKEYREJECTED);
	pki_fini(&big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_made),
		cmocka_unit_test(refuses_every_short_certificate),
		cmocka_unit_test(refuses_fields_it_does_not_know),
		cmocka_unit_test(each_link_holds),
		cmocka_unit_test(every_signed_byte_of_a_certificate_counts),
		cmocka_unit_test(every_byte_of_an_amd_certificate_counts),
		cmocka_unit_test(a_signature_by_a_key_of_another_name_is_refused),
		cmocka_unit_test(first_generation_root_may_lack_its_signature),
		cmocka_unit_test(a_key_off_the_curve_never_verifies),
		cmocka_unit_test(verifies_with_an_rsa_owner),
		cmocka_unit_test(roots_of_4096_bits_hold),
	};

	return cmocka_run_group_tests_name("crypto_sevcert", tests, pki_setup, pki_teardown);
}
