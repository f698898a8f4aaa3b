/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/pages.h"

#define MAP 12u
#define SHARE 0u
#define ENCRYPT 0x10u
#define EINVAL_GUEST (-22)
#define ENOSYS_GUEST (-1000)
#define MIB (1ull << 20)

/* 16 MiB at 0 and 8 MiB at 4 GiB: frames 0 to 0xfff and 0x100000 to 0x1007ff. */
#define LOW_FRAMES 0x1000u
#define HIGH_START 0x100000ull
#define HIGH_END 0x100800ull

static const struct mig_ram ram[2] = { { .at = { 0 }, .size = 16 * MIB },
				       { .at = { 4096 * MIB }, .size = 8 * MIB } };
static struct vmm_pages pages;

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	return vmm_pages_init(&pages, ram, 2, &e);
}

static int teardown(void **state)
{
	(void)state;
	vmm_pages_fini(&pages);
	return 0;
}

static int64_t call(uint64_t frame, uint64_t n, uint64_t attrs)
{
	return vmm_hypercall(&pages, MAP, frame << 12, n, attrs);
}

/* How many frames are marked; the bits of frames below 64 in *low. */
static uint64_t marks(uint64_t *low)
{
	size_t n = (HIGH_END + 63) / 64;
	uint64_t *words = calloc(n, sizeof(*words));
	struct mig_bitmap bm = { words, HIGH_END };
	uint64_t total = 0;

	assert_non_null(words);
	vmm_pages_converted(&pages, &bm);
	for (size_t i = 0; i < n; i++)
		total += (unsigned)__builtin_popcountll(words[i]);
	if (low)
		*low = words[0];
	free(words);
	return total;
}

static void unknown_number_is_enosys_and_changes_nothing(void **state)
{
	(void)state;
	for (uint64_t nr = 0; nr < 64; nr++)
		if (nr != MAP)
			assert_int_equal(vmm_hypercall(&pages, nr, 0x1000, 1, SHARE), ENOSYS_GUEST);
	assert_int_equal(vmm_hypercall(&pages, MAP | 1ull << 32, 0x1000, 1, SHARE), ENOSYS_GUEST);
	assert_int_equal(ranges_total(&pages.shared), 0);
	assert_int_equal(marks(NULL), 0);
}

static void every_reserved_bit_is_refused(void **state)
{
	(void)state;
	for (unsigned bit = 5; bit < 64; bit++) {
		assert_int_equal(call(1, 1, 1ull << bit), EINVAL_GUEST);
		assert_int_equal(call(1, 1, ENCRYPT | 1ull << bit), EINVAL_GUEST);
	}
	assert_int_equal(ranges_total(&pages.shared), 0);
}

static void size_code_is_a_hint_up_to_1_gib_and_never_means_encrypted(void **state)
{
	(void)state;
	for (uint64_t size = 0; size < 16; size++) {
		assert_int_equal(call(size + 1, 1, size), size <= 2 ? 0 : EINVAL_GUEST);
		assert_int_equal(ranges_has(&pages.shared, size + 1), size <= 2);
	}
	for (uint64_t size = 0; size < 3; size++) {
		assert_int_equal(call(size + 1, 1, ENCRYPT | size), 0);
		assert_false(ranges_has(&pages.shared, size + 1));
	}
}

static void unaligned_address_is_refused_for_every_low_bit(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 12; bit++)
		assert_int_equal(vmm_hypercall(&pages, MAP, 0x5000 | 1u << bit, 1, SHARE),
				 EINVAL_GUEST);
	assert_int_equal(vmm_hypercall(&pages, MAP, 0x5000, 1, SHARE), 0);
}

static void zero_pages_are_refused(void **state)
{
	(void)state;
	assert_int_equal(call(1, 0, SHARE), EINVAL_GUEST);
	assert_int_equal(call(1, 0, ENCRYPT), EINVAL_GUEST);
}

static void counts_that_overflow_are_refused(void **state)
{
	const uint64_t counts[] = { UINT64_MAX, UINT64_MAX - 1, 1ull << 63, 1ull << 52,
				    (1ull << 52) - 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		assert_int_equal(call(1, counts[i], SHARE), EINVAL_GUEST);
		assert_int_equal(call(HIGH_START, counts[i], SHARE), EINVAL_GUEST);
	}
	assert_int_equal(vmm_hypercall(&pages, MAP, ~0xfffull, 1, SHARE), EINVAL_GUEST);
	assert_int_equal(ranges_total(&pages.shared), 0);
}

static void only_guest_ram_can_be_converted(void **state)
{
	(void)state;
	assert_int_equal(call(0, LOW_FRAMES, SHARE), 0);
	assert_int_equal(call(0, LOW_FRAMES, ENCRYPT), 0);
	assert_int_equal(call(0, LOW_FRAMES + 1, SHARE), EINVAL_GUEST);
	assert_int_equal(call(LOW_FRAMES - 1, 2, SHARE), EINVAL_GUEST);
	assert_int_equal(call(LOW_FRAMES, 1, SHARE), EINVAL_GUEST);
	assert_int_equal(call(HIGH_START - 1, 1, SHARE), EINVAL_GUEST);
	assert_int_equal(call(0, HIGH_END, SHARE), EINVAL_GUEST);
	assert_int_equal(call(HIGH_START, HIGH_END - HIGH_START, SHARE), 0);
	assert_int_equal(call(HIGH_END - 1, 2, SHARE), EINVAL_GUEST);
	assert_int_equal(ranges_total(&pages.shared), HIGH_END - HIGH_START);
}

static void exactly_the_pages_whose_status_changed_are_marked(void **state)
{
	uint64_t low;

	(void)state;
	assert_int_equal(call(10, 10, SHARE), 0);
	assert_int_equal(marks(&low), 10);
	assert_true(low == 0x3ffull << 10);
	assert_int_equal(marks(NULL), 0);
	/* 5 to 24, of which 10 to 19 were shared already */
	assert_int_equal(call(5, 20, SHARE), 0);
	assert_int_equal(marks(&low), 10);
	assert_true(low == (0x1full << 5 | 0x1full << 20));
	assert_int_equal(call(5, 20, SHARE), 0);
	assert_int_equal(marks(NULL), 0);
	/* back, with private pages on both sides */
	assert_int_equal(call(0, 64, ENCRYPT), 0);
	assert_int_equal(marks(&low), 20);
	assert_true(low == 0xfffffull << 5);
	assert_int_equal(ranges_total(&pages.shared), 0);
}

static void marks_and_list_agree_with_a_bitmap_over_random_conversions(void **state)
{
	static uint8_t model[LOW_FRAMES], marked[LOW_FRAMES];
	unsigned seed = 1;

	(void)state;
	memset(model, 0, sizeof(model));
	for (int round = 0; round < 3000; round++) {
		uint64_t start = (unsigned)rand_r(&seed) % LOW_FRAMES;
		uint64_t n = 1 + (unsigned)rand_r(&seed) % 300;
		bool share = rand_r(&seed) & 1;
		uint64_t words[LOW_FRAMES / 64] = { 0 };
		struct mig_bitmap bm = { words, LOW_FRAMES };

		if (n > LOW_FRAMES - start)
			n = LOW_FRAMES - start;
		memset(marked, 0, sizeof(marked));
		for (uint64_t f = start; f < start + n; f++) {
			marked[f] = model[f] != share;
			model[f] = share;
		}
		assert_int_equal(call(start, n, share ? SHARE : ENCRYPT), 0);
		vmm_pages_converted(&pages, &bm);
		for (uint64_t f = 0; f < LOW_FRAMES; f++) {
			if (marked[f] != (words[f / 64] >> f % 64 & 1))
				fail_msg("round %d: mark of frame %lu", round, (unsigned long)f);
			if (round % 100 == 99 && model[f] != ranges_has(&pages.shared, f))
				fail_msg("round %d: status of frame %lu", round, (unsigned long)f);
		}
	}
}

static void refused_call_marks_nothing(void **state)
{
	(void)state;
	assert_int_equal(call(LOW_FRAMES - 1, 2, SHARE), EINVAL_GUEST);
	assert_int_equal(call(1, 1, 3), EINVAL_GUEST);
	assert_int_equal(marks(NULL), 0);
}

static void a_short_bitmap_is_not_overrun(void **state)
{
	uint64_t words[2] = { 0, 0 };
	struct mig_bitmap bm = { words, 70 };

	(void)state;
	assert_int_equal(call(60, 40, SHARE), 0);
	vmm_pages_converted(&pages, &bm);
	assert_true(words[0] == 0xfull << 60);
	assert_true(words[1] == 0x3f);
}

static void devices_mark_each_page_they_touch(void **state)
{
	uint64_t low;

	(void)state;
	vmm_pages_wrote(&pages, gpa(0x4ffe), 4);
	assert_int_equal(marks(&low), 2);
	assert_int_equal(low, 0x30);
	vmm_pages_wrote(&pages, gpa(0x7000), 0x1000);
	assert_int_equal(marks(&low), 1);
	assert_int_equal(low, 0x80);
	vmm_pages_wrote(&pages, gpa(0x7000), 0);
	vmm_pages_wrote(&pages, gpa(UINT64_MAX - 1), 4);
	vmm_pages_wrote(&pages, gpa((uint64_t)HIGH_END << PAGE_SHIFT), 1);
	assert_int_equal(marks(NULL), 0);
	assert_int_equal(ranges_total(&pages.shared), 0);
}

static void list_of_a_migration_must_lie_in_ram(void **state)
{
	struct err e = { 0 };
	struct ranges set;

	(void)state;
	ranges_init(&set);
	assert_int_equal(call(1, 5, SHARE), 0);
	assert_int_equal(ranges_add(&set, 0x20, 0x30, &e), 0);
	assert_int_equal(vmm_pages_set(&pages, &set, &e), 0);
	assert_int_equal(ranges_total(&pages.shared), 0x10);
	assert_int_equal(ranges_add(&set, LOW_FRAMES - 1, LOW_FRAMES + 1, &e), 0);
	assert_int_equal(vmm_pages_set(&pages, &set, &e), -EPROTO);
	assert_int_equal(ranges_total(&pages.shared), 0x10);
	ranges_fini(&set);
}

/* A migration that reads marks first and the list second must never be left with an old status and
 * no mark to come. */
static bool flipping;

static void *flip(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20001; i++)
		assert_int_equal(call(7, 1, i & 1 ? ENCRYPT : SHARE), 0);
	__atomic_store_n(&flipping, false, __ATOMIC_RELEASE);
	return NULL;
}

static void status_read_after_the_marks_is_never_stale_for_good(void **state)
{
	bool seen = false, on = true;
	pthread_t t;

	(void)state;
	flipping = true;
	assert_int_equal(pthread_create(&t, NULL, flip, NULL), 0);
	while (on) {
		uint64_t words[1] = { 0 };
		struct mig_bitmap bm = { words, 64 };

		on = __atomic_load_n(&flipping, __ATOMIC_ACQUIRE);
		vmm_pages_converted(&pages, &bm);
		if (words[0] & 1u << 7)
			seen = ranges_has(&pages.shared, 7);
	}
	pthread_join(t, NULL);
	assert_true(seen); /* the last flip shared it */
}

static void what_has_no_shared_face_stays_private(void **state)
{
	struct err e = { 0 };
	struct ranges list;

	(void)state;
	vmm_pages_keep_private(&pages, gpa(8 * MIB), 2 * MIB); /* frames 0x800 to 0x9ff */
	assert_int_equal(call(0x7ff, 1, SHARE), 0);
	assert_int_equal(call(0xa00, 1, SHARE), 0);
	assert_int_equal(call(0x7ff, 2, SHARE), EINVAL_GUEST);
	assert_int_equal(call(0x9ff, 1, SHARE), EINVAL_GUEST);
	assert_int_equal(call(0, LOW_FRAMES, SHARE), EINVAL_GUEST);
	assert_int_equal(call(0, LOW_FRAMES, ENCRYPT), 0);
	ranges_init(&list);
	assert_int_equal(ranges_add(&list, 0x9ff, 0xa01, &e), 0);
	assert_int_equal(vmm_pages_set(&pages, &list, &e), -EPROTO);
	ranges_fini(&list);
}

int main(void)
{
#define pages_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		pages_test(unknown_number_is_enosys_and_changes_nothing),
		pages_test(every_reserved_bit_is_refused),
		pages_test(size_code_is_a_hint_up_to_1_gib_and_never_means_encrypted),
		pages_test(unaligned_address_is_refused_for_every_low_bit),
		pages_test(zero_pages_are_refused),
		pages_test(counts_that_overflow_are_refused),
		pages_test(only_guest_ram_can_be_converted),
		pages_test(what_has_no_shared_face_stays_private),
		pages_test(exactly_the_pages_whose_status_changed_are_marked),
		pages_test(marks_and_list_agree_with_a_bitmap_over_random_conversions),
		pages_test(refused_call_marks_nothing),
		pages_test(a_short_bitmap_is_not_overrun),
		pages_test(devices_mark_each_page_they_touch),
		pages_test(list_of_a_migration_must_lie_in_ram),
		pages_test(status_read_after_the_marks_is_never_stale_for_good),
	};

	return cmocka_run_group_tests_name("vmm_hypercall", tests, NULL, NULL);
}
