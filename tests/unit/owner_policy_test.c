/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "abi/psp.h"
#include "tests/unit/owner_fixture.h"

static struct fixture_chain *target;
static uint8_t own_oca[SEVCERT_LEN]; /* another owner's */

static int setup(void **state)
{
	struct err e = { 0 };
	auto_ec_key struct ec_key *k = NULL;

	(void)state;
	target = fixture_chain_new();
	fixture_must(ec_key_generate(&k, &e));
	fixture_head(own_oca, SEVCERT_OCA, SEVCERT_ECDSA_SHA256, k, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_chain_free(target);
	return 0;
}

static int restore(void **state)
{
	(void)state;
	fixture_sign(target, 1, 55);
	return 0;
}

static void expect(uint32_t policy, const uint8_t *oca, int code, const char *message)
{
	struct owner_certs c = fixture_certs(target);
	struct err e = { 0 };

	assert_int_equal(owner_policy_check(policy, &c, oca, &e), code);
	assert_string_equal(e.msg, message);
}

static void no_rule_lets_it_go(void **state)
{
	(void)state;
	expect(0, own_oca, 0, "");
	expect(PSP_POLICY_NODBG | PSP_POLICY_NOKS, own_oca, 0, "");
}

static void nosend_forbids_every_target(void **state)
{
	(void)state;
	expect(PSP_POLICY_NOSEND, FIXTURE_OCA(target), -EACCES,
	       "policy NOSEND (bit 3) forbids sending this guest");
}

static void domain_lets_it_go_to_the_same_owner(void **state)
{
	(void)state;
	expect(PSP_POLICY_DOMAIN, FIXTURE_OCA(target), 0, "");
}

static void domain_forbids_another_owner(void **state)
{
	(void)state;
	expect(PSP_POLICY_DOMAIN, own_oca, -EACCES,
	       "policy DOMAIN (bit 4) forbids this target: it belongs to another owner (its OCA is "
	       "not this platform's)");
}

static void domain_forbids_a_pek_that_the_owner_did_not_sign(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sevcert_sign(FIXTURE_PEK(target), 0, SEVCERT_OCA, target->cek_key, &e), 0);
	expect(PSP_POLICY_DOMAIN, FIXTURE_OCA(target), -EACCES,
	       "policy DOMAIN (bit 4) forbids this target: PEK is not signed by OCA");
}

static void domain_needs_an_oca_to_compare_with(void **state)
{
	uint8_t not_oca[SEVCERT_LEN];

	(void)state;
	expect(PSP_POLICY_DOMAIN, NULL, -EPROTO,
	       "policy DOMAIN (bit 4): this platform's OCA: certificate: 0 bytes, need 2084");
	memcpy(not_oca, FIXTURE_CEK(target), sizeof(not_oca));
	expect(PSP_POLICY_DOMAIN, not_oca, -EPROTO,
	       "policy DOMAIN (bit 4): this platform's OCA is not one");
}

static void sev_lets_it_go_to_a_chip_of_the_root(void **state)
{
	(void)state;
	expect(PSP_POLICY_SEV, own_oca, 0, "");
}

static void sev_forbids_a_target_whose_pek_is_no_chips(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sevcert_sign(FIXTURE_PEK(target), 1, SEVCERT_CEK, target->oca_key, &e), 0);
	expect(PSP_POLICY_SEV, own_oca, -EACCES,
	       "policy SEV (bit 5) forbids this target: PEK is not signed by CEK");
	expect(PSP_POLICY_DOMAIN, FIXTURE_OCA(target), 0, ""); /* and DOMAIN does not ask */
}

static uint32_t api(unsigned major, unsigned minor)
{
	return major << 16 | minor << 24;
}

static void the_minimum_api_is_compared_major_first(void **state)
{
	(void)state;
	expect(api(1, 55), own_oca, 0, "");
	expect(api(1, 54), own_oca, 0, "");
	expect(api(0, 255), own_oca, 0, "");
	expect(api(1, 56), own_oca, -EACCES,
	       "policy minimum API 1.56 (bits 31:16) forbids this target: its firmware has API "
	       "1.55");
	expect(api(2, 0), own_oca, -EACCES,
	       "policy minimum API 2.0 (bits 31:16) forbids this target: its firmware has API "
	       "1.55");
}

static void malformed_certificates_are_refused_before_any_rule_but_nosend(void **state)
{
	(void)state;
	FIXTURE_PEK(target)[0] = 0;
	expect(0, own_oca, -EPROTO, "in PEK's place: certificate: version 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rule_lets_it_go),
		cmocka_unit_test(nosend_forbids_every_target),
		cmocka_unit_test(domain_lets_it_go_to_the_same_owner),
		cmocka_unit_test(domain_forbids_another_owner),
		cmocka_unit_test_setup(domain_forbids_a_pek_that_the_owner_did_not_sign, restore),
		cmocka_unit_test_setup(domain_needs_an_oca_to_compare_with, restore),
		cmocka_unit_test_setup(sev_lets_it_go_to_a_chip_of_the_root, restore),
		cmocka_unit_test_setup(sev_forbids_a_target_whose_pek_is_no_chips, restore),
		cmocka_unit_test_setup(the_minimum_api_is_compared_major_first, restore),
		cmocka_unit_test_setup(
			malformed_certificates_are_refused_before_any_rule_but_nosend, restore),
	};

	return cmocka_run_group_tests_name("owner_policy", tests, setup, teardown);
}
