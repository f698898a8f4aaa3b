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

#include "stream/hello.h"

static uint8_t space[16384];
static const uint8_t zeros[STREAM_PLAT_LEN];

static size_t hello(const struct stream_hello *m)
{
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	assert_int_equal(stream_hello_put(&out, m, &e), 0);
	return out.len;
}

static size_t reply(void)
{
	const struct stream_hello_reply m = { .version = 1,
					      .pdh = zeros,
					      .plat = zeros,
					      .amd = zeros,
					      .amd_len = STREAM_AMD_NAPLES_LEN };
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	assert_int_equal(stream_hello_reply_put(&out, &m, &e), 0);
	return out.len;
}

static void rejects_a_hello_cut_anywhere(void **state)
{
	size_t n = hello(&(struct stream_hello){ 1, 1, STREAM_ROLE_NEW, 0, { 0 } });
	struct stream_hello got;
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(stream_hello_get(space, i, &got, &e), -EPROTO);
	assert_int_equal(stream_hello_get(space, n, &got, &e), 0);
}

static void ignores_what_a_later_version_appends(void **state)
{
	size_t n = hello(&(struct stream_hello){ 1, 9, STREAM_ROLE_NEW, ~0ull, { 0 } });
	struct stream_hello got;
	struct err e;

	(void)state;
	assert_int_equal(stream_hello_get(space, n + 100, &got, &e), 0);
	assert_int_equal(got.version_max, 9);
	n = reply();
	assert_int_equal(
		stream_hello_reply_get(space, n + 100, &(struct stream_hello_reply){ 0 }, &e), 0);
}

static void rejects_bad_versions_roles_and_magic(void **state)
{
	const struct stream_hello bad[] = {
		{ 0, 1, STREAM_ROLE_NEW, 0, { 0 } },
		{ 2, 1, STREAM_ROLE_NEW, 0, { 0 } },
		{ 1, 1, 0, 0, { 0 } },
		{ 1, 1, 4, 0, { 0 } },
	};
	struct stream_hello got;
	struct err e;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		n = hello(&bad[i]);
		assert_int_equal(stream_hello_get(space, n, &got, &e), -EPROTO);
	}
	n = hello(&(struct stream_hello){ 1, 1, STREAM_ROLE_NEW, 0, { 0 } });
	for (size_t i = 0; i < 16; i++) { /* type, layout, zero, magic */
		space[i] ^= 0x20;
		assert_int_equal(stream_hello_get(space, n, &got, &e), -EPROTO);
		space[i] ^= 0x20;
	}
}

static void chooses_the_highest_common_version_or_none(void **state)
{
	struct stream_hello m = { .version_min = 1, .version_max = 7 };

	(void)state;
	assert_int_equal(stream_version_choose(&m), 1);
	m.version_min = 2;
	assert_int_equal(stream_version_choose(&m), 0);
}

static void rejects_a_reply_cut_anywhere(void **state)
{
	size_t n = reply();
	struct stream_hello_reply got;
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(stream_hello_reply_get(space, i, &got, &e), -EPROTO);
	assert_int_equal(stream_hello_reply_get(space, n, &got, &e), 0);
	assert_int_equal(got.amd_len, STREAM_AMD_NAPLES_LEN);
}

static void rejects_certificates_of_other_lengths(void **state)
{
	size_t n = reply();
	struct stream_hello_reply got;
	struct err e;

	(void)state;
	for (size_t i = 32; i < 44; i++) {
		space[i] ^= 1;
		assert_int_equal(stream_hello_reply_get(space, n, &got, &e), -EPROTO);
		space[i] ^= 1;
	}
}

static void rejects_a_version_that_was_not_offered(void **state)
{
	size_t n = reply();
	struct stream_hello_reply got;
	struct err e;

	(void)state;
	space[16] = 2;
	assert_int_equal(stream_hello_reply_get(space, n, &got, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "version 2"));
	space[16] = 0;
	assert_int_equal(stream_hello_reply_get(space, n, &got, &e), -EPROTO);
}

static void a_reply_to_a_resume_has_no_certificates(void **state)
{
	const struct stream_hello_reply m = { .version = 1 };
	struct stream_hello_reply got;
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	(void)state;
	assert_int_equal(stream_hello_reply_put(&out, &m, &e), 0);
	assert_int_equal(stream_hello_reply_get(space, out.len, &got, &e), 0);
	assert_null(got.pdh);
}

static void says_when_a_message_does_not_fit(void **state)
{
	struct wr out = wr_of(space, 20);
	struct err e;

	(void)state;
	assert_int_equal(stream_hello_put(&out, &(struct stream_hello){ .version_min = 1 }, &e),
			 -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_a_hello_cut_anywhere),
		cmocka_unit_test(ignores_what_a_later_version_appends),
		cmocka_unit_test(rejects_bad_versions_roles_and_magic),
		cmocka_unit_test(chooses_the_highest_common_version_or_none),
		cmocka_unit_test(rejects_a_reply_cut_anywhere),
		cmocka_unit_test(rejects_certificates_of_other_lengths),
		cmocka_unit_test(rejects_a_version_that_was_not_offered),
		cmocka_unit_test(a_reply_to_a_resume_has_no_certificates),
		cmocka_unit_test(says_when_a_message_does_not_fit),
	};

	return cmocka_run_group_tests_name("stream_hello", tests, NULL, NULL);
}
