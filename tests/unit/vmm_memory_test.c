/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/impl.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static void small_memory_is_one_range_at_zero(void **state)
{
	struct mig_ram ram[VMM_RAM_RANGES];
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(vmm_memory_layout(8 * MIB, 0, ram, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ram[0].at.v, 0);
	assert_int_equal(ram[0].size, 8 * MIB);
	assert_int_equal(vmm_memory_layout(3 * GIB, 0, ram, &n, &e), 0);
	assert_int_equal(n, 1);
}

static void what_does_not_fit_below_3_gib_lies_above_4(void **state)
{
	struct mig_ram ram[VMM_RAM_RANGES];
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(vmm_memory_layout(3 * GIB + 2 * MIB, 0, ram, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(ram[0].size, 3 * GIB);
	assert_int_equal(ram[1].at.v, 4 * GIB);
	assert_int_equal(ram[1].size, 2 * MIB);
}

static void firmware_has_memory_of_its_own_that_ends_at_4_gib(void **state)
{
	struct mig_ram ram[VMM_RAM_RANGES];
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(vmm_memory_layout(8 * MIB, 128 << 10, ram, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(ram[1].at.v, 4 * GIB - (128 << 10));
	assert_int_equal(ram[1].size, 128 << 10);
	assert_int_equal(vmm_memory_layout(4 * GIB, 4 * MIB, ram, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(ram[1].at.v + ram[1].size, ram[2].at.v);
	assert_int_equal(vmm_memory_layout(8 * MIB, 4 * MIB + PAGE_LEN, ram, &n, &e), -EINVAL);
	assert_int_equal(vmm_memory_layout(8 * MIB, PAGE_LEN / 2, ram, &n, &e), -EINVAL);
}

static void odd_sizes_are_refused(void **state)
{
	const uint64_t bad[] = { 0, 1, 6 * MIB, 9 * MIB, 16 * MIB + 4096, 1ull << 41, UINT64_MAX };
	struct mig_ram ram[VMM_RAM_RANGES];
	struct err e = { 0 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vmm_memory_layout(bad[i], 0, ram, &n, &e), -EINVAL);
}

static void lookup_refuses_everything_outside(void **state)
{
	struct err e = { 0 };
	struct vmm_memory m;

	(void)state;
	assert_int_equal(vmm_memory_map(&m, 3 * GIB + 2 * MIB, 0, &e), 0);
	assert_ptr_equal(vmm_memory_at(&m, gpa(0), 1), m.ram[0].shared);
	assert_ptr_equal(vmm_memory_at(&m, gpa(0), 3 * GIB), m.ram[0].shared);
	assert_ptr_equal(vmm_memory_at(&m, gpa(0x1234), 4096), m.ram[0].shared + 0x1234);
	assert_ptr_equal(vmm_memory_at(&m, gpa(4 * GIB), 2 * MIB), m.ram[1].shared);
	assert_ptr_equal(vmm_memory_at(&m, gpa(4 * GIB + 2 * MIB - 1), 1),
			 m.ram[1].shared + 2 * MIB - 1);
	assert_null(vmm_memory_at(&m, gpa(0), 3 * GIB + 1));
	assert_null(vmm_memory_at(&m, gpa(3 * GIB - 1), 2));
	assert_null(vmm_memory_at(&m, gpa(3 * GIB), 1));
	assert_null(vmm_memory_at(&m, gpa(3 * GIB), 0));
	assert_null(vmm_memory_at(&m, gpa(4 * GIB - 1), 1));
	assert_null(vmm_memory_at(&m, gpa(4 * GIB), 2 * MIB + 1));
	assert_null(vmm_memory_at(&m, gpa(4 * GIB + 2 * MIB), 1));
	assert_null(vmm_memory_at(&m, gpa(0x1000), UINT64_MAX));
	assert_null(vmm_memory_at(&m, gpa(UINT64_MAX), 1));
	assert_null(vmm_memory_at(&m, gpa(1ull << 47), 1));
	vmm_memory_unmap(&m);
}

static void memory_begins_as_zeros_and_can_be_written(void **state)
{
	struct err e = { 0 };
	struct vmm_memory m;
	uint8_t *p;

	(void)state;
	assert_int_equal(vmm_memory_map(&m, 8 * MIB, 0, &e), 0);
	p = vmm_memory_at(&m, gpa(8 * MIB - 4096), 4096);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(p[i], 0);
	memset(p, 0xa5, 4096);
	assert_int_equal(*vmm_memory_at(&m, gpa(8 * MIB - 1), 1), 0xa5);
	vmm_memory_unmap(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_memory_is_one_range_at_zero),
		cmocka_unit_test(what_does_not_fit_below_3_gib_lies_above_4),
		cmocka_unit_test(firmware_has_memory_of_its_own_that_ends_at_4_gib),
		cmocka_unit_test(odd_sizes_are_refused),
		cmocka_unit_test(lookup_refuses_everything_outside),
		cmocka_unit_test(memory_begins_as_zeros_and_can_be_written),
	};

	return cmocka_run_group_tests_name("vmm_memory", tests, NULL, NULL);
}
