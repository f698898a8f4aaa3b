/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

static struct err err;

static uint32_t policy(const char *text, const char *min_api)
{
	uint32_t v = 0xdead;

	memset(&err, 0, sizeof(err));
	assert_int_equal(cli_policy_get(text, min_api, &v, &err), 0);
	return v;
}

static void refuses(const char *text, const char *min_api, int code, const char *message)
{
	uint32_t v = 7;

	memset(&err, 0, sizeof(err));
	assert_int_equal(cli_policy_get(text, min_api, &v, &err), code);
	assert_non_null(strstr(err.msg, message));
	assert_int_equal(v, 7);
}

static void reads_names_and_numbers(void **state)
{
	(void)state;
	assert_int_equal(policy("nodbg", NULL), 1);
	assert_int_equal(policy("nodbg,noks,nosend,domain,sev", NULL), 0x3b);
	assert_int_equal(policy("0x3,nosend", NULL), 0xb);
	assert_int_equal(policy("1", NULL), 1);
	assert_int_equal(policy("", NULL), 0);
}

static void puts_the_minimum_api_in_the_upper_half(void **state)
{
	(void)state;
	assert_int_equal(policy("nodbg", "1.51"), 0x33010001);
	assert_int_equal(policy("0xffff0000", "0.24"), 0x18000000);
	assert_int_equal(policy("0", "255.255"), 0xffff0000);
}

static void refuses_what_it_does_not_know(void **state)
{
	(void)state;
	refuses("nodebug", NULL, -EINVAL, "policy: nodebug: neither a number nor one of nodbg");
	refuses("0x1ffffffff", NULL, -EINVAL, "policy: 0x1ffffffff");
	refuses("nodbg", "1", -EINVAL, "minimum API: 1: not a version");
	refuses("nodbg", "1.256", -EINVAL, "not a version");
	refuses("nodbg", "-1.2", -EINVAL, "not a version");
	refuses("nodbg", "1.2.3", -EINVAL, "not a version");
}

static void takes_the_es_bit_by_name_and_number(void **state)
{
	(void)state;
	assert_int_equal(policy("nodbg,es", "1.55"), 0x37010005);
	assert_int_equal(policy("0x5", NULL), 5);
}

static void prints_bits_by_name(void **state)
{
	char text[128];

	(void)state;
	cli_policy_print(0x33010009, text, sizeof(text));
	assert_string_equal(text, "0x33010009 nodbg nosend api>=1.51");
	cli_policy_print(0xffffffff, text, 12); /* cut, never beyond */
	assert_int_equal(strlen(text), 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names_and_numbers),
		cmocka_unit_test(puts_the_minimum_api_in_the_upper_half),
		cmocka_unit_test(refuses_what_it_does_not_know),
		cmocka_unit_test(takes_the_es_bit_by_name_and_number),
		cmocka_unit_test(prints_bits_by_name),
	};

	return cmocka_run_group_tests_name("cli_policy", tests, NULL, NULL);
}
