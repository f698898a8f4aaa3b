/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stream/verdict.h"

#define HEAD_LEN 16u
#define COUNT_AT 8u
#define LOST_AT 12u

static uint8_t space[HEAD_LEN + LINES_MAX * LINES_LEN];

static struct lines sample(unsigned n)
{
	struct lines l = { 0 };

	for (unsigned i = 0; i < n; i++)
		lines_add(&l, "difference %u", i);
	return l;
}

static size_t put(const struct lines *l)
{
	struct wr out = wr_of(space, sizeof(space));
	struct err e = { 0 };

	assert_int_equal(stream_verdict_put(&out, l, &e), 0);
	return out.len;
}

static void reads_back_none_some_and_all_lines(void **state)
{
	static const unsigned counts[] = { 0, 1, LINES_MAX, LINES_MAX + 5 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct lines l = sample(counts[i]), got;
		size_t len = put(&l);
		struct err e = { 0 };

		assert_int_equal(len, HEAD_LEN + l.n * LINES_LEN);
		assert_int_equal(stream_verdict_get(space, len, &got, &e), 0);
		assert_memory_equal(&got, &l, sizeof(l));
	}
}

static void rejects_every_cut_and_a_byte_too_many(void **state)
{
	struct lines l = sample(2), got;
	size_t len = put(&l);
	struct err e = { 0 };

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(stream_verdict_get(space, n, &got, &e), -EPROTO);
	assert_int_equal(stream_verdict_get(space, len + 1, &got, &e), -EPROTO);
}

static void refuses(size_t at, uint8_t value, const char *why)
{
	struct lines l = sample(2), got;
	size_t len = put(&l);
	struct err e = { 0 };

	space[at] = value;
	assert_int_equal(stream_verdict_get(space, len, &got, &e), -EPROTO);
	assert_string_equal(e.msg, why);
}

static void rejects_counts_and_text_that_cannot_be(void **state)
{
	(void)state;
	refuses(COUNT_AT, LINES_MAX + 1, "VERDICT: 33 lines and 0 more");
	refuses(LOST_AT, 1, "VERDICT: 2 lines and 1 more");
	refuses(HEAD_LEN, 0x1b, "VERDICT: line 0 is not printable");
	refuses(HEAD_LEN + LINES_LEN, 0, "VERDICT: line 1 is not printable");
	refuses(HEAD_LEN + LINES_LEN - 1, 'x', "VERDICT: line 0 is not printable");
}

static void what_is_not_printable_is_not_sent(void **state)
{
	struct lines l = { 0 }, got;
	struct err e = { 0 };
	size_t len;

	(void)state;
	lines_add(&l, "a\n\xff"
		      "b");
	lines_add(&l, "%s", "");
	len = put(&l);
	assert_int_equal(stream_verdict_get(space, len, &got, &e), 0);
	assert_string_equal(got.v[0], "a??b");
	assert_string_equal(got.v[1], "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_none_some_and_all_lines),
		cmocka_unit_test(rejects_every_cut_and_a_byte_too_many),
		cmocka_unit_test(rejects_counts_and_text_that_cannot_be),
		cmocka_unit_test(what_is_not_printable_is_not_sent),
	};

	return cmocka_run_group_tests_name("stream_verdict", tests, NULL, NULL);
}
