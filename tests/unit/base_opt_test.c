/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/opt.h"

struct test_cfg {
	const char *to;
	struct opt_list san;
	uint64_t memory;
	unsigned days;
	int shift;
	uint32_t policy;
	bool force;
	unsigned place;
};

static const char *const places[] = { "kvm", "lab", NULL };

static const struct opt test_opts[] = {
	opt_str(struct test_cfg, to, "to", "URI", "where to"),
	opt_list(struct test_cfg, san, "san", "NAME", "a further name"),
	opt_size(struct test_cfg, memory, "memory", "SIZE", "how much"),
	opt_uint(struct test_cfg, days, "days", "N", "how long"),
	opt_int(struct test_cfg, shift, "shift", "N", "by how much"),
	opt_u32(struct test_cfg, policy, "policy", "BITS", "which rules"),
	opt_bool(struct test_cfg, force, "force", "although"),
	opt_enum(struct test_cfg, place, "place", "PLACE", places, "where"),
	opt_end,
};

static const struct opt_cmd test_cmd = {
	.name = "sevmig test",
	.args = "NAME [URI]",
	.help = "A command.",
	.opts = test_opts,
	.min_args = 1,
	.max_args = 2,
};

static struct test_cfg cfg;
static struct opt_args rest;
static struct err err;

/* Up to seven words; returns what opt_parse() does. */
static int parse(const char *a, const char *b, const char *c, const char *d)
{
	static char words[5][64];
	char *argv[6] = { words[0] };
	const char *in[] = { a, b, c, d };
	int argc = 1;

	memset(&cfg, 0, sizeof(cfg));
	memset(&err, 0, sizeof(err));
	for (int i = 0; i < 4 && in[i]; i++) {
		snprintf(words[argc], sizeof(words[0]), "%s", in[i]);
		argv[argc] = words[argc];
		argc++;
	}
	return opt_parse(&test_cmd, &cfg, argc, argv, &rest, &err);
}

static void refuses(const char *a, const char *b, const char *c, const char *message)
{
	assert_int_equal(parse(a, b, c, NULL), -EINVAL);
	assert_string_equal(err.msg, message);
}

static void takes_values_with_equals_sign_and_apart(void **state)
{
	(void)state;
	assert_int_equal(parse("--to=unix:/x", "n", "--memory", "512M"), OPT_GO);
	assert_string_equal(cfg.to, "unix:/x");
	assert_true(cfg.memory == 512ull << 20);
	assert_int_equal(rest.n, 1);
	assert_string_equal(rest.v[0], "n");
	assert_int_equal(parse("n", "--to=", NULL, NULL), OPT_GO);
	assert_string_equal(cfg.to, "");
}

static void last_of_repeated_options_wins_but_lists_collect(void **state)
{
	(void)state;
	assert_int_equal(parse("n", "--days=1", "--days=2", NULL), OPT_GO);
	assert_int_equal(cfg.days, 2);
	assert_int_equal(parse("n", "--san=a", "--san=b", NULL), OPT_GO);
	assert_int_equal(cfg.san.n, 2);
	assert_string_equal(cfg.san.v[0], "a");
	assert_string_equal(cfg.san.v[1], "b");
}

static void reads_every_kind_of_value(void **state)
{
	(void)state;
	assert_int_equal(parse("n", "--policy=0x10001", "--force", "--place=lab"), OPT_GO);
	assert_int_equal(cfg.policy, 0x10001);
	assert_int_equal(parse("n", "--shift", "-7", NULL), OPT_GO);
	assert_int_equal(cfg.shift, -7);
	assert_int_equal(parse("n", "--shift=2147483647", NULL, NULL), OPT_GO);
	assert_int_equal(cfg.shift, 2147483647);
	assert_int_equal(parse("n", "--policy=0x10001", "--force", "--place=lab"), OPT_GO);
	assert_true(cfg.force);
	assert_int_equal(cfg.place, 1);
}

static void double_dash_ends_options(void **state)
{
	(void)state;
	assert_int_equal(parse("--", "--force", "-", NULL), OPT_GO);
	assert_int_equal(rest.n, 2);
	assert_string_equal(rest.v[0], "--force");
	assert_string_equal(rest.v[1], "-");
	assert_false(cfg.force);
}

static void says_what_is_wrong_with_a_value(void **state)
{
	(void)state;
	refuses("n", "--memory", "12Q",
		"sevmig test: --memory 12Q: not a size (examples: 512M, 2G)");
	refuses("n", "--memory=", NULL, "sevmig test: --memory : not a size (examples: 512M, 2G)");
	refuses("n", "--days=-1", NULL, "sevmig test: --days -1: not a number");
	refuses("n", "--days=4294967296", NULL, "sevmig test: --days 4294967296: not a number");
	refuses("n", "--shift=--1", NULL, "sevmig test: --shift --1: not a number");
	refuses("n", "--shift=2147483648", NULL, "sevmig test: --shift 2147483648: not a number");
	refuses("n", "--policy=0x", NULL,
		"sevmig test: --policy 0x: not a number (examples: 1, 0x10001)");
	refuses("n", "--place=moon", NULL, "sevmig test: --place moon: not one of kvm, lab");
	refuses("n", "--force=yes", NULL, "sevmig test: --force takes no value");
	refuses("n", "--to", NULL, "sevmig test: --to needs a value: URI");
}

static void says_what_is_wrong_with_the_words(void **state)
{
	(void)state;
	refuses("n", "--forc", NULL, "sevmig test: --forc: no such option");
	refuses("n", "-f", NULL, "sevmig test: -f: options are long, like --help");
	refuses(NULL, NULL, NULL, "sevmig test: arguments missing: NAME [URI]");
	refuses("a", "b", "c", "sevmig test: one argument too many: c");
}

static void bounds_list_options(void **state)
{
	char *argv[OPT_LIST_MAX + 3];
	static char cmd[] = "x", name[] = "n", san[] = "--san=a";

	(void)state;
	memset(&cfg, 0, sizeof(cfg));
	argv[0] = cmd;
	argv[1] = name;
	for (int i = 0; i < OPT_LIST_MAX + 1; i++)
		argv[2 + i] = san;
	assert_int_equal(opt_parse(&test_cmd, &cfg, OPT_LIST_MAX + 2, argv, &rest, &err), OPT_GO);
	assert_int_equal(cfg.san.n, OPT_LIST_MAX);
	memset(&cfg, 0, sizeof(cfg));
	assert_int_equal(opt_parse(&test_cmd, &cfg, OPT_LIST_MAX + 3, argv, &rest, &err), -EINVAL);
	assert_string_equal(err.msg, "sevmig test: --san: more than 32 times");
}

static void help_wins_over_missing_arguments(void **state)
{
	(void)state;
	assert_int_equal(parse("--help", "--nonsense", NULL, NULL), OPT_HELP);
	assert_int_equal(parse("--list-options", NULL, NULL, NULL), OPT_NAMES);
}

static void sizes_do_not_overflow(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(opt_size_get("16777215T", &v), 0);
	assert_true(v == 16777215ull << 40);
	assert_int_equal(opt_size_get("16777216T", &v), -EINVAL);
	assert_int_equal(opt_size_get("18446744073709551615", &v), 0);
	assert_int_equal(opt_size_get("18446744073709551616", &v), -EINVAL);
	assert_int_equal(opt_size_get("1KK", &v), -EINVAL);
	assert_int_equal(opt_size_get("", &v), -EINVAL);
	assert_int_equal(opt_size_get(" 1", &v), -EINVAL);
	assert_int_equal(opt_size_get("+1", &v), -EINVAL);
	assert_true(v == UINT64_MAX);
}

static void help_and_names_list_every_option(void **state)
{
	auto_mem char *help = NULL, *names = NULL;
	size_t len;
	FILE *f = open_memstream(&help, &len);

	(void)state;
	assert_non_null(f);
	opt_help_print(&test_cmd, f);
	fclose(f);
	f = open_memstream(&names, &len);
	assert_non_null(f);
	opt_names_print(&test_cmd, f);
	fclose(f);
	assert_string_equal(names,
			    "--to\n--san\n--memory\n--days\n--shift\n--policy\n--force\n--place\n"
			    "--help\n");
	assert_non_null(strstr(help, "Usage: sevmig test [OPTIONS] NAME [URI]\n"));
	for (const struct opt *o = test_opts; o->kind != OPT_END; o++)
		assert_non_null(strstr(help, o->help));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_values_with_equals_sign_and_apart),
		cmocka_unit_test(last_of_repeated_options_wins_but_lists_collect),
		cmocka_unit_test(reads_every_kind_of_value),
		cmocka_unit_test(double_dash_ends_options),
		cmocka_unit_test(says_what_is_wrong_with_a_value),
		cmocka_unit_test(says_what_is_wrong_with_the_words),
		cmocka_unit_test(bounds_list_options),
		cmocka_unit_test(help_wins_over_missing_arguments),
		cmocka_unit_test(sizes_do_not_overflow),
		cmocka_unit_test(help_and_names_list_every_option),
	};

	return cmocka_run_group_tests_name("base_opt", tests, NULL, NULL);
}
