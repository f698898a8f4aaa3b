/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream/start.h"

static uint8_t space[STREAM_HEAD_MAX];
static const uint8_t blob[STREAM_MACHINE_MAX + 1];
static uint8_t entries[8 * STREAM_PREFAULT_LEN];

static struct stream_start good(void)
{
	return (struct stream_start){
		.vcpus = 1,
		.cbit = 47,
		.name = "vm",
		.session = blob,
		.pdh = blob,
		.ram = { .nram = 2, .ram = { { 0, 0x10000 }, { 0x20000, 0x1000 } } },
		.machine = blob,
		.machine_len = 5,
	};
}

static size_t put(const struct stream_start *m)
{
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	assert_int_equal(stream_start_put(&out, m, &e), 0);
	return out.len;
}

static int get(size_t n, struct err *e)
{
	struct stream_start got;

	return stream_start_get(space, n, &got, e);
}

static void with_prefault(struct stream_start *m, const struct stream_prefault *f, uint32_t n)
{
	struct wr out = wr_of(entries, sizeof(entries));
	struct err e;

	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(stream_prefault_put(&out, &f[i], &e), 0);
	m->prefault = rd_of(entries, out.len);
	m->nprefault = n;
}

static void rejects_a_start_cut_or_extended_anywhere(void **state)
{
	struct stream_start m = good();
	struct err e;
	size_t n;

	(void)state;
	with_prefault(&m, &(struct stream_prefault){ 0x1000, 2, true }, 1);
	n = put(&m);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(get(i, &e), -EPROTO);
	assert_int_equal(get(n, &e), 0);
	assert_int_equal(get(n + 1, &e), -EPROTO);
}

static void rejects_impossible_ram(void **state)
{
	const struct stream_span bad[][2] = {
		{ { 0, 0 }, { 0x20000, 0x1000 } },          /* empty */
		{ { 0x800, 0x1000 }, { 0x20000, 0x1000 } }, /* unaligned */
		{ { 0, 0x1001 }, { 0x20000, 0x1000 } },
		{ { 0, 0x21000 }, { 0x20000, 0x1000 } },  /* overlap */
		{ { 0x20000, 0x1000 }, { 0, 0x1000 } },   /* descending */
		{ { 0, 0x1000 }, { ~0xfffull, 0x1000 } }, /* beyond addresses */
		{ { 0, 0x1000 }, { 0x1000, ~0xfffull } }, /* wraps */
	};
	struct stream_start m = good();
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(m.ram.ram, bad[i], sizeof(bad[i]));
		assert_int_equal(get(put(&m), &e), -EPROTO);
		assert_non_null(strstr(e.msg, "RAM range"));
	}
}

static void rejects_impossible_numbers(void **state)
{
	struct err e;
	size_t n;

	(void)state;
	for (size_t field = 12; field < 32; field += 4) { /* vcpus ... nprefault */
		struct stream_start m = good();

		n = put(&m);
		memset(space + field, 0xff, 4);
		assert_int_equal(get(n, &e), -EPROTO);
	}
	for (size_t field = 12; field < 24; field += 4) { /* none of these may be 0 */
		struct stream_start m = good();

		n = put(&m);
		memset(space + field, 0, 4);
		assert_int_equal(get(n, &e), -EPROTO);
	}
}

static void rejects_a_name_that_is_no_name(void **state)
{
	struct stream_start m = good();
	struct err e;
	size_t n = put(&m);

	(void)state;
	space[32] = 0x1b;
	assert_int_equal(get(n, &e), -EPROTO);
	memset(space + 32, 'x', STREAM_NAME_LEN);
	assert_int_equal(get(n, &e), -EPROTO);
	put(&m);
	space[32 + 60] = 'x';
	assert_int_equal(get(n, &e), -EPROTO);
}

static void rejects_a_machine_that_is_too_long(void **state)
{
	struct stream_start m = good();
	struct err e;

	(void)state;
	m.machine_len = STREAM_MACHINE_MAX + 1;
	assert_int_equal(get(put(&m), &e), -EPROTO);
	m.machine_len = STREAM_MACHINE_MAX;
	assert_int_equal(get(put(&m), &e), 0);
}

static void rejects_ranges_to_come_outside_of_ram_or_out_of_order(void **state)
{
	const struct stream_prefault bad[][2] = {
		{ { 0x1000, 0, true }, { 0x2000, 1, true } },  /* empty */
		{ { 0x1800, 1, true }, { 0x3000, 1, true } },  /* unaligned */
		{ { 0x1000, 2, true }, { 0x2000, 1, true } },  /* overlap */
		{ { 0x1000, 1, true }, { 0x10000, 1, true } }, /* hole */
		{ { 0x1000, 1, true }, { 0xf000, 2, true } },  /* runs out of RAM */
		{ { 0x1000, 1, true }, { 0x2000, 0xffffffff, true } },
		{ { 0x1000, 1, true }, { ~0xfffull, 1, true } },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct stream_start m = good();

		with_prefault(&m, bad[i], 2);
		assert_int_equal(get(put(&m), &e), -EPROTO);
		assert_non_null(strstr(e.msg, "to come"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_a_start_cut_or_extended_anywhere),
		cmocka_unit_test(rejects_impossible_ram),
		cmocka_unit_test(rejects_impossible_numbers),
		cmocka_unit_test(rejects_a_name_that_is_no_name),
		cmocka_unit_test(rejects_a_machine_that_is_too_long),
		cmocka_unit_test(rejects_ranges_to_come_outside_of_ram_or_out_of_order),
	};

	return cmocka_run_group_tests_name("stream_start", tests, NULL, NULL);
}
