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

#include "stream/pages.h"

static uint8_t space[STREAM_HEAD_MAX + 64];
static uint8_t body[STREAM_BODY_MAX + PAGE_LEN];
static const struct stream_bounds bounds = {
	.nram = 2,
	.ram = { { 0, 0x200000 }, { 0x100000000ull, 0x100000 } },
	.private_below = 0x100000,
};

static size_t put_private(const uint64_t *at, uint32_t n, uint32_t len)
{
	struct stream_private_entry v[STREAM_BATCH_PAGES + 1];
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	memset(v, 0, sizeof(v));
	for (uint32_t i = 0; i < n; i++) {
		v[i].at = gpa(at[i]);
		v[i].len = len;
	}
	assert_int_equal(stream_private_put(&out, 1, v, n, &e), 0);
	return out.len;
}

static int get_private(size_t n, size_t body_len, struct err *e)
{
	struct stream_private m;

	return stream_private_get(space, n, body, body_len, &bounds, &m, e);
}

static size_t put_shared(const uint64_t *at, const bool *zero, uint32_t n)
{
	struct stream_shared_entry v[STREAM_BATCH_PAGES + 1];
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct stream_shared_entry){ gpa(at[i]), zero && zero[i] ? NULL : body };
	assert_int_equal(stream_shared_put(&out, 1, v, n, &e), 0);
	return out.len;
}

static int get_shared(size_t n, struct err *e)
{
	struct stream_shared m;

	return stream_shared_get(space, n, &bounds, &m, e);
}

static void rejects_private_pages_with_short_or_long_head(void **state)
{
	const uint64_t at[] = { 0, 0x1000 };
	size_t n = put_private(at, 2, PAGE_LEN);
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(get_private(i, 2 * PAGE_LEN, &e), -EPROTO);
	assert_int_equal(get_private(n, 2 * PAGE_LEN, &e), 0);
	assert_int_equal(get_private(n + 1, 2 * PAGE_LEN, &e), -EPROTO);
}

static void rejects_a_body_that_is_not_the_sum_of_its_packets(void **state)
{
	const uint64_t at[] = { 0, 0x1000 };
	size_t n = put_private(at, 2, PAGE_LEN);
	struct err e;

	(void)state;
	assert_int_equal(get_private(n, 2 * PAGE_LEN - 1, &e), -EPROTO);
	assert_int_equal(get_private(n, 2 * PAGE_LEN + 1, &e), -EPROTO);
	assert_int_equal(get_private(n, 0, &e), -EPROTO);
}

static void rejects_a_record_that_claims_more_or_less_than_a_page(void **state)
{
	const uint64_t at[] = { 0x1000 };
	const uint32_t lens[] = { 16, 4095, 4097, 8192, 0xffffffff };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		assert_int_equal(get_private(put_private(at, 1, lens[i]), PAGE_LEN, &e), -EPROTO);
		assert_non_null(strstr(e.msg, "0x1000"));
	}
}

/* A handler's page of zeros. */
static void takes_a_record_without_a_packet_when_the_body_has_none(void **state)
{
	const uint64_t at[] = { 0x1000 };
	struct err e;

	(void)state;
	assert_int_equal(get_private(put_private(at, 1, 0), 0, &e), 0);
	assert_int_equal(get_private(put_private(at, 1, 0), PAGE_LEN, &e), -EPROTO);
}

static void rejects_pages_outside_of_ram_unaligned_or_twice(void **state)
{
	const uint64_t bad[][2] = {
		{ 0x101000, 0x200000 },       { 0x101000, 0x101000 }, { 0x102000, 0x101000 },
		{ 0x101000, 0x102001 },       { 0x101000, ~0ull },    { 0x101000, ~0xfffull },
		{ 0x101000, 0x100100000ull },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(get_private(put_private(bad[i], 2, PAGE_LEN), 2 * PAGE_LEN, &e),
				 -EPROTO);
		assert_int_equal(get_shared(put_shared(bad[i], NULL, 2), &e), -EPROTO);
	}
}

static void rejects_no_pages_and_too_many(void **state)
{
	uint64_t at[STREAM_BATCH_PAGES + 1];
	bool zero[STREAM_BATCH_PAGES + 1];
	struct err e;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i <= STREAM_BATCH_PAGES; i++) {
		at[i] = 0x100000000ull + i * (uint64_t)PAGE_LEN;
		zero[i] = true;
	}
	assert_int_equal(get_private(put_private(at, 0, 0), 0, &e), -EPROTO);
	assert_int_equal(get_shared(put_shared(at, NULL, 0), &e), -EPROTO);
	at[0] = 0; /* otherwise one would be outside, too */
	for (uint32_t i = 1; i <= STREAM_BATCH_PAGES; i++)
		at[i] = 0x100000000ull + (i - 1) * (uint64_t)PAGE_LEN;
	n = put_private(at, STREAM_BATCH_PAGES + 1, PAGE_LEN);
	assert_int_equal(get_private(n, STREAM_BODY_MAX + PAGE_LEN, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "257 pages"));
	assert_int_equal(get_shared(put_shared(at, zero, STREAM_BATCH_PAGES + 1), &e), -EPROTO);
	n = put_private(at, STREAM_BATCH_PAGES, PAGE_LEN);
	assert_int_equal(get_private(n, STREAM_BODY_MAX, &e), 0);
}

static void the_largest_messages_fit_the_limits(void **state)
{
	uint64_t at[STREAM_BATCH_PAGES];
	struct err e;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < STREAM_BATCH_PAGES; i++)
		at[i] = 0x100000 + i * (uint64_t)PAGE_LEN;
	n = put_shared(at, NULL, STREAM_BATCH_PAGES);
	assert_true(n <= STREAM_HEAD_MAX);
	assert_int_equal(get_shared(n, &e), 0);
}

static void rejects_shared_pages_with_short_or_long_head(void **state)
{
	const uint64_t at[] = { 0x100000, 0x101000, 0x102000 };
	const bool zero[] = { false, true, false };
	size_t n = put_shared(at, zero, 3);
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(get_shared(i, &e), -EPROTO);
	assert_int_equal(get_shared(n, &e), 0);
	assert_int_equal(get_shared(n + 1, &e), -EPROTO);
}

static void rejects_a_shared_page_where_all_is_private(void **state)
{
	const uint64_t at[] = { 0xff000 };
	struct err e;

	(void)state;
	assert_int_equal(get_shared(put_shared(at, NULL, 1), &e), -EPROTO);
	assert_non_null(strstr(e.msg, "always private"));
	assert_int_equal(get_private(put_private(at, 1, PAGE_LEN), PAGE_LEN, &e), 0);
}

static void rejects_unknown_flags(void **state)
{
	const uint64_t at[] = { 0x100000 };
	struct err e;
	size_t n = put_shared(at, NULL, 1);

	(void)state;
	space[24] = 2;
	assert_int_equal(get_shared(n, &e), -EPROTO);
	space[24] = 0;
	space[28] = 1;
	assert_int_equal(get_shared(n, &e), -EPROTO);
}

static void rejects_a_malformed_pass(void **state)
{
	struct stream_pass m = { .pass = 1 }, got;
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	(void)state;
	assert_int_equal(stream_pass_put(&out, &m, &e), 0);
	for (size_t i = 0; i < out.len; i++)
		assert_int_equal(stream_pass_get(space, i, &got, &e), -EPROTO);
	assert_int_equal(stream_pass_get(space, out.len, &got, &e), 0);
	assert_int_equal(stream_pass_get(space, out.len + 1, &got, &e), -EPROTO);
	space[12] = 2;
	assert_int_equal(stream_pass_get(space, out.len, &got, &e), -EPROTO);
	space[12] = 0;
	space[8] = 0;
	assert_int_equal(stream_pass_get(space, out.len, &got, &e), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_private_pages_with_short_or_long_head),
		cmocka_unit_test(rejects_a_body_that_is_not_the_sum_of_its_packets),
		cmocka_unit_test(rejects_a_record_that_claims_more_or_less_than_a_page),
		cmocka_unit_test(takes_a_record_without_a_packet_when_the_body_has_none),
		cmocka_unit_test(rejects_pages_outside_of_ram_unaligned_or_twice),
		cmocka_unit_test(rejects_no_pages_and_too_many),
		cmocka_unit_test(the_largest_messages_fit_the_limits),
		cmocka_unit_test(rejects_shared_pages_with_short_or_long_head),
		cmocka_unit_test(rejects_a_shared_page_where_all_is_private),
		cmocka_unit_test(rejects_unknown_flags),
		cmocka_unit_test(rejects_a_malformed_pass),
	};

	return cmocka_run_group_tests_name("stream_pages", tests, NULL, NULL);
}
