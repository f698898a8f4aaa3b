/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ranges.h"

#define SPACE 96u
#define SEQUENCES 30000u

static uint64_t rnd_state = 0x9e3779b97f4a7c15ull;

static uint32_t rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)((rnd_state >> 11) % below);
}

static void assert_same(struct ranges *s, const uint8_t *bits, uint64_t base)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < SPACE; i++) {
		total += bits[i];
		if (ranges_has(s, base + i) != (bits[i] != 0))
			fail_msg("number %u differs", i);
	}
	assert_true(ranges_total(s) == total);
	for (size_t i = 0; i < s->n; i++) {
		assert_true(s->v[i].start < s->v[i].end);
		if (i) /* coalesced: a gap between any two */
			assert_true(s->v[i - 1].end < s->v[i].start);
	}
}

static void equals_a_bitmap_over_random_sequences(void **state)
{
	(void)state;
	for (unsigned seq = 0; seq < SEQUENCES; seq++) {
		uint64_t base = seq % 3 ? UINT64_MAX - SPACE - 1 : 0;
		uint8_t bits[SPACE] = { 0 };
		struct ranges s;
		struct err e;

		ranges_init(&s);
		for (unsigned op = 0; op < 12; op++) {
			uint32_t a = rnd(SPACE), b = a + 1 + rnd(SPACE - a);
			bool add = rnd(2);
			int r = add ? ranges_add(&s, base + a, base + b, &e)
				    : ranges_remove(&s, base + a, base + b, &e);

			assert_int_equal(r, 0);
			memset(bits + a, add, b - a);
			assert_same(&s, bits, base);
		}
		ranges_fini(&s);
	}
}

static void refuses_an_empty_or_inverted_interval(void **state)
{
	struct ranges s;
	struct err e;

	(void)state;
	ranges_init(&s);
	assert_int_equal(ranges_add(&s, 5, 5, &e), -EINVAL);
	assert_int_equal(ranges_add(&s, 6, 5, &e), -EINVAL);
	assert_int_equal(ranges_remove(&s, 6, 5, &e), -EINVAL);
	assert_int_equal(ranges_total(&s), 0);
	ranges_fini(&s);
}

static void keeps_frame_numbers_over_32_bits(void **state)
{
	struct ranges s;
	struct err e;

	(void)state;
	ranges_init(&s);
	assert_int_equal(ranges_add(&s, 1ull << 40, (1ull << 40) + 2, &e), 0);
	assert_true(ranges_has(&s, (1ull << 40) + 1));
	assert_false(ranges_has(&s, 1));
	ranges_fini(&s);
}

static void copy_replaces_and_clear_empties(void **state)
{
	struct ranges a, b;
	struct err e;

	(void)state;
	ranges_init(&a);
	ranges_init(&b);
	assert_int_equal(ranges_add(&a, 1, 3, &e), 0);
	assert_int_equal(ranges_add(&b, 10, 30, &e), 0);
	assert_int_equal(ranges_copy(&b, &a, &e), 0);
	assert_int_equal(ranges_total(&b), 2);
	ranges_clear(&a);
	assert_int_equal(ranges_total(&a), 0);
	assert_true(ranges_has(&b, 2));
	ranges_fini(&a);
	ranges_fini(&b);
}

struct editor {
	struct ranges *s;
	uint64_t base;
};

static void *edit(void *arg)
{
	struct editor *ed = arg;
	struct err e;

	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t at = ed->base + i % 50 * 2;

		if (ranges_add(ed->s, at, at + 1, &e) < 0 ||
		    (i % 3 == 0 && ranges_remove(ed->s, at, at + 1, &e) < 0))
			return ed;
	}
	return ranges_add(ed->s, ed->base, ed->base + 100, &e) < 0 ? ed : NULL;
}

static void survives_concurrent_edits_and_snapshots(void **state)
{
	struct editor ed[3];
	pthread_t t[3];
	struct ranges s, snap;
	struct err e;

	(void)state;
	ranges_init(&s);
	ranges_init(&snap);
	for (unsigned i = 0; i < 3; i++) {
		ed[i] = (struct editor){ &s, i * 1000 };
		assert_int_equal(pthread_create(&t[i], NULL, edit, &ed[i]), 0);
	}
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(ranges_copy(&snap, &s, &e), 0);
	for (unsigned i = 0; i < 3; i++) {
		void *failed;

		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(ranges_total(&s), 300);
	assert_int_equal(s.n, 3);
	ranges_fini(&s);
	ranges_fini(&snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_a_bitmap_over_random_sequences),
		cmocka_unit_test(refuses_an_empty_or_inverted_interval),
		cmocka_unit_test(keeps_frame_numbers_over_32_bits),
		cmocka_unit_test(copy_replaces_and_clear_empties),
		cmocka_unit_test(survives_concurrent_edits_and_snapshots),
	};

	return cmocka_run_group_tests_name("base_ranges", tests, NULL, NULL);
}
