/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/rdwr.h"
#include "crypto/key.h"
#include "owner/report.h"

static struct ec_key *pek_key;
static uint8_t pek[SEVCERT_LEN], report[PSP_REPORT_LEN];

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	return ec_key_generate(&pek_key, &e);
}

static int teardown(void **state)
{
	(void)state;
	ec_key_free(pek_key);
	return 0;
}

static void cert_make(uint32_t usage)
{
	struct sevcert_head head = { .usage = usage, .algo = SEVCERT_ECDSA_SHA256 };
	struct err e = { 0 };

	assert_int_equal(sevcert_make(&head, pek_key, pek, &e), 0);
}

/* By the layout as published, signed with the PEK. */
static int report_make(void **state)
{
	struct wr w = wr_of(report, sizeof(report));
	struct err e = { 0 };

	(void)state;
	cert_make(SEVCERT_PEK);
	wr_bytes(&w, "the owner's once", 16);
	wr_bytes(&w, "thirty-two bytes of some digest.", 32);
	wr_le32(&w, 0x37010003);
	wr_le32(&w, 0x1002);
	wr_le32(&w, 2);
	wr_le32(&w, 0);
	return ec_key_sign(pek_key, CRYPTO_SHA256, report, 0x34, report + 0x40, &e);
}

static int verify(void)
{
	struct rd in = rd_of(pek, sizeof(pek));
	struct owner_report r;
	struct sevcert cert;
	struct err e = { 0 };
	int ret = sevcert_get(&in, &cert, &e);

	if (ret == 0)
		ret = owner_report_get(report, sizeof(report), &r, &e);
	return ret < 0 ? ret : owner_report_verify(&r, &cert, &e);
}

static void a_report_says_what_was_signed(void **state)
{
	struct owner_report r;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_report_get(report, sizeof(report), &r, &e), 0);
	assert_memory_equal(r.mnonce, "the owner's once", 16);
	assert_memory_equal(r.digest, "thirty-two bytes of some digest.", 32);
	assert_int_equal(r.policy, 0x37010003);
	assert_int_equal(verify(), 0);
}

static void any_bit_changed_in_what_counts_is_noticed(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(report); bit += 5) {
		size_t at = bit / 8;
		bool reserved = at >= 0x3c && at < 0x40;

		report[at] ^= (uint8_t)(1u << bit % 8);
		if (!reserved)
			assert_int_not_equal(verify(), 0);
		report[at] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(verify(), 0);
}

static void another_platform_s_pek_has_not_signed_it(void **state)
{
	auto_ec_key struct ec_key *other = NULL;
	struct sevcert_head head = { .usage = SEVCERT_PEK, .algo = SEVCERT_ECDSA_SHA256 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ec_key_generate(&other, &e), 0);
	assert_int_equal(sevcert_make(&head, other, pek, &e), 0);
	assert_int_equal(verify(), -EKEYREJECTED);
}

static void the_right_key_in_another_certificate_does_not_count(void **state)
{
	(void)state;
	cert_make(SEVCERT_OCA);
	assert_int_equal(verify(), -EPROTO);
}

static void a_report_of_another_length_usage_or_algorithm_is_refused(void **state)
{
	struct owner_report r;
	struct err e = { 0 };

	(void)state;
	for (size_t len = 0; len < sizeof(report); len++)
		assert_int_equal(owner_report_get(report, len, &r, &e), -EPROTO);
	assert_string_equal(e.msg, "report: 207 bytes, not 208");
	report[0x34] = 1;
	assert_int_equal(verify(), -EPROTO);
	report[0x34] = 2;
	report[0x39] = 1;
	assert_int_equal(verify(), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_report_says_what_was_signed, report_make),
		cmocka_unit_test_setup(any_bit_changed_in_what_counts_is_noticed, report_make),
		cmocka_unit_test_setup(another_platform_s_pek_has_not_signed_it, report_make),
		cmocka_unit_test_setup(the_right_key_in_another_certificate_does_not_count,
				       report_make),
		cmocka_unit_test_setup(a_report_of_another_length_usage_or_algorithm_is_refused,
				       report_make),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
