/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/converge.h"

#define MS 1000000ull

static const struct {
	const char *what;
	struct mig_converge in;
	enum mig_verdict verdict;
	uint64_t expected_ms;
} cases[] = {
	{ "nothing left", { 1, 30, 0, 0, 300 * MS, 0 }, MIG_STOP_NOW, 0 },
	{ "nothing left, but the round trips alone take longer",
	  { 1, 30, 0, 1000, 1 * MS, 9 * MS },
	  MIG_STOP_NOW,
	  9 },
	{ "published figures: 100 pages at 400/s fit 300 ms",
	  { 5, 30, 100, 400, 300 * MS, 0 },
	  MIG_STOP_NOW,
	  250 },
	{ "published figures: 350 dirty pages never do",
	  { 5, 30, 350, 400, 300 * MS, 0 },
	  MIG_GO_ON,
	  875 },
	{ "the limit itself is allowed", { 5, 30, 120, 400, 300 * MS, 0 }, MIG_STOP_NOW, 300 },
	{ "what is not for pages counts, too",
	  { 5, 30, 120, 400, 300 * MS, 1 * MS },
	  MIG_GO_ON,
	  301 },
	{ "the last pass", { 30, 30, 350, 400, 300 * MS, 0 }, MIG_DIVERGES, 875 },
	{ "the last pass, and it fits", { 30, 30, 100, 400, 300 * MS, 0 }, MIG_STOP_NOW, 250 },
	{ "beyond the last pass", { 31, 30, 350, 400, 300 * MS, 0 }, MIG_DIVERGES, 875 },
	{ "one pass allowed", { 1, 1, 350, 400, 300 * MS, 0 }, MIG_DIVERGES, 875 },
	{ "a limit of nothing", { 1, 30, 1, 1000000, 0, 0 }, MIG_GO_ON, 0 },
	{ "a TiB left", { 1, 30, 1ull << 28, 1000, 300 * MS, 0 }, MIG_GO_ON, 268435456 },
};

static void decides_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 1;
		enum mig_verdict v = mig_converge(&cases[i].in, &ns);

		if (v != cases[i].verdict || ns / MS != cases[i].expected_ms)
			fail_msg("%s: %d, %" PRIu64 " ms", cases[i].what, v, (uint64_t)(ns / MS));
	}
}

static void an_unknown_rate_promises_nothing(void **state)
{
	const struct mig_converge in = { 1, 30, 5, 0, 300 * MS, 0 };
	uint64_t ns = 0;

	(void)state;
	assert_int_equal(mig_converge(&in, &ns), MIG_GO_ON);
	assert_true(ns == UINT64_MAX);
}

static void numbers_beyond_all_measure_do_not_wrap(void **state)
{
	const struct mig_converge in = { 1, 30, UINT64_MAX, 1, 300 * MS, UINT64_MAX };
	uint64_t ns = 0;

	(void)state;
	assert_int_equal(mig_converge(&in, &ns), MIG_GO_ON);
	assert_true(ns == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decides_as_the_table_says),
		cmocka_unit_test(an_unknown_rate_promises_nothing),
		cmocka_unit_test(numbers_beyond_all_measure_do_not_wrap),
	};

	return cmocka_run_group_tests_name("migrate_converge", tests, NULL, NULL);
}
