/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "pc/kernel.h"

#define MIB (1ull << 20)
#define BYTES (3 * MIB + 5) /* of both segments, in the file */

static struct pc_kernel good(void)
{
	struct pc_kernel k = { .entry = 16 * MIB + 0x40,
			       .nseg = 2,
			       .seg = { { 16 * MIB, 2 * MIB, 2 * MIB },
					{ 18 * MIB, 3 * MIB, MIB + 5 } } };

	memset(k.setup, 0x5a, sizeof(k.setup));
	return k;
}

static const char *decode(const struct pc_kernel *k, uint64_t len, struct pc_kernel *out)
{
	uint8_t head[PC_KERNEL_HEAD_LEN];

	memset(head, 0xaa, sizeof(head));
	pc_kernel_put(k, head);
	return pc_kernel_get(head, len, out);
}

static void a_kernel_arrives_as_it_was_packed(void **state)
{
	struct pc_kernel k = good(), got;

	(void)state;
	assert_null(decode(&k, PC_KERNEL_HEAD_LEN + BYTES, &got));
	assert_memory_equal(&got, &k, sizeof(got));
	assert_int_equal(pc_kernel_end(&got), 21 * MIB);
}

static void linux_finds_its_setup_header_where_boot_params_has_it(void **state)
{
	struct pc_kernel k = good();
	uint8_t head[PC_KERNEL_HEAD_LEN];

	(void)state;
	pc_kernel_put(&k, head);
	assert_memory_equal(head + 0x1f1, k.setup, sizeof(k.setup));
	for (size_t i = 0x1f1 + sizeof(k.setup); i < sizeof(head); i++)
		assert_int_equal(head[i], 0);
}

static void segments_that_cannot_be_are_refused(void **state)
{
	const uint64_t len = PC_KERNEL_HEAD_LEN + BYTES;
	struct pc_kernel k = good(), got;

	(void)state;
	k.seg[1].at = 17 * MIB;
	assert_string_equal(decode(&k, len, &got), "a kernel with a segment that cannot be");
	k = good();
	k.seg[1].memsz = MIB;
	assert_string_equal(decode(&k, len, &got), "a kernel with a segment that cannot be");
	k = good();
	k.seg[1].memsz = UINT64_MAX;
	assert_string_equal(decode(&k, len, &got), "a kernel with a segment that cannot be");
	k = good();
	assert_string_equal(decode(&k, len + 1, &got), "a kernel of another length");
	k.entry = 20 * MIB; /* in memory, but nothing of the file is there */
	assert_string_equal(decode(&k, len, &got), "a kernel without an entry");
	k = good();
	k.nseg = 0;
	assert_string_equal(decode(&k, len, &got), "a kernel without segments, or with too many");
}

static void a_kernel_does_not_go_over_what_is_still_needed(void **state)
{
	struct pc_kernel k = good();
	struct pc_handover h = { .nram = 1,
				 .ram = { { 0, 64 * MIB } },
				 .kernel = { 40 * MIB, 4 * MIB },
				 .cmdline = { 60 * MIB, 1 } };

	(void)state;
	assert_null(pc_kernel_fits(&k, &h));
	h.initrd = (struct pc_span){ 21 * MIB - 4096, 1 };
	assert_string_equal(pc_kernel_fits(&k, &h),
			    "a kernel that would be loaded over what is handed over");
	h.initrd.at = 21 * MIB;
	assert_null(pc_kernel_fits(&k, &h));
	h.ram[0].len = 20 * MIB;
	assert_string_equal(pc_kernel_fits(&k, &h), "a kernel that ends outside RAM");
	k.seg[0].at = 0x101000; /* the GHCB */
	assert_string_equal(pc_kernel_fits(&k, &h), "a kernel that is linked too low");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_arrives_as_it_was_packed),
		cmocka_unit_test(linux_finds_its_setup_header_where_boot_params_has_it),
		cmocka_unit_test(segments_that_cannot_be_are_refused),
		cmocka_unit_test(a_kernel_does_not_go_over_what_is_still_needed),
	};

	return cmocka_run_group_tests_name("pc_kernel", tests, NULL, NULL);
}
