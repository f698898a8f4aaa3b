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

#include "stream/list.h"

static uint8_t space[4096];
static const struct stream_bounds bounds = {
	.nram = 2,
	.ram = { { 0, 0x200000 }, { 1ull << 46, 0x100000 } },
};

static size_t put(const struct range *v, uint32_t n, bool last)
{
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	assert_int_equal(stream_list_put(&out, v, n, last, &e), 0);
	return out.len;
}

static int get(size_t n, uint64_t after, struct stream_list *m, struct err *e)
{
	return stream_list_get(space, n, &bounds, after, m, e);
}

static void keeps_frame_numbers_over_32_bits(void **state)
{
	const struct range v[] = { { 1ull << 34, (1ull << 34) + 2 } };
	struct stream_list m;
	struct range got;
	struct err e;

	(void)state;
	assert_int_equal(get(put(v, 1, true), 0, &m, &e), 0);
	assert_true(stream_list_next(&m, &got));
	assert_true(got.start == 1ull << 34);
	assert_true(m.end == (1ull << 34) + 2);
}

static void rejects_empty_inverted_unsorted_and_overlapping_intervals(void **state)
{
	const struct range bad[][2] = {
		{ { 5, 5 }, { 7, 8 } }, { { 6, 5 }, { 7, 8 } }, { { 5, 8 }, { 7, 9 } },
		{ { 7, 8 }, { 5, 6 } }, { { 5, 6 }, { 5, 6 } },
	};
	struct stream_list m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(get(put(bad[i], 2, true), 0, &m, &e), -EPROTO);
}

static void rejects_intervals_outside_of_ram(void **state)
{
	const struct range bad[] = {
		{ 0x1ff, 0x201 },      { 0x200, 0x201 },
		{ 0, ~0ull },          { 1, 1ull << 52 },
		{ 1ull << 52, ~0ull }, { (1ull << 34) + 0xff, (1ull << 34) + 0x101 },
	};
	struct stream_list m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(get(put(&bad[i], 1, true), 0, &m, &e), -EPROTO);
}

static void rejects_a_part_that_goes_back(void **state)
{
	const struct range v[] = { { 5, 9 } };
	struct stream_list m;
	struct err e;

	(void)state;
	assert_int_equal(get(put(v, 1, false), 5, &m, &e), 0);
	assert_false(m.last);
	assert_int_equal(get(put(v, 1, false), 6, &m, &e), -EPROTO);
}

static void takes_an_empty_list_only_as_the_last_part(void **state)
{
	struct stream_list m;
	struct range got;
	struct err e;

	(void)state;
	assert_int_equal(get(put(NULL, 0, true), 0, &m, &e), 0);
	assert_false(stream_list_next(&m, &got));
	assert_int_equal(get(put(NULL, 0, false), 0, &m, &e), -EPROTO);
}

static void rejects_a_list_cut_or_extended_anywhere(void **state)
{
	const struct range v[] = { { 5, 9 }, { 10, 11 } };
	size_t n = put(v, 2, true);
	struct stream_list m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(get(i, 0, &m, &e), -EPROTO);
	assert_int_equal(get(n, 0, &m, &e), 0);
	assert_int_equal(get(n + 1, 0, &m, &e), -EPROTO);
	memset(space + 8, 0xff, 4);
	assert_int_equal(get(n, 0, &m, &e), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_frame_numbers_over_32_bits),
		cmocka_unit_test(rejects_empty_inverted_unsorted_and_overlapping_intervals),
		cmocka_unit_test(rejects_intervals_outside_of_ram),
		cmocka_unit_test(rejects_a_part_that_goes_back),
		cmocka_unit_test(takes_an_empty_list_only_as_the_last_part),
		cmocka_unit_test(rejects_a_list_cut_or_extended_anywhere),
	};

	return cmocka_run_group_tests_name("stream_list", tests, NULL, NULL);
}
