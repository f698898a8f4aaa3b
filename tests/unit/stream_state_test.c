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

#include "stream/state.h"

static uint8_t space[STREAM_HEAD_MAX + 64];
static const uint8_t blob[STREAM_STATE_PART_MAX + 1];

static size_t put(uint64_t total, uint64_t offset, uint32_t len)
{
	const struct stream_state m = { total, offset, blob, len, false };
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	assert_int_equal(stream_state_put(&out, &m, &e), 0);
	return out.len;
}

static int get(size_t n, uint64_t have, uint64_t total, struct err *e)
{
	struct stream_state m;

	return stream_state_get(space, n, have, total, &m, e);
}

static void rejects_parts_that_do_not_follow_each_other(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(get(put(100, 40, 10), 40, 100, &e), 0);
	assert_int_equal(get(put(100, 40, 10), 39, 100, &e), -EPROTO);
	assert_int_equal(get(put(100, 40, 10), 41, 100, &e), -EPROTO);
	assert_int_equal(get(put(101, 40, 10), 40, 100, &e), -EPROTO);
}

static void rejects_lengths_beyond_the_total_or_the_limits(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(get(put(100, 0, 101), 0, 0, &e), -EPROTO);
	assert_int_equal(get(put(100, 0, 0), 0, 0, &e), -EPROTO);
	assert_int_equal(get(put(0, 0, 1), 0, 0, &e), -EPROTO);
	assert_int_equal(get(put(100, 100, 1), 100, 100, &e), -EPROTO);
	assert_int_equal(get(put(STREAM_STATE_MAX + 1ull, 0, 1), 0, 0, &e), -EPROTO);
	assert_int_equal(get(put(~0ull, 0, 1), 0, 0, &e), -EPROTO);
	assert_int_equal(get(put(STREAM_STATE_MAX, 0, STREAM_STATE_PART_MAX + 1), 0, 0, &e),
			 -EPROTO);
	assert_int_equal(get(put(STREAM_STATE_MAX, 0, STREAM_STATE_PART_MAX), 0, 0, &e), 0);
}

static void rejects_a_part_cut_or_extended_anywhere(void **state)
{
	size_t n = put(10, 0, 10);
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(get(i, 0, 0, &e), -EPROTO);
	assert_int_equal(get(n, 0, 0, &e), 0);
	assert_int_equal(get(n + 1, 0, 0, &e), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_parts_that_do_not_follow_each_other),
		cmocka_unit_test(rejects_lengths_beyond_the_total_or_the_limits),
		cmocka_unit_test(rejects_a_part_cut_or_extended_anywhere),
	};

	return cmocka_run_group_tests_name("stream_state", tests, NULL, NULL);
}
