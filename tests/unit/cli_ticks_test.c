/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/ticks.h"

static struct ticks read_text(const char *text)
{
	struct ticks t;

	ticks_read(text, strlen(text), &t);
	return t;
}

static void counts_without_a_gap(void **state)
{
	struct ticks t = read_text("testguest: up\r\nready\r\ntick 1\r\ntick 2 ab12\ntick 3\n");

	(void)state;
	assert_int_equal(t.count, 3);
	assert_int_equal(t.last, 3);
	assert_int_equal(t.missing, 0);
	assert_int_equal(t.repeated, 0);
	assert_false(t.broken || t.verified);
}

static void finds_missing_and_repeated_numbers(void **state)
{
	struct ticks t = read_text("tick 2\ntick 5\ntick 5\ntick 3\n");

	(void)state;
	assert_int_equal(t.missing, 3); /* 1, 3, 4 when 5 came */
	assert_int_equal(t.repeated, 2);
	assert_int_equal(t.last, 5);
}

static void leaves_an_unfinished_line_alone(void **state)
{
	struct ticks t = read_text("tick 1\ntick 23");

	(void)state;
	assert_int_equal(t.count, 1);
	assert_int_equal(t.last, 1);
	assert_int_equal(read_text("").count, 0);
}

static void does_not_take_other_lines_for_ticks(void **state)
{
	struct ticks t = read_text("tick \ntick x\ntick 1x\n tick 1\ntick 0\nticks 1\n"
				   "tick 99999999999999999999\n");

	(void)state;
	assert_int_equal(t.count, 0);
}

static void hears_what_the_guest_says_of_itself(void **state)
{
	(void)state;
	assert_true(read_text("verify ok sweep 3\n").verified);
	assert_true(read_text("CORRUPT page 0x1000\n").broken);
	assert_true(read_text("TRAP 14\n").broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_without_a_gap),
		cmocka_unit_test(finds_missing_and_repeated_numbers),
		cmocka_unit_test(leaves_an_unfinished_line_alone),
		cmocka_unit_test(does_not_take_other_lines_for_ticks),
		cmocka_unit_test(hears_what_the_guest_says_of_itself),
	};

	return cmocka_run_group_tests_name("cli_ticks", tests, NULL, NULL);
}
