/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "abi/firmware.h"
#include "owner/guidtable.h"
#include "tests/unit/owner_firmware.h"

static struct firmware f;

static int setup(void **state)
{
	(void)state;
	firmware_make(&f);
	return 0;
}

static void refused(int code, const char *why)
{
	struct owner_guidtable t;
	struct err e = { 0 };

	assert_int_equal(owner_guidtable_get(f.image, sizeof(f.image), &t, &e), code);
	if (!strstr(e.msg, why))
		fail_msg("%s: not in: %s", why, e.msg);
}

static struct owner_guidtable get(void)
{
	struct owner_guidtable t = { 0 };
	struct err e = { 0 };

	if (owner_guidtable_get(f.image, sizeof(f.image), &t, &e) < 0)
		fail_msg("%s", e.msg);
	return t;
}

static void finds_what_the_firmware_says(void **state)
{
	struct owner_guidtable t = get();

	(void)state;
	assert_int_equal(t.entries, 3);
	assert_int_equal(t.es_reset, 0x80b004);
	assert_int_equal(t.secret.base, 0x810000);
	assert_int_equal(t.secret.size, 0xc00);
	assert_int_equal(t.hashes.base, 0x810c00);
	assert_int_equal(t.hashes.size, 0x400);
}

static void what_it_says_of_migration_is_found(void **state)
{
	const uint32_t yes = FIRMWARE_MIGRATES, both[] = { 1, 1 };
	struct owner_guidtable t;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(get().migration, 0);
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_MIGRATION_GUID, &yes, 1);
	assert_int_equal(get().migration, FIRMWARE_MIGRATES);
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_MIGRATION_GUID, both, 2);
	assert_int_equal(owner_guidtable_get(f.image, sizeof(f.image), &t, &e), -EPROTO);
}

static void an_area_of_base_or_size_0_is_absent(void **state)
{
	const uint32_t no_base[] = { 0, 0x400 }, no_size[] = { 0x810c00, 0 };
	struct owner_guidtable t;

	(void)state;
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_SECRET, no_base, 2);
	firmware_add(&f, FIRMWARE_HASHES, no_size, 2);
	t = get();
	assert_int_equal(t.entries, 2);
	assert_int_equal(t.secret.base | t.secret.size, 0);
	assert_int_equal(t.hashes.base | t.hashes.size, 0);
	assert_int_equal(t.es_reset, 0);
}

static void a_table_without_entries_is_one(void **state)
{
	(void)state;
	firmware_begin(&f);
	assert_int_equal(get().entries, 0);
}

static void an_image_without_a_footer_has_no_table(void **state)
{
	struct owner_guidtable t;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_guidtable_get(f.image, sizeof(f.image) - 1, &t, &e), -ENOENT);
	for (size_t len = 0; len < 0x20 + 18; len++)
		assert_int_equal(owner_guidtable_get(f.image + sizeof(f.image) - len, len, &t, &e),
				 -ENOENT);
	f.image[FIRMWARE_LEN - FIRMWARE_TAIL - 1] ^= 1;
	refused(-ENOENT, "no GUID table");
}

static void a_table_longer_than_the_image_is_refused(void **state)
{
	(void)state;
	firmware_head(&f, FIRMWARE_LEN - FIRMWARE_TAIL - 18, FIRMWARE_LEN - FIRMWARE_TAIL + 1,
		      FIRMWARE_FOOTER);
	refused(-EPROTO, "in an image of 4096");
	firmware_head(&f, FIRMWARE_LEN - FIRMWARE_TAIL - 18, 17, FIRMWARE_FOOTER);
	refused(-EPROTO, "17 bytes in an image");
}

static void every_other_length_of_the_table_is_refused(void **state)
{
	size_t whole = FIRMWARE_LEN - FIRMWARE_TAIL - f.top;
	struct owner_guidtable t;
	struct err e = { 0 };
	unsigned taken = 0;

	(void)state;
	for (uint16_t total = 0; total < whole; total++) {
		firmware_head(&f, FIRMWARE_LEN - FIRMWARE_TAIL - 18, total, FIRMWARE_FOOTER);
		taken += owner_guidtable_get(f.image, sizeof(f.image), &t, &e) == 0;
	}
	assert_int_equal(taken, 3); /* cut between two entries: none, one or two of them */
}

static void entries_of_a_wrong_length_are_refused(void **state)
{
	size_t reset = FIRMWARE_LEN - FIRMWARE_TAIL - 2 * 18;

	(void)state;
	firmware_head(&f, reset, 17, FIRMWARE_RESET);
	refused(-EPROTO, "entry of 17 bytes");
	firmware_head(&f, reset, 0, FIRMWARE_RESET);
	refused(-EPROTO, "entry of 0 bytes");
	firmware_head(&f, reset, 0xffff, FIRMWARE_RESET);
	refused(-EPROTO, "entry of 65535 bytes where 74 are left");
	firmware_make(&f);
	firmware_head(&f, f.top + 8, 25, FIRMWARE_HASHES);
	refused(-EPROTO, "1 bytes are no entry");
}

static void the_last_entry_may_not_reach_below_the_table(void **state)
{
	const uint32_t reset = 0x80b004;

	(void)state;
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_RESET, &reset, 1);
	firmware_head(&f, f.top + 4, 23, FIRMWARE_RESET);
	refused(-EPROTO, "entry of 23 bytes where 22 are left");
}

static void known_entries_have_their_own_length(void **state)
{
	const uint32_t v[] = { 1, 2, 3 };

	(void)state;
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_RESET, v, 2);
	refused(-EPROTO, "has 8 bytes of data, not 4");
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_SECRET, v, 3);
	refused(-EPROTO, "has 12 bytes of data, not 8");
}

static void two_entries_of_one_kind_are_refused(void **state)
{
	const uint32_t other = 0x1234;

	(void)state;
	firmware_add(&f, FIRMWARE_RESET, &other, 1);
	refused(-EPROTO, "two entries " FIRMWARE_RESET);
}

static void an_area_above_4_gib_is_refused(void **state)
{
	const uint32_t last[] = { 0xfffff000, 0x1000 }, over[] = { 0xfffff000, 0x1001 };

	(void)state;
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_SECRET, last, 2);
	assert_int_equal(get().secret.base, 0xfffff000);
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_SECRET, over, 2);
	refused(-EPROTO, "ends above 4 GiB");
}

static void other_entries_are_found_by_their_guid(void **state)
{
	const uint32_t v[] = { 0x52c };
	const uint8_t *data = NULL;
	struct err e = { 0 };
	size_t len = 0;

	(void)state;
	firmware_add(&f, "dc886566-984a-4798-a75e-5585a7bf67cc", v, 1);
	assert_int_equal(owner_guidtable_find(f.image, sizeof(f.image),
					      "dc886566-984a-4798-a75e-5585a7bf67cc", &data, &len,
					      &e),
			 0);
	assert_int_equal(len, 4);
	assert_ptr_equal(data, f.image + f.top);
	assert_int_equal(owner_guidtable_find(f.image, sizeof(f.image),
					      "e47a6535-984a-4798-865e-4685a7bf8ec2", &data, &len,
					      &e),
			 -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finds_what_the_firmware_says, setup),
		cmocka_unit_test_setup(what_it_says_of_migration_is_found, setup),
		cmocka_unit_test_setup(an_area_of_base_or_size_0_is_absent, setup),
		cmocka_unit_test_setup(a_table_without_entries_is_one, setup),
		cmocka_unit_test_setup(an_image_without_a_footer_has_no_table, setup),
		cmocka_unit_test_setup(a_table_longer_than_the_image_is_refused, setup),
		cmocka_unit_test_setup(every_other_length_of_the_table_is_refused, setup),
		cmocka_unit_test_setup(entries_of_a_wrong_length_are_refused, setup),
		cmocka_unit_test_setup(the_last_entry_may_not_reach_below_the_table, setup),
		cmocka_unit_test_setup(known_entries_have_their_own_length, setup),
		cmocka_unit_test_setup(two_entries_of_one_kind_are_refused, setup),
		cmocka_unit_test_setup(an_area_above_4_gib_is_refused, setup),
		cmocka_unit_test_setup(other_entries_are_found_by_their_guid, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
