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

#include "migrate/bitmap.h"
#include "migrate/mem.h"

#define BITS 200u

static uint64_t rnd_state = 0x9e3779b97f4a7c15ull;

static uint32_t rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)((rnd_state >> 11) % below);
}

static void assert_runs(const struct mig_bitmap *bm, const uint8_t *bits)
{
	uint8_t seen[BITS] = { 0 };
	uint64_t at = 0, n, total = 0, last = 0;

	while (mig_bitmap_run(bm, &at, &n)) {
		assert_true(at + n <= BITS);
		assert_true(total == 0 || at > last); /* runs do not touch */
		memset(seen + at, 1, n);
		total += n;
		at += n;
		last = at;
	}
	assert_memory_equal(seen, bits, BITS);
	assert_int_equal(mig_bitmap_count(bm), total);
}

static void runs_are_what_a_naive_bitmap_holds(void **state)
{
	struct err e;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		uint8_t bits[BITS] = { 0 };
		struct mig_bitmap bm;

		assert_int_equal(mig_bitmap_init(&bm, BITS, &e), 0);
		for (unsigned i = 0; i < round % 9; i++) {
			uint32_t start = rnd(BITS), n = 1 + rnd(BITS - start);

			mig_bitmap_set(&bm, start, n);
			memset(bits + start, 1, n);
		}
		assert_runs(&bm, bits);
		mig_bitmap_fini(&bm);
	}
}

static void setting_behind_the_end_is_cut(void **state)
{
	struct mig_bitmap bm;
	uint64_t at = 0, n;
	struct err e;

	(void)state;
	assert_int_equal(mig_bitmap_init(&bm, BITS, &e), 0);
	mig_bitmap_set(&bm, BITS - 3, 100);
	mig_bitmap_set(&bm, BITS + 1000, 5);
	mig_bitmap_set(&bm, 10, UINT64_MAX);
	assert_true(mig_bitmap_run(&bm, &at, &n));
	assert_int_equal(at, 10);
	assert_int_equal(n, BITS - 10);
	mig_bitmap_fini(&bm);
}

static void stray_bits_behind_the_end_are_no_pages(void **state)
{
	struct mig_bitmap bm;
	uint64_t at = 0, n;
	struct err e;

	(void)state;
	assert_int_equal(mig_bitmap_init(&bm, 70, &e), 0);
	bm.words[1] = ~0ull << 6;
	assert_false(mig_bitmap_run(&bm, &at, &n));
	mig_bitmap_fini(&bm);
}

static void and_or_and_clear_work_on_words(void **state)
{
	struct mig_bitmap a, b;
	struct err e;

	(void)state;
	assert_int_equal(mig_bitmap_init(&a, BITS, &e), 0);
	assert_int_equal(mig_bitmap_init(&b, BITS, &e), 0);
	mig_bitmap_set(&a, 0, 100);
	mig_bitmap_set(&b, 50, 100);
	mig_bitmap_and(&a, &b);
	assert_int_equal(mig_bitmap_count(&a), 50);
	mig_bitmap_or(&a, &b);
	assert_int_equal(mig_bitmap_count(&a), 100);
	mig_bitmap_clear(&a);
	assert_int_equal(mig_bitmap_count(&a), 0);
	mig_bitmap_fini(&a);
	mig_bitmap_fini(&b);
}

/* Against asking the list about each frame by itself. */
static void status_runs_are_what_the_list_says_of_each_frame(void **state)
{
	struct mig_mem mem = { .low_frames = 20 };
	struct err e;

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		struct mig_status st = { .mem = &mem };
		struct ranges list;
		uint64_t at = rnd(30);

		ranges_init(&list);
		st.list = &list;
		for (unsigned i = 0; i < round % 7; i++) {
			uint64_t start = rnd(BITS);

			assert_int_equal(ranges_add(&list, start, start + 1 + rnd(20), &e), 0);
		}
		while (at < BITS) {
			bool shared;
			uint64_t n = mig_status_run(&st, at, BITS - at, &shared);

			assert_true(n > 0 && n <= BITS - at);
			for (uint64_t f = at; f < at + n; f++)
				assert_int_equal(shared, f >= 20 && ranges_has(&list, f));
			at += n + rnd(3);
		}
		ranges_fini(&list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_what_a_naive_bitmap_holds),
		cmocka_unit_test(setting_behind_the_end_is_cut),
		cmocka_unit_test(stray_bits_behind_the_end_are_no_pages),
		cmocka_unit_test(and_or_and_clear_work_on_words),
		cmocka_unit_test(status_runs_are_what_the_list_says_of_each_frame),
	};

	return cmocka_run_group_tests_name("migrate_bitmap", tests, NULL, NULL);
}
