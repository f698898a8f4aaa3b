/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "pc/handover.h"

#define MIB (1ull << 20)

static const struct pc_handover good = {
	.cpus = 2,
	.nram = 2,
	.ram = { { 0, 32 * MIB }, { 4096 * MIB, 8 * MIB } },
	.kernel = { 16 * MIB, 3 * MIB + 1 },
	.initrd = { 24 * MIB, 4096 },
	.cmdline = { 32 * MIB - 4096, 17 },
};

static const char *decode(const struct pc_handover *h, struct pc_handover *out)
{
	uint8_t page[4096] = { 0 };

	assert_int_not_equal(pc_handover_put(h, page, sizeof(page)), 0);
	return pc_handover_get(page, sizeof(page), out);
}

static void what_is_handed_over_arrives(void **state)
{
	struct pc_handover got;

	(void)state;
	assert_null(decode(&good, &got));
	assert_memory_equal(&got, &good, sizeof(got));
}

static void a_record_cut_short_is_refused_at_every_length(void **state)
{
	uint8_t page[4096] = { 0 };
	struct pc_handover got;
	size_t len = pc_handover_put(&good, page, sizeof(page));

	(void)state;
	for (size_t i = 0; i < len; i++)
		assert_non_null(pc_handover_get(page, i, &got));
	assert_null(pc_handover_get(page, len, &got));
	assert_int_equal(pc_handover_put(&good, page, len - 1), 0);
}

static void refused(const struct pc_handover *h, const char *why)
{
	struct pc_handover got = { .cpus = 77 };

	assert_string_equal(decode(h, &got), why);
	assert_int_equal(got.cpus, 77);
}

static void memory_that_cannot_be_is_refused(void **state)
{
	struct pc_handover h = good;

	(void)state;
	h.ram[0].at = 4096;
	refused(&h, "RAM ranges out of order");
	h = good;
	h.ram[1].at = 16 * MIB;
	refused(&h, "RAM ranges out of order");
	h = good;
	h.ram[1].at = 4094 * MIB; /* over the firmware itself */
	refused(&h, "RAM ranges out of order");
	h = good;
	h.ram[0].len += 1;
	refused(&h, "a RAM range that is none");
	h = good;
	h.ram[1].len = UINT64_MAX & ~4095ull;
	refused(&h, "a RAM range that is none");
	h = good;
	h.ram[0].len = 1 * MIB;
	refused(&h, "no RAM to start with");
	h = good;
	h.cpus = 65;
	refused(&h, "a damaged hand-over record");
}

static void a_file_outside_ram_or_on_the_firmware_s_pages_is_refused(void **state)
{
	struct pc_handover h = good;

	(void)state;
	h.kernel.len = 0;
	refused(&h, "a kernel outside RAM");
	h = good;
	h.kernel.at = 31 * MIB;
	refused(&h, "a kernel outside RAM");
	h = good;
	h.initrd.at = 0x100000;
	refused(&h, "an initial RAM disk outside RAM");
	h = good;
	h.initrd.at = 4096 * MIB;
	refused(&h, "an initial RAM disk outside RAM");
	h = good;
	h.initrd.at = 24 * MIB + 1;
	refused(&h, "an initial RAM disk outside RAM");
	h = good;
	h.cmdline.len = 2049;
	refused(&h, "a command line outside RAM, or too long");
	h = good;
	h.initrd.at = 19 * MIB;
	refused(&h, "files that lie on each other");
}

static void no_initial_ram_disk_is_fine(void **state)
{
	struct pc_handover h = good, got;

	(void)state;
	h.initrd = (struct pc_span){ 0, 0 };
	assert_null(decode(&h, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_handed_over_arrives),
		cmocka_unit_test(a_record_cut_short_is_refused_at_every_length),
		cmocka_unit_test(memory_that_cannot_be_is_refused),
		cmocka_unit_test(a_file_outside_ram_or_on_the_firmware_s_pages_is_refused),
		cmocka_unit_test(no_initial_ram_disk_is_fine),
	};

	return cmocka_run_group_tests_name("pc_handover", tests, NULL, NULL);
}
