/* SPDX-License-Identifier: Apache-2.0 */

/* /dev/sev in software answers as Linux does: errno, the error field, what is written back, and the
 * length queries by which clients ask for sizes. */

#include <errno.h>

#include "tests/unit/sev_fixture.h"

#define UNMAPPED 0x1000u /* below vm.mmap_min_addr */
#define UNTOUCHED 0x55u  /* an error field that nobody wrote */

static char *dir;
static struct sev_platform *platform;
static struct fixture_guest g;

static int setup(void **state)
{
	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "one"), NULL, NULL);
	platform = fixture_open(fixture_path(dir, "one"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sev_platform_free(platform);
	fixture_dir_remove(dir);
	return 0;
}

static int guest_setup(void **state)
{
	(void)state;
	g = fixture_guest_new(platform);
	return 0;
}

static int running_setup(void **state)
{
	guest_setup(state);
	fixture_launch(&g, 0);
	return 0;
}

static int guest_teardown(void **state)
{
	(void)state;
	fixture_guest_free(&g);
	return 0;
}

static void expect_issue(uint32_t id, const void *params, int r, uint32_t error)
{
	struct sev_issue_cmd cmd = { .cmd = id, .data = (uintptr_t)params, .error = UNTOUCHED };
	int got = sev_platform_issue(platform, &cmd);

	if (got != r || cmd.error != error)
		fail_msg("cmd %u: %d, status %#x; expected %d, %#x", id, got, cmd.error, r, error);
}

/* --- the platform ---------------------------------------------------------------------------- */

static void unknown_platform_commands_are_einval(void **state)
{
	(void)state;
	expect_issue(SEV_MAX, NULL, -EINVAL, UNTOUCHED);
	expect_issue(12, NULL, -EINVAL, UNTOUCHED);
	expect_issue(UINT32_MAX, NULL, -EINVAL, UNTOUCHED);
}

static void unreadable_parameters_are_efault(void **state)
{
	const void *bad = (const void *)(uintptr_t)UNMAPPED;

	(void)state;
	expect_issue(SEV_PEK_CSR, bad, -EFAULT, UNTOUCHED);
	expect_issue(SEV_PDH_CERT_EXPORT, bad, -EFAULT, UNTOUCHED);
	expect_issue(SEV_PEK_CERT_IMPORT, bad, -EFAULT, UNTOUCHED);
	expect_issue(SEV_GET_ID2, bad, -EFAULT, UNTOUCHED);
	expect_issue(SEV_PLATFORM_STATUS, bad, -EFAULT, 0);
	expect_issue(SEV_PLATFORM_STATUS, (const void *)UINTPTR_MAX, -EFAULT, 0);
}

static void certificate_sizes_are_asked_for_with_zeros(void **state)
{
	struct sev_user_data_pdh_cert_export pdh = { 0 };
	struct sev_user_data_pek_csr csr = { 0 };
	uint8_t one[1];

	(void)state;
	expect_issue(SEV_PDH_CERT_EXPORT, &pdh, -EIO, 4);
	assert_int_equal(pdh.pdh_cert_len, SEV_CERT_LEN);
	assert_int_equal(pdh.cert_chain_len, SEV_PLAT_CHAIN_LEN);
	pdh.pdh_cert_address = pdh.cert_chain_address = (uintptr_t)one;
	pdh.pdh_cert_len = 1;
	pdh.cert_chain_len = 0;
	expect_issue(SEV_PDH_CERT_EXPORT, &pdh, -EIO, 4);
	assert_int_equal(pdh.pdh_cert_len, SEV_CERT_LEN);
	expect_issue(SEV_PEK_CSR, &csr, -EIO, 4);
	assert_int_equal(csr.length, SEV_CERT_LEN);
	csr.address = (uintptr_t)one;
	csr.length = 1;
	expect_issue(SEV_PEK_CSR, &csr, -EIO, 4);
	assert_int_equal(csr.length, SEV_CERT_LEN);
}

static void certificates_have_limits_and_addresses(void **state)
{
	uint8_t blob[SEV_PLAT_CHAIN_LEN];
	struct sev_user_data_pdh_cert_export pdh = { (uintptr_t)blob, 0x4001, (uintptr_t)blob,
						     sizeof(blob) };
	struct sev_user_data_pek_csr csr = { (uintptr_t)blob, 0x4001 };
	struct sev_user_data_pek_cert_import import = { (uintptr_t)blob, SEV_CERT_LEN, 0, 1 };

	(void)state;
	expect_issue(SEV_PDH_CERT_EXPORT, &pdh, -EFAULT, UNTOUCHED);
	expect_issue(SEV_PEK_CSR, &csr, -EFAULT, UNTOUCHED);
	csr = (struct sev_user_data_pek_csr){ UNMAPPED, SEV_CERT_LEN };
	expect_issue(SEV_PEK_CSR, &csr, -EFAULT, 0);
	expect_issue(SEV_PEK_CERT_IMPORT, &import, -EINVAL, UNTOUCHED);
	import.oca_cert_address = UNMAPPED;
	expect_issue(SEV_PEK_CERT_IMPORT, &import, -EFAULT, UNTOUCHED);
	import.oca_cert_len = 0x4001;
	expect_issue(SEV_PEK_CERT_IMPORT, &import, -EINVAL, UNTOUCHED);
}

static void the_chip_id_is_64_bytes(void **state)
{
	uint8_t id[64], both[128];
	struct sev_user_data_get_id2 in = { 0 };

	(void)state;
	expect_issue(SEV_GET_ID2, &in, -EIO, 4);
	assert_int_equal(in.length, sizeof(id));
	in.address = (uintptr_t)id;
	expect_issue(SEV_GET_ID2, &in, 0, 0);
	assert_int_equal(in.length, sizeof(id));
	memset(both, 0, sizeof(both));
	expect_issue(SEV_GET_ID, both, 0, 0);
	assert_memory_equal(both, id, sizeof(id));
	in.length = 63;
	expect_issue(SEV_GET_ID2, &in, -EIO, 4);
	assert_int_equal(in.length, sizeof(id));
}

static void a_factory_reset_is_ebusy_while_there_are_guests(void **state)
{
	(void)state;
	expect_issue(SEV_FACTORY_RESET, NULL, -EBUSY, 0);
	expect_issue(SEV_PEK_GEN, NULL, -EIO, 1);
	assert_int_equal(fixture_state(&g), 3);
}

static void after_a_factory_reset_commands_get_an_init_of_their_own(void **state)
{
	struct sev_user_data_pdh_cert_export pdh = { 0 };
	struct sev_user_data_status st;
	struct err e = { 0 };

	(void)state;
	expect_issue(SEV_FACTORY_RESET, NULL, 0, 0);
	assert_int_equal(sev_platform_status(platform, &st, &e), 0);
	assert_int_equal(st.state, 0);
	expect_issue(SEV_PDH_CERT_EXPORT, &pdh, -EIO, 4);
	assert_int_equal(pdh.pdh_cert_len, SEV_CERT_LEN);
	assert_int_equal(sev_platform_status(platform, &st, &e), 0);
	assert_int_equal(st.state, 0);
	guest_setup(NULL); /* KVM's INIT makes the platform's */
	assert_int_equal(sev_platform_status(platform, &st, &e), 0);
	assert_int_equal(st.state, 1);
	guest_teardown(NULL);
}

#define running(f) cmocka_unit_test_setup_teardown(f, running_setup, guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_platform_commands_are_einval),
		cmocka_unit_test(unreadable_parameters_are_efault),
		cmocka_unit_test(certificate_sizes_are_asked_for_with_zeros),
		cmocka_unit_test(certificates_have_limits_and_addresses),
		cmocka_unit_test(the_chip_id_is_64_bytes),
		running(a_factory_reset_is_ebusy_while_there_are_guests),
		cmocka_unit_test(after_a_factory_reset_commands_get_an_init_of_their_own),
	};

	return cmocka_run_group_tests_name("sev_issue", tests, setup, teardown);
}
