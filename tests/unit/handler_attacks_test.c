/* SPDX-License-Identifier: Apache-2.0 */

/* What a host can do to pages on their way, to the mailbox and to the order of things, and that
 * each is caught: doc/HANDLER.md has the same list. */

#include "tests/unit/handler_sides.h"

#define PAGES 8u

static int set_up(void **state)
{
	struct side **s = calloc(2, sizeof(*s));

	assert_non_null(s);
	s[0] = side_new(SIDE_ANY);
	s[1] = side_new(SIDE_ANY);
	for (unsigned i = 0; i < PAGES; i++)
		side_fill(s[0], SIDE_LOW + i * HANDLER_PAGE, (uint8_t)(i + 1));
	sides_start(s[0], s[1]);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct side **s = *state;

	side_free(s[0]);
	side_free(s[1]);
	free(s);
	return 0;
}

/* The target is of no more use, and does not let its guest run. */
static void assert_ended(struct side *dst)
{
	uint8_t record[HANDLER_RECORD_LEN] = { 0 };
	struct parcel p = { { 0 }, { 0 } };

	assert_int_equal(dst->h.state, HANDLER_FAILED);
	assert_int_equal(side_import(dst, &p), HANDLER_E_STATE);
	assert_int_equal(side_call(dst, HANDLER_VERIFY, record, sizeof(record)), HANDLER_E_STATE);
	assert_int_equal(side_call(dst, HANDLER_RELEASE, record, sizeof(record)), HANDLER_E_STATE);
}

static void moves_pages_and_releases_them(void **state)
{
	struct side **s = *state;
	uint8_t receipt[HANDLER_RECORD_LEN], release[HANDLER_RECORD_LEN];
	struct parcel p;

	for (unsigned i = 0; i < PAGES; i++)
		sides_move(s[0], s[1], SIDE_LOW + i * HANDLER_PAGE);
	side_fill(s[0], SIDE_LOW, 99);
	sides_move(s[0], s[1], SIDE_LOW);
	assert_memory_equal(s[0]->ram + SIDE_LOW, s[1]->ram + SIDE_LOW, PAGES * HANDLER_PAGE);
	assert_int_equal(sides_verify(s[0], s[1], receipt), HANDLER_OK);
	assert_int_equal(side_call(s[0], HANDLER_SEAL, receipt, sizeof(receipt)), HANDLER_OK);
	memcpy(release, side_result(s[0]), sizeof(release));
	assert_int_equal(side_call(s[1], HANDLER_RELEASE, release, sizeof(release)), HANDLER_OK);
	assert_int_equal(s[1]->h.state, HANDLER_RELEASED);
	/* Given up for good. */
	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_E_SEALED);
	assert_int_equal(side_call(s[0], HANDLER_RESET, NULL, 0), HANDLER_E_SEALED);
	assert_int_equal(side_call(s[0], HANDLER_INIT, &(uint32_t){ HANDLER_SOURCE }, 4),
			 HANDLER_E_SEALED);
}

static void the_guest_that_arrived_moves_on_and_takes_nothing_in(void **state)
{
	struct side **s = *state, *third = side_new(SIDE_ANY);
	uint8_t record[HANDLER_RECORD_LEN];

	sides_move(s[0], s[1], SIDE_LOW);
	assert_int_equal(sides_verify(s[0], s[1], record), HANDLER_OK);
	assert_int_equal(side_call(s[0], HANDLER_SEAL, record, sizeof(record)), HANDLER_OK);
	memcpy(record, side_result(s[0]), sizeof(record));
	assert_int_equal(side_call(s[1], HANDLER_RELEASE, record, sizeof(record)), HANDLER_OK);
	assert_int_equal(side_call(s[1], HANDLER_INIT, &(uint32_t){ HANDLER_TARGET }, 4),
			 HANDLER_E_STATE);
	sides_start(s[1], third);
	sides_move(s[1], third, SIDE_LOW);
	assert_memory_equal(s[0]->ram + SIDE_LOW, third->ram + SIDE_LOW, HANDLER_PAGE);
	side_free(third);
}

static void catches_a_dropped_page(void **state)
{
	struct side **s = *state;
	uint8_t receipt[HANDLER_RECORD_LEN];
	struct parcel p;

	sides_move(s[0], s[1], SIDE_LOW);
	assert_int_equal(side_export(s[0], SIDE_LOW + HANDLER_PAGE, &p), HANDLER_OK);
	assert_int_equal(sides_verify(s[0], s[1], receipt), HANDLER_E_INCOMPLETE);
	assert_ended(s[1]);
}

static void catches_a_page_that_is_not_the_newest(void **state)
{
	struct side **s = *state;
	uint8_t receipt[HANDLER_RECORD_LEN];
	struct parcel p;

	sides_move(s[0], s[1], SIDE_LOW);
	side_fill(s[0], SIDE_LOW, 77);
	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	/* As many pages as were sent, another one twice. */
	assert_int_equal(sides_verify(s[0], s[1], receipt), HANDLER_E_INCOMPLETE);
	assert_ended(s[1]);
}

static void catches_a_repeated_page(void **state)
{
	struct side **s = *state;
	struct parcel p;

	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	assert_int_equal(side_import(s[1], &p), HANDLER_OK);
	assert_int_equal(side_import(s[1], &p), HANDLER_E_STALE);
	assert_ended(s[1]);
}

static void catches_pages_out_of_order(void **state)
{
	struct side **s = *state;
	struct parcel older, newer;

	assert_int_equal(side_export(s[0], SIDE_LOW, &older), HANDLER_OK);
	side_fill(s[0], SIDE_LOW, 55);
	assert_int_equal(side_export(s[0], SIDE_LOW, &newer), HANDLER_OK);
	assert_int_equal(side_import(s[1], &newer), HANDLER_OK);
	assert_int_equal(side_import(s[1], &older), HANDLER_E_STALE);
	assert_int_equal(s[1]->ram[SIDE_LOW], 55);
	assert_ended(s[1]);
}

static void catches_a_page_of_an_earlier_session(void **state)
{
	struct side **s = *state;
	struct parcel p;

	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	assert_int_equal(side_call(s[0], HANDLER_RESET, NULL, 0), HANDLER_OK);
	assert_int_equal(side_call(s[1], HANDLER_RESET, NULL, 0), HANDLER_OK);
	sides_start(s[0], s[1]);
	assert_int_equal(side_import(s[1], &p), HANDLER_E_TAG);
	assert_ended(s[1]);
}

static void catches_a_session_that_is_played_back(void **state)
{
	struct side **s = *state;
	uint8_t old[HANDLER_NONCE_LEN];
	struct parcel p;

	/* The source's nonce and its pages are heard, then told to a target that starts anew. */
	memcpy(old, s[0]->h.nonce, sizeof(old));
	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	assert_int_equal(side_call(s[1], HANDLER_RESET, NULL, 0), HANDLER_OK);
	assert_int_equal(side_call(s[1], HANDLER_INIT, &(uint32_t){ HANDLER_TARGET }, 4),
			 HANDLER_OK);
	assert_int_equal(side_call(s[1], HANDLER_START, old, sizeof(old)), HANDLER_OK);
	assert_int_equal(side_import(s[1], &p), HANDLER_E_TAG);
	assert_ended(s[1]);
}

static void catches_pages_of_another_guest(void **state)
{
	struct side **s = *state;
	struct side_owner o = SIDE_ANY;
	struct side *other;
	struct parcel p;

	o.guest = 2;
	other = side_new(o);
	assert_int_equal(side_call(other, HANDLER_INIT, &(uint32_t){ HANDLER_SOURCE }, 4),
			 HANDLER_OK);
	assert_int_equal(side_call(other, HANDLER_START, s[1]->h.nonce, HANDLER_NONCE_LEN),
			 HANDLER_OK);
	assert_int_equal(side_export(other, SIDE_LOW, &p), HANDLER_OK);
	assert_int_equal(side_import(s[1], &p), HANDLER_E_TAG);
	assert_ended(s[1]);
	side_free(other);
}

/* Any bit of what a page is on its way; each on a target of its own. */
static void catches_any_flipped_bit(void **state)
{
	struct side **s = *state;
	struct parcel good, bad;

	assert_int_equal(side_export(s[0], SIDE_LOW, &good), HANDLER_OK);
	for (unsigned bit = 0; bit < sizeof(good) * 8;
	     bit += bit < HANDLER_DESC_LEN * 8 ? 1 : 997) {
		struct handler h = s[1]->h;
		uint32_t epoch = s[1]->epochs[SIDE_LOW / HANDLER_PAGE], status;

		/* Where it stands in the window is no part of it. */
		if (bit / 8 >= HANDLER_D_OFFSET && bit / 8 < HANDLER_D_LEN)
			continue;
		bad = good;
		((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		status = side_import(s[1], &bad);
		if (status == HANDLER_OK)
			fail_msg("bit %u was not seen", bit);
		assert_int_equal(s[1]->h.state, HANDLER_FAILED);
		s[1]->h = h;
		memset(s[1]->epochs, 0, SIDE_RAM / HANDLER_PAGE * sizeof(uint32_t));
		s[1]->epochs[SIDE_LOW / HANDLER_PAGE] = epoch;
	}
	assert_int_equal(side_import(s[1], &good), HANDLER_OK);
}

/* The host would choose its bits. */
static void keeps_what_is_not_right_out_of_the_guest(void **state)
{
	struct side **s = *state;
	struct parcel p;

	side_fill(s[0], SIDE_LOW, 7);
	side_fill(s[1], SIDE_LOW, 99);
	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	((uint8_t *)&p)[sizeof(p) - 1] ^= 1;
	assert_int_equal(side_import(s[1], &p), HANDLER_E_TAG);
	for (unsigned i = 0; i < HANDLER_PAGE; i++)
		assert_int_equal(s[1]->ram[SIDE_LOW + i], 99);
	assert_ended(s[1]);
}

static void catches_a_changed_address(void **state)
{
	struct side **s = *state;
	struct parcel p;

	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	own_put64(p.desc + HANDLER_D_GPA, SIDE_LOW + HANDLER_PAGE);
	assert_int_equal(side_import(s[1], &p), HANDLER_E_TAG);
	assert_ended(s[1]);
}

static void catches_a_page_made_zero(void **state)
{
	struct side **s = *state;
	struct parcel p;

	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	own_put32(p.desc + HANDLER_D_LEN, 0);
	assert_int_equal(side_import(s[1], &p), HANDLER_E_TAG);
	assert_ended(s[1]);
}

static void does_not_release_what_stopped_half_way(void **state)
{
	struct side **s = *state;
	uint8_t record[HANDLER_RECORD_LEN] = { 0 };

	sides_move(s[0], s[1], SIDE_LOW);
	assert_int_equal(side_call(s[1], HANDLER_RELEASE, record, sizeof(record)), HANDLER_E_STATE);
	/* Nor hands it on as if it were a guest. */
	assert_int_equal(side_call(s[1], HANDLER_RESET, NULL, 0), HANDLER_OK);
	assert_int_equal(side_call(s[1], HANDLER_INIT, &(uint32_t){ HANDLER_SOURCE }, 4),
			 HANDLER_E_STATE);
	assert_int_equal(side_call(s[1], HANDLER_INIT, &(uint32_t){ HANDLER_TARGET }, 4),
			 HANDLER_OK);
}

static void refuses_its_own_range_and_what_is_no_ram(void **state)
{
	static const struct {
		uint64_t gpa;
		uint32_t status;
	} cases[] = {
		{ HANDLER_BASE, HANDLER_E_OWN },
		{ HANDLER_SECRET, HANDLER_E_OWN },
		{ HANDLER_EPOCHS, HANDLER_E_OWN },
		{ HANDLER_WINDOW, HANDLER_E_OWN },
		{ HANDLER_END - HANDLER_PAGE, HANDLER_E_OWN },
		{ SIDE_RAM, HANDLER_E_ADDRESS },
		{ SIDE_RAM - 1, HANDLER_E_ADDRESS },
		{ SIDE_LOW | 8, HANDLER_E_ADDRESS },
		{ HANDLER_BASE | 1ull << 47, HANDLER_E_ADDRESS },
		{ SIDE_LOW | 1ull << 51, HANDLER_E_ADDRESS },
		{ UINT64_MAX - 0xfff, HANDLER_E_ADDRESS },
		{ UINT64_MAX, HANDLER_E_ADDRESS },
	};
	struct side **s = *state;
	struct parcel good, p;

	assert_int_equal(side_export(s[0], SIDE_LOW, &good), HANDLER_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct handler h = s[1]->h;

		assert_int_equal(side_export(s[0], cases[i].gpa, &p), cases[i].status);
		assert_int_equal(s[0]->h.state, HANDLER_SENDING);
		p = good;
		own_put64(p.desc + HANDLER_D_GPA, cases[i].gpa);
		assert_int_equal(side_import(s[1], &p), cases[i].status);
		assert_int_equal(s[1]->h.state, HANDLER_FAILED);
		s[1]->h = h;
	}
}

static void refuses_what_is_outside_the_window(void **state)
{
	static const uint32_t cases[] = {
		1, 4095, HANDLER_WINDOW_LEN, HANDLER_WINDOW_LEN - 1, UINT32_MAX, UINT32_MAX - 4095
	};
	struct side **s = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		side_ask(s[0], 0, SIDE_LOW);
		own_put32(side_desc(s[0], 0) + HANDLER_D_OFFSET, cases[i]);
		assert_int_equal(side_pages(s[0], HANDLER_EXPORT, 1), HANDLER_E_WINDOW);
	}
	side_ask(s[0], 0, SIDE_LOW);
	own_put32(side_desc(s[0], 0) + HANDLER_D_OFFSET, HANDLER_WINDOW_LEN - HANDLER_PAGE);
	assert_int_equal(side_pages(s[0], HANDLER_EXPORT, 1), HANDLER_OK);
}

static void no_key_and_nonce_serve_twice_after_a_crash(void **state)
{
	struct side **s = *state;
	struct parcel before, after;
	uint8_t nonce[HANDLER_NONCE_LEN];

	assert_int_equal(side_export(s[0], SIDE_LOW, &before), HANDLER_OK);
	/* The monitor died, and the next one tells the same peer's nonce again. */
	memcpy(nonce, s[1]->h.nonce, sizeof(nonce));
	assert_int_equal(side_call(s[0], HANDLER_RESET, NULL, 0), HANDLER_OK);
	assert_int_equal(side_call(s[0], HANDLER_INIT, &(uint32_t){ HANDLER_SOURCE }, 4),
			 HANDLER_OK);
	assert_int_equal(side_call(s[0], HANDLER_START, nonce, sizeof(nonce)), HANDLER_OK);
	assert_int_equal(side_export(s[0], SIDE_LOW, &after), HANDLER_OK);
	assert_int_equal(own_get64(before.desc + HANDLER_D_EPOCH),
			 own_get64(after.desc + HANDLER_D_EPOCH));
	assert_memory_not_equal(before.data, after.data, HANDLER_PAGE);
	assert_memory_not_equal(before.desc + HANDLER_D_TAG, after.desc + HANDLER_D_TAG,
				HANDLER_TAG_LEN);
}

static void the_source_gives_up_only_for_a_receipt(void **state)
{
	struct side **s = *state;
	uint8_t record[HANDLER_RECORD_LEN] = { 0 }, manifest[HANDLER_RECORD_LEN];

	sides_move(s[0], s[1], SIDE_LOW);
	assert_int_equal(side_call(s[0], HANDLER_SEAL, record, sizeof(record)), HANDLER_E_STATE);
	assert_int_equal(side_call(s[0], HANDLER_MANIFEST, NULL, 0), HANDLER_OK);
	memcpy(manifest, side_result(s[0]), sizeof(manifest));
	assert_int_equal(side_call(s[0], HANDLER_SEAL, record, sizeof(record)), HANDLER_E_RECORD);
	assert_int_equal(side_call(s[0], HANDLER_SEAL, manifest, sizeof(manifest)),
			 HANDLER_E_RECORD);
	assert_int_equal(s[0]->h.state, HANDLER_FROZEN);
	/* And may still stay: the guest goes on here, and moves another time. */
	assert_int_equal(side_call(s[0], HANDLER_RESET, NULL, 0), HANDLER_OK);
	assert_int_equal(side_call(s[0], HANDLER_INIT, &(uint32_t){ HANDLER_SOURCE }, 4),
			 HANDLER_OK);
}

static void the_target_takes_no_record_but_the_right_one(void **state)
{
	struct side **s = *state;
	uint8_t manifest[HANDLER_RECORD_LEN], receipt[HANDLER_RECORD_LEN];

	sides_move(s[0], s[1], SIDE_LOW);
	assert_int_equal(side_call(s[0], HANDLER_MANIFEST, NULL, 0), HANDLER_OK);
	memcpy(manifest, side_result(s[0]), sizeof(manifest));
	assert_int_equal(side_call(s[1], HANDLER_VERIFY, manifest, sizeof(manifest)), HANDLER_OK);
	memcpy(receipt, side_result(s[1]), sizeof(receipt));
	assert_int_equal(side_call(s[1], HANDLER_RELEASE, manifest, sizeof(manifest)),
			 HANDLER_E_RECORD);
	assert_int_equal(side_call(s[1], HANDLER_RELEASE, receipt, sizeof(receipt)),
			 HANDLER_E_RECORD);
	assert_int_equal(side_call(s[0], HANDLER_SEAL, receipt, sizeof(receipt)), HANDLER_OK);
	memcpy(receipt, side_result(s[0]), sizeof(receipt));
	receipt[8] ^= 1;
	assert_int_equal(side_call(s[1], HANDLER_RELEASE, receipt, sizeof(receipt)),
			 HANDLER_E_RECORD);
	receipt[8] ^= 1;
	assert_int_equal(side_call(s[1], HANDLER_RELEASE, receipt, sizeof(receipt)), HANDLER_OK);
}

static void a_changed_manifest_is_no_manifest(void **state)
{
	struct side **s = *state;
	uint8_t manifest[HANDLER_RECORD_LEN];

	sides_move(s[0], s[1], SIDE_LOW);
	assert_int_equal(side_call(s[0], HANDLER_MANIFEST, NULL, 0), HANDLER_OK);
	memcpy(manifest, side_result(s[0]), sizeof(manifest));
	for (unsigned i = 0; i < sizeof(manifest); i++) {
		struct handler h = s[1]->h;

		manifest[i] ^= 0x10;
		assert_int_equal(side_call(s[1], HANDLER_VERIFY, manifest, sizeof(manifest)),
				 HANDLER_E_RECORD);
		assert_ended(s[1]);
		manifest[i] ^= 0x10;
		s[1]->h = h;
	}
}

/* The host stops a vCPU in the middle of a page: nothing of it gets into another session. */
static void a_target_with_a_stopped_vcpu_is_not_started_again(void **state)
{
	struct side **s = *state;

	s[1]->h.busy = 1;
	assert_int_equal(side_call(s[1], HANDLER_RESET, NULL, 0), HANDLER_E_BUSY);
	s[0]->h.busy = 1;
	assert_int_equal(side_call(s[0], HANDLER_MANIFEST, NULL, 0), HANDLER_E_BUSY);
	/* A source's own pages are only read. */
	assert_int_equal(side_call(s[0], HANDLER_RESET, NULL, 0), HANDLER_OK);
}

static void a_page_that_is_being_written_is_nobody_elses(void **state)
{
	struct side **s = *state;
	struct parcel p;

	assert_int_equal(side_export(s[0], SIDE_LOW, &p), HANDLER_OK);
	s[1]->epochs[SIDE_LOW / HANDLER_PAGE] = 0x80000000u;
	assert_int_equal(side_import(s[1], &p), HANDLER_E_BUSY);
	assert_ended(s[1]);
}

static void two_that_both_send_do_not_understand_each_other(void **state)
{
	struct side **s = *state;
	struct side *a = side_new(SIDE_ANY), *b = side_new(SIDE_ANY);

	(void)s;
	assert_int_equal(side_call(a, HANDLER_INIT, &(uint32_t){ HANDLER_SOURCE }, 4), HANDLER_OK);
	assert_int_equal(side_call(b, HANDLER_INIT, &(uint32_t){ HANDLER_SOURCE }, 4), HANDLER_OK);
	assert_int_equal(side_call(a, HANDLER_START, b->h.nonce, HANDLER_NONCE_LEN), HANDLER_OK);
	assert_int_equal(side_call(b, HANDLER_START, a->h.nonce, HANDLER_NONCE_LEN), HANDLER_OK);
	assert_memory_not_equal(&a->h.forth, &b->h.forth, sizeof(a->h.forth));
	assert_memory_not_equal(&a->h.forth, &b->h.back, sizeof(a->h.forth));
	side_free(a);
	side_free(b);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(moves_pages_and_releases_them),
		CASE(the_guest_that_arrived_moves_on_and_takes_nothing_in),
		CASE(catches_a_dropped_page),
		CASE(catches_a_page_that_is_not_the_newest),
		CASE(catches_a_repeated_page),
		CASE(catches_pages_out_of_order),
		CASE(catches_a_page_of_an_earlier_session),
		CASE(catches_a_session_that_is_played_back),
		CASE(catches_pages_of_another_guest),
		CASE(catches_any_flipped_bit),
		CASE(keeps_what_is_not_right_out_of_the_guest),
		CASE(catches_a_changed_address),
		CASE(catches_a_page_made_zero),
		CASE(does_not_release_what_stopped_half_way),
		CASE(refuses_its_own_range_and_what_is_no_ram),
		CASE(refuses_what_is_outside_the_window),
		CASE(no_key_and_nonce_serve_twice_after_a_crash),
		CASE(the_source_gives_up_only_for_a_receipt),
		CASE(the_target_takes_no_record_but_the_right_one),
		CASE(a_changed_manifest_is_no_manifest),
		CASE(a_target_with_a_stopped_vcpu_is_not_started_again),
		CASE(a_page_that_is_being_written_is_nobody_elses),
		CASE(two_that_both_send_do_not_understand_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
