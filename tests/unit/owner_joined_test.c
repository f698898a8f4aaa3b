/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "owner/joined.h"
#include "owner/root.h"
#include "tests/unit/owner_fixture.h"

static struct fixture_chain *chain;
static uint8_t all[OWNER_JOINED_MAX];
static size_t all_len;

static void all_add(const uint8_t *p, size_t len)
{
	assert_true(len <= sizeof(all) - all_len);
	memcpy(all + all_len, p, len);
	all_len += len;
}

/* As sevctl writes them. */
static int join(void **state)
{
	(void)state;
	all_len = 0;
	all_add(chain->pdh, sizeof(chain->pdh));
	all_add(chain->plat, sizeof(chain->plat));
	all_add(chain->amd, sizeof(chain->amd));
	return 0;
}

static int setup(void **state)
{
	(void)state;
	chain = fixture_chain_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_chain_free(chain);
	return 0;
}

static void refused(const char *why)
{
	struct owner_piece got[OWNER_CERTS];
	struct err e = { 0 };
	size_t n = 77;

	assert_int_equal(owner_joined_get(all, all_len, got, &n, &e), -EPROTO);
	assert_int_equal(n, 77);
	if (!strstr(e.msg, why))
		fail_msg("%s: not in: %s", why, e.msg);
}

static void takes_a_joined_chain_apart(void **state)
{
	static const uint32_t usages[] = { SEVCERT_PDH, SEVCERT_PEK, SEVCERT_OCA,
					   SEVCERT_CEK, SEVCERT_ASK, SEVCERT_ARK };
	struct owner_piece got[OWNER_CERTS];
	struct err e = { 0 };
	size_t n = 0, at = 0;

	(void)state;
	assert_int_equal(owner_joined_get(all, all_len, got, &n, &e), 0);
	assert_int_equal(n, 6);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].usage, usages[i]);
		assert_int_equal(got[i].len, i < 4 ? SEVCERT_LEN : AMDCERT_LEN_2048);
		assert_ptr_equal(got[i].p, all + at);
		at += got[i].len;
	}
}

/* AMD distributes the first generation's root like that. */
static void takes_a_root_without_signature_at_the_end(void **state)
{
	struct owner_piece got[OWNER_CERTS];
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	all_len -= 2048 / 8;
	assert_int_equal(owner_joined_get(all, all_len, got, &n, &e), 0);
	assert_int_equal(n, 6);
	assert_int_equal(got[5].len, 576);
}

static void refuses_every_cut_that_is_not_between_two(void **state)
{
	struct owner_piece got[OWNER_CERTS];
	struct err e = { 0 };
	size_t n, taken = 0, whole = all_len;

	(void)state;
	for (size_t len = 0; len < whole; len++)
		taken += owner_joined_get(all, len, got, &n, &e) == 0;
	assert_int_equal(taken, 6); /* five boundaries and the root without its signature */
	assert_int_equal(owner_joined_get(all, 0, got, &n, &e), -EPROTO);
}

static void refuses_what_follows_the_last_one(void **state)
{
	(void)state;
	all_add((const uint8_t *)"\n", 1);
	refused("at byte 10000: AMD certificate: short");
}

static void refuses_two_of_one_usage(void **state)
{
	(void)state;
	all_len = 0;
	all_add(FIXTURE_PEK(chain), SEVCERT_LEN);
	all_add(chain->pdh, SEVCERT_LEN);
	all_add(FIXTURE_PEK(chain), SEVCERT_LEN);
	refused("at byte 4168: a second PEK");
}

static void refuses_what_is_no_certificate(void **state)
{
	(void)state;
	memset(all + SEVCERT_LEN, 'x', 4);
	refused("at byte 2084: certificate: version");
}

/* --- sets ------------------------------------------------------------------------------------ */

static struct owner_set set;

static int set_clear(void **state)
{
	memset(&set, 0, sizeof(set));
	return join(state);
}

static void add(const uint8_t *p, size_t len)
{
	struct err e = { 0 };

	if (owner_set_add(&set, p, len, &e) < 0)
		fail_msg("%s", e.msg);
}

static void certificates_in_any_order_make_the_chain(void **state)
{
	struct owner_certs c;
	struct err e = { 0 };
	size_t len = 0;

	(void)state;
	add(FIXTURE_ARK(chain), AMDCERT_LEN_2048);
	add(FIXTURE_CEK(chain), SEVCERT_LEN);
	add(chain->plat, sizeof(chain->plat));
	add(chain->amd, sizeof(chain->amd));
	add(chain->pdh, sizeof(chain->pdh));
	assert_int_equal(owner_set_certs(&set, &c, &e), 0);
	assert_memory_equal(c.pdh, chain->pdh, sizeof(chain->pdh));
	assert_memory_equal(c.plat, chain->plat, sizeof(chain->plat));
	assert_int_equal(c.amd_len, sizeof(chain->amd));
	assert_memory_equal(c.amd, chain->amd, sizeof(chain->amd));
	assert_int_equal(owner_chain_verify(&c, FIXTURE_ARK(chain), AMDCERT_LEN_2048, &e), 0);
	assert_memory_equal(owner_set_find(&set, SEVCERT_OCA, &len), FIXTURE_OCA(chain),
			    SEVCERT_LEN);
	assert_int_equal(len, SEVCERT_LEN);
	assert_null(owner_set_find(&set, SEVCERT_NONE, &len));
}

static void the_first_missing_one_is_named_from_the_root_down(void **state)
{
	struct owner_certs c;
	struct err e = { 0 };

	(void)state;
	add(chain->plat, sizeof(chain->plat));
	assert_int_equal(owner_set_certs(&set, &c, &e), -ENOENT);
	assert_string_equal(e.msg, "ARK is missing from the chain");
	add(FIXTURE_ARK(chain), AMDCERT_LEN_2048);
	assert_int_equal(owner_set_certs(&set, &c, &e), -ENOENT);
	assert_string_equal(e.msg, "ASK is missing from the chain");
	add(FIXTURE_ASK(chain), AMDCERT_LEN_2048);
	assert_int_equal(owner_set_certs(&set, &c, &e), -ENOENT);
	assert_string_equal(e.msg, "PDH is missing from the chain");
}

static void of_one_cek_the_signed_certificate_stays(void **state)
{
	uint8_t bare[SEVCERT_LEN];
	size_t len = 0;

	(void)state;
	fixture_head(bare, SEVCERT_CEK, SEVCERT_ECDSA_SHA256, chain->cek_key, 1, 55);
	add(bare, sizeof(bare));
	add(FIXTURE_CEK(chain), SEVCERT_LEN);
	assert_memory_equal(owner_set_find(&set, SEVCERT_CEK, &len), FIXTURE_CEK(chain),
			    SEVCERT_LEN);
	add(bare, sizeof(bare));
	assert_memory_equal(owner_set_find(&set, SEVCERT_CEK, &len), FIXTURE_CEK(chain),
			    SEVCERT_LEN);
}

/* RSA-PSS is salted: the same key signs the same certificate another way each time. */
static void two_signed_certificates_of_one_cek_are_refused(void **state)
{
	uint8_t other[SEVCERT_LEN], bare[SEVCERT_LEN];
	struct err e = { 0 };

	(void)state;
	fixture_head(other, SEVCERT_CEK, SEVCERT_ECDSA_SHA256, chain->cek_key, 0, 14);
	assert_int_equal(sevcert_sign_rsa(other, 0, SEVCERT_ASK, chain->ask_key, &e), 0);
	add(FIXTURE_CEK(chain), SEVCERT_LEN);
	assert_int_equal(owner_set_add(&set, other, sizeof(other), &e), -EEXIST);
	memset(&set, 0, sizeof(set));
	fixture_head(bare, SEVCERT_CEK, SEVCERT_ECDSA_SHA256, chain->cek_key, 1, 55);
	add(bare, sizeof(bare));
	fixture_head(bare, SEVCERT_CEK, SEVCERT_ECDSA_SHA256, chain->cek_key, 1, 54);
	assert_int_equal(owner_set_add(&set, bare, sizeof(bare), &e), -EEXIST);
}

static void two_different_certificates_are_refused(void **state)
{
	auto_ec_key struct ec_key *key = NULL;
	uint8_t other[SEVCERT_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ec_key_generate(&key, &e), 0);
	fixture_head(other, SEVCERT_CEK, SEVCERT_ECDSA_SHA256, key, 1, 55);
	add(all, all_len);
	assert_int_equal(owner_set_add(&set, other, sizeof(other), &e), -EEXIST);
	assert_string_equal(e.msg, "another CEK than the one given before");
	fixture_head(other, SEVCERT_PDH, SEVCERT_ECDH_SHA256, chain->pdh_key, 1, 55);
	assert_int_equal(owner_set_add(&set, other, sizeof(other), &e), -EEXIST);
	assert_string_equal(e.msg, "another PDH than the one given before");
}

/* --- roots ----------------------------------------------------------------------------------- */

static void a_root_is_pinned_by_its_fingerprint(void **state)
{
	uint8_t print[SHA256_LEN];
	struct amdcert ark;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_root_get(FIXTURE_ARK(chain), AMDCERT_LEN_2048, &ark, &e), 0);
	assert_int_equal(crypto_sha256(ark.raw, ark.len, print, &e), 0);
	assert_int_equal(owner_root_check(ark.raw, ark.len, print, &e), 0);
	print[31] ^= 1;
	assert_int_equal(owner_root_check(ark.raw, ark.len, print, &e), -EKEYREJECTED);
}

static void only_one_whole_ark_is_a_root(void **state)
{
	struct amdcert ark;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_root_get(FIXTURE_ASK(chain), AMDCERT_LEN_2048, &ark, &e), -EPROTO);
	assert_string_equal(e.msg, "a certificate for ASK, not for ARK");
	join(state);
	all_add(chain->amd, 1);
	assert_int_equal(owner_root_get(all + all_len - 1 - AMDCERT_LEN_2048, AMDCERT_LEN_2048 + 1,
					&ark, &e),
			 -EPROTO);
	assert_string_equal(e.msg, "1 bytes after the ARK");
}

static void a_key_id_says_which_generation_it_claims(void **state)
{
	struct amdcert ark = { .key_id = (const uint8_t *)"\x94\xc3\x8e\x41 and so on" };

	(void)state;
	assert_string_equal(owner_root_claim(&ark), "Milan");
	ark.key_id = (const uint8_t *)"\x94\xc3\x8e\x40 and so on";
	assert_null(owner_root_claim(&ark));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(takes_a_joined_chain_apart, join),
		cmocka_unit_test_setup(takes_a_root_without_signature_at_the_end, join),
		cmocka_unit_test_setup(refuses_every_cut_that_is_not_between_two, join),
		cmocka_unit_test_setup(refuses_what_follows_the_last_one, join),
		cmocka_unit_test_setup(refuses_two_of_one_usage, join),
		cmocka_unit_test_setup(refuses_what_is_no_certificate, join),
		cmocka_unit_test_setup(certificates_in_any_order_make_the_chain, set_clear),
		cmocka_unit_test_setup(the_first_missing_one_is_named_from_the_root_down,
				       set_clear),
		cmocka_unit_test_setup(of_one_cek_the_signed_certificate_stays, set_clear),
		cmocka_unit_test_setup(two_signed_certificates_of_one_cek_are_refused, set_clear),
		cmocka_unit_test_setup(two_different_certificates_are_refused, set_clear),
		cmocka_unit_test(a_root_is_pinned_by_its_fingerprint),
		cmocka_unit_test(only_one_whole_ark_is_a_root),
		cmocka_unit_test(a_key_id_says_which_generation_it_claims),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
