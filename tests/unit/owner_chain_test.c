/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/owner_fixture.h"

static struct fixture_chain *chain;

static char id[OWNER_PLATFORM_ID_LEN];

static int setup(void **state)
{
	struct owner_certs c;
	struct err e = { 0 };

	(void)state;
	chain = fixture_chain_new();
	c = fixture_certs(chain);
	return owner_platform_id(&c, id, &e);
}

static int teardown(void **state)
{
	(void)state;
	fixture_chain_free(chain);
	return 0;
}

static int restore(void **state)
{
	struct err e = { 0 };

	(void)state;
	fixture_amd(chain, &e);
	fixture_sign(chain, 1, 55);
	return 0;
}

static int verify(struct err *e)
{
	struct owner_certs c = fixture_certs(chain);

	return owner_chain_verify(&c, FIXTURE_ARK(chain), AMDCERT_LEN_2048, e);
}

static void expect_refused(int code, const char *message)
{
	struct err e = { 0 };

	assert_int_equal(verify(&e), code);
	assert_int_equal(e.code, code);
	assert_string_equal(e.msg, message);
}

static void accepts_a_whole_chain(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(verify(&e), 0);
	assert_int_equal(e.code, 0);
}

static void names_a_root_that_is_not_the_pinned_one(void **state)
{
	struct owner_certs c = fixture_certs(chain);
	uint8_t pinned[AMDCERT_LEN_2048];
	struct err e = { 0 };

	(void)state;
	memcpy(pinned, FIXTURE_ARK(chain), sizeof(pinned));
	pinned[sizeof(pinned) - 1] ^= 1;
	assert_int_equal(owner_chain_verify(&c, pinned, sizeof(pinned), &e), -EKEYREJECTED);
	assert_string_equal(e.msg, "root ARK differs from the pinned one");
}

static void a_pinned_root_of_another_length_is_another_root(void **state)
{
	struct owner_certs c = fixture_certs(chain);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_chain_verify(&c, FIXTURE_ARK(chain), AMDCERT_LEN_2048 - 1, &e),
			 -EKEYREJECTED);
	assert_string_equal(e.msg, "root ARK differs from the pinned one");
	assert_int_equal(owner_chain_verify(&c, (const uint8_t *)"", 0, &e), -EKEYREJECTED);
}

static void names_ark_when_it_did_not_sign_itself(void **state)
{
	(void)state;
	FIXTURE_ARK(chain)[AMDCERT_LEN_2048 - 7] ^= 1; /* in its signature */
	expect_refused(-EKEYREJECTED, "ARK is not signed by ARK");
}

static void names_ask_when_ark_did_not_sign_it(void **state)
{
	(void)state;
	FIXTURE_ASK(chain)[AMDCERT_LEN_2048 - 7] ^= 1;
	expect_refused(-EKEYREJECTED, "ASK is not signed by ARK");
}

static void names_cek_when_ask_did_not_sign_it(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sevcert_sign_rsa(FIXTURE_CEK(chain), 0, SEVCERT_ASK, chain->ark_key, &e),
			 0);
	expect_refused(-EKEYREJECTED, "CEK is not signed by ASK");
}

static void names_pek_when_cek_did_not_sign_it(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sevcert_sign(FIXTURE_PEK(chain), 1, SEVCERT_CEK, chain->oca_key, &e), 0);
	expect_refused(-EKEYREJECTED, "PEK is not signed by CEK");
}

static void names_pek_when_oca_did_not_sign_it(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sevcert_sign(FIXTURE_PEK(chain), 0, SEVCERT_OCA, chain->cek_key, &e), 0);
	expect_refused(-EKEYREJECTED, "PEK is not signed by OCA");
}

static void names_oca_when_it_did_not_sign_itself(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sevcert_sign(FIXTURE_OCA(chain), 0, SEVCERT_OCA, chain->cek_key, &e), 0);
	expect_refused(-EKEYREJECTED, "OCA is not signed by OCA");
}

static void names_pdh_when_pek_did_not_sign_it(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sevcert_sign(chain->pdh, 0, SEVCERT_PEK, chain->cek_key, &e), 0);
	expect_refused(-EKEYREJECTED, "PDH is not signed by PEK");
}

static void names_pdh_when_a_signed_byte_changed(void **state)
{
	(void)state;
	chain->pdh[5] ^= 1; /* API_MINOR */
	expect_refused(-EKEYREJECTED, "PDH is not signed by PEK");
}

static void names_the_place_of_a_certificate_of_another_kind(void **state)
{
	(void)state;
	memcpy(chain->pdh, FIXTURE_CEK(chain), SEVCERT_LEN);
	expect_refused(-EPROTO, "in PDH's place: a certificate for CEK");
}

static void names_the_place_of_an_amd_certificate_of_another_kind(void **state)
{
	(void)state;
	memcpy(FIXTURE_ASK(chain), FIXTURE_ARK(chain), AMDCERT_LEN_2048);
	expect_refused(-EPROTO, "in ASK's place: a certificate for ARK");
}

static void names_the_place_of_a_malformed_certificate(void **state)
{
	(void)state;
	FIXTURE_OCA(chain)[0] = 9; /* VERSION */
	expect_refused(-EPROTO, "in OCA's place: certificate: version 9");
}

static void refuses_an_amd_chain_cut_short_at_every_length(void **state)
{
	struct owner_certs c = fixture_certs(chain);
	/* Whole but for ARK's signature is the first generation's form, see the next test. */
	size_t unsigned_len = sizeof(chain->amd) - 256;

	(void)state;
	for (size_t len = 0; len < sizeof(chain->amd); len++) {
		struct err e = { 0 };

		c.amd_len = len;
		if (len != unsigned_len)
			assert_int_equal(
				owner_chain_verify(&c, FIXTURE_ARK(chain), AMDCERT_LEN_2048, &e),
				-EPROTO);
	}
}

static void accepts_a_root_without_its_own_signature_when_pinned_like_that(void **state)
{
	struct owner_certs c = fixture_certs(chain);
	struct err e = { 0 };

	(void)state;
	c.amd_len -= 256;
	assert_int_equal(owner_chain_verify(&c, FIXTURE_ARK(chain), AMDCERT_LEN_2048 - 256, &e), 0);
}

static void refuses_bytes_after_the_amd_chain(void **state)
{
	uint8_t longer[sizeof(chain->amd) + 1] = { 0 };
	struct owner_certs c = fixture_certs(chain);
	struct err e = { 0 };

	(void)state;
	memcpy(longer, chain->amd, sizeof(chain->amd));
	c.amd = longer;
	c.amd_len = sizeof(longer);
	assert_int_equal(owner_chain_verify(&c, FIXTURE_ARK(chain), AMDCERT_LEN_2048, &e), -EPROTO);
	assert_string_equal(e.msg, "1 bytes after ASK and ARK");
}

/* --- allow lists ----------------------------------------------------------------------------- */

static int allow(const char *list, struct err *e)
{
	struct owner_certs c = fixture_certs(chain);

	return owner_allow_check(list, strlen(list), &c, e);
}

static void expect_list(const char *format, int code, const char *message)
{
	struct err e = { 0 };
	char list[8192];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(list, sizeof(list), format, id);
#pragma GCC diagnostic pop
	assert_int_equal(allow(list, &e), code);
	assert_string_equal(e.msg, message);
}

static void the_platform_id_is_64_lower_case_hex_digits(void **state)
{
	(void)state;
	assert_int_equal(strlen(id), 64);
	assert_int_equal(strspn(id, "0123456789abcdef"), 64);
}

static void the_platform_id_is_of_the_key_and_not_of_its_signature(void **state)
{
	struct owner_certs c = fixture_certs(chain);
	char again[OWNER_PLATFORM_ID_LEN];
	struct err e = { 0 };

	(void)state;
	FIXTURE_CEK(chain)[SEVCERT_LEN - 1] ^= 1;
	assert_int_equal(owner_platform_id(&c, again, &e), 0);
	assert_string_equal(again, id);
	fixture_head(FIXTURE_CEK(chain), SEVCERT_CEK, SEVCERT_ECDSA_SHA256, chain->oca_key, 0, 14);
	assert_int_equal(owner_platform_id(&c, again, &e), 0);
	assert_string_not_equal(again, id);
}

static void finds_the_platform_wherever_it_stands(void **state)
{
	(void)state;
	expect_list("%s", 0, "");
	expect_list("%s\n", 0, "");
	expect_list("# hosts of the second row\n\n  %s\t# host 7\n#\n", 0, "");
	expect_list("0000000000000000000000000000000000000000000000000000000000000000\n%s\n", 0,
		    "");
}

static void a_list_without_the_platform_refuses_it_by_name(void **state)
{
	char message[128];

	(void)state;
	snprintf(message, sizeof(message), "platform %s is not in the allow list", id);
	expect_list("", -EACCES, message);
	expect_list("# %s\n", -EACCES, message);
	expect_list("0000000000000000000000000000000000000000000000000000000000000000\n", -EACCES,
		    message);
}

static void a_damaged_line_is_named_even_after_a_match(void **state)
{
	(void)state;
	expect_list("%s\nfoo\n", -EINVAL, "allow list: line 2 is not 64 lower-case hex digits");
	expect_list("%s\n\nABCDEF0000000000000000000000000000000000000000000000000000000000\n",
		    -EINVAL, "allow list: line 3 is not 64 lower-case hex digits");
	expect_list("%s0\n", -EINVAL, "allow list: line 1 is not 64 lower-case hex digits");
	expect_list("%s\r\n", -EINVAL, "allow list: line 1 ends as on DOS (carriage return)");
	expect_list("%s other\n", -EINVAL, "allow list: line 1 has more than an id");
	expect_list("%s#glued\n", -EINVAL, "allow list: line 1 has more than an id");
	expect_list("# \033[2J\n%s\n", -EINVAL, "allow list: line 1 holds a control character");
}

static void an_overlong_line_is_named(void **state)
{
	char list[2000];
	struct err e = { 0 };

	(void)state;
	memset(list, '#', sizeof(list));
	list[0] = '\n';
	list[sizeof(list) - 1] = 0;
	assert_int_equal(allow(list, &e), -EINVAL);
	assert_string_equal(e.msg, "allow list: line 2 longer than 1024 characters");
}

#define chain_test(f) cmocka_unit_test_setup(f, restore)

int main(void)
{
	const struct CMUnitTest tests[] = {
		chain_test(accepts_a_whole_chain),
		chain_test(names_a_root_that_is_not_the_pinned_one),
		chain_test(a_pinned_root_of_another_length_is_another_root),
		chain_test(names_ark_when_it_did_not_sign_itself),
		chain_test(names_ask_when_ark_did_not_sign_it),
		chain_test(names_cek_when_ask_did_not_sign_it),
		chain_test(names_pek_when_cek_did_not_sign_it),
		chain_test(names_pek_when_oca_did_not_sign_it),
		chain_test(names_oca_when_it_did_not_sign_itself),
		chain_test(names_pdh_when_pek_did_not_sign_it),
		chain_test(names_pdh_when_a_signed_byte_changed),
		chain_test(names_the_place_of_a_certificate_of_another_kind),
		chain_test(names_the_place_of_an_amd_certificate_of_another_kind),
		chain_test(names_the_place_of_a_malformed_certificate),
		chain_test(refuses_an_amd_chain_cut_short_at_every_length),
		chain_test(accepts_a_root_without_its_own_signature_when_pinned_like_that),
		chain_test(refuses_bytes_after_the_amd_chain),
		chain_test(the_platform_id_is_64_lower_case_hex_digits),
		chain_test(finds_the_platform_wherever_it_stands),
		chain_test(a_list_without_the_platform_refuses_it_by_name),
		chain_test(a_damaged_line_is_named_even_after_a_match),
		chain_test(an_overlong_line_is_named),
		chain_test(the_platform_id_is_of_the_key_and_not_of_its_signature),
	};

	return cmocka_run_group_tests_name("owner_chain", tests, setup, teardown);
}
