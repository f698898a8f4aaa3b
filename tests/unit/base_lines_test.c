/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/lines.h"

static void lines_are_kept_in_order_and_joined(void **state)
{
	struct lines l = { 0 };
	char all[64];

	(void)state;
	lines_join(&l, all, sizeof(all));
	assert_string_equal(all, "");
	lines_add(&l, "%u vCPUs", 2u);
	lines_add(&l, "other RAM");
	assert_int_equal(l.n, 2);
	lines_join(&l, all, sizeof(all));
	assert_string_equal(all, "2 vCPUs; other RAM");
}

static void what_does_not_fit_is_counted(void **state)
{
	struct lines l = { 0 };
	char all[64];

	(void)state;
	for (unsigned i = 0; i < LINES_MAX + 3; i++)
		lines_add(&l, "difference %u", i);
	assert_int_equal(l.n, LINES_MAX);
	assert_int_equal(l.lost, 3);
	lines_join(&l, all, sizeof(all));
	assert_string_equal(all, "difference 0; difference 1; difference 2; and 32 more");
}

static void long_line_is_cut_and_ended(void **state)
{
	struct lines l = { 0 };
	char all[16], text[300];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	lines_add(&l, "%s", text);
	assert_int_equal(strlen(l.v[0]), LINES_LEN - 1);
	lines_join(&l, all, sizeof(all));
	assert_string_equal(all, "xxxxxxxxxxxxxxx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_kept_in_order_and_joined),
		cmocka_unit_test(what_does_not_fit_is_counted),
		cmocka_unit_test(long_line_is_cut_and_ended),
	};

	return cmocka_run_group_tests_name("base_lines", tests, NULL, NULL);
}
