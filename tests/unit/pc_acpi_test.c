/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rdwr.h"
#include "pc/acpi.h"
#include "pc/handover.h"

static uint8_t page[PC_ACPI_LEN];

static uint64_t number(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = n; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

/* A table by its guest address: in the page, with a name, and its bytes add up to 0. */
static const uint8_t *table(uint64_t at, const char *name, uint32_t *len)
{
	const uint8_t *p;
	uint8_t sum = 0;

	assert_in_range(at, PC_ACPI_BASE, PC_ACPI_BASE + PC_ACPI_LEN - 36);
	p = page + (at - PC_ACPI_BASE);
	*len = (uint32_t)number(p + 4, 4);
	assert_in_range(*len, 36, PC_ACPI_LEN - (at - PC_ACPI_BASE));
	assert_memory_equal(p, name, 4);
	for (uint32_t i = 0; i < *len; i++)
		sum = (uint8_t)(sum + p[i]);
	assert_int_equal(sum, 0);
	return p;
}

static void linux_finds_each_processor_from_the_root_pointer(void **state)
{
	(void)state;
	for (unsigned ncpu = 1; ncpu <= PC_CPUS_MAX; ncpu++) {
		const uint8_t *xsdt, *fadt, *madt;
		unsigned seen = 0, ioapics = 0;
		uint8_t sum = 0;
		uint32_t len;

		memset(page, 0xaa, sizeof(page));
		pc_acpi_write(page, &(struct pc_machine){ .cpus = ncpu });
		assert_memory_equal(page, "RSD PTR ", 8);
		for (unsigned i = 0; i < 36; i++)
			sum = (uint8_t)(sum + page[i]);
		assert_int_equal(sum, 0);
		xsdt = table(number(page + 24, 8), "XSDT", &len);
		assert_int_equal(len, 36 + 2 * 8);
		fadt = table(number(xsdt + 36, 8), "FACP", &len);
		assert_int_equal(len, 276);
		assert_true(number(fadt + 112, 4) & 1u << 20); /* hardware reduced */
		table(number(fadt + 140, 8), "DSDT", &len);
		assert_int_equal(len, 193);
		assert_int_equal(number(fadt + 116 + 4, 8), 0xcf9);
		assert_int_equal(number(fadt + 244 + 4, 8), PC_PORT_SLEEP);
		assert_int_equal(number(fadt + 256 + 4, 8), PC_PORT_SLEEP_STATUS);
		madt = table(number(xsdt + 44, 8), "APIC", &len);
		for (uint32_t at = 44; at < len; at += madt[at + 1]) {
			assert_true(madt[at + 1] >= 2);
			ioapics += madt[at] == 1;
			if (madt[at] != 0)
				continue;
			assert_int_equal(madt[at + 3], seen); /* APIC id */
			assert_int_equal(number(madt + at + 4, 4), 1);
			seen++;
		}
		assert_int_equal(seen, ncpu);
		assert_int_equal(ioapics, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_finds_each_processor_from_the_root_pointer),
	};

	return cmocka_run_group_tests_name("pc_acpi", tests, NULL, NULL);
}
