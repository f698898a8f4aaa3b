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

#include <time.h>

#include "tests/unit/migrate_fake.h"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_init(&rig, fake_platform[0], fake_platform[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini(&rig);
	return 0;
}

static void assert_moved(void)
{
	if (rig.source_result < 0 || rig.target_result < 0)
		fail_msg("source: %s; target: %s", rig.source_err.msg, rig.target_err.msg);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_MOVED);
	assert_int_equal(rig.target_stats.outcome, MIG_OUTCOME_MOVED);
	assert_false(rig.src->running);
	assert_int_equal(rig.world.most, 1);
	fake_assert_same(rig.src, rig.dst);
}

static void assert_stayed(const char *why)
{
	assert_true(rig.source_result < 0);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_STAYED);
	if (!strstr(rig.source_err.msg, why) || !strstr(rig.source_stats.reason, why))
		fail_msg("\"%s\" is not in \"%s\"", why, rig.source_err.msg);
	assert_true(rig.src->running);
	assert_false(rig.dst->running);
	assert_int_equal(rig.world.most, 1);
	assert_false(rig.src->log_on);
}

static void a_quiet_guest_moves_with_all_it_has(void **state)
{
	(void)state;
	rig.src->frozen = true;
	rig_move(&rig);
	assert_moved();
	assert_true(rig.dst->running);
	assert_int_equal(rig.verified, 1);
	assert_int_equal(rig.source_stats.phase, MIG_PHASE_DONE);
	assert_true(rig.source_stats.downtime_ns > 0);
	assert_true(rig.source_stats.total_ns >= rig.source_stats.downtime_ns);
}

static void a_busy_guest_that_converts_pages_moves_with_all_it_has(void **state)
{
	for (unsigned i = 1; i <= 6; i++) {
		rig.src->rnd = i * 0x123456789abcdefull;
		rig.src->pages_a_step = i;
		rig_move(&rig);
		assert_moved();
		assert_true(rig.source_stats.pass >= 2);
		if (i < 6) {
			teardown(state);
			setup(state);
		}
	}
}

static void counts_add_up_on_both_sides(void **state)
{
	const struct mig_stats *s = &rig.source_stats, *t = &rig.target_stats;

	(void)state;
	rig.src->frozen = true;
	rig_move(&rig);
	assert_moved();
	assert_int_equal(s->pages_total, (FAKE_LOW + FAKE_HIGH) / PAGE_LEN);
	assert_true(s->pages_private > 0 && s->pages_shared > 0);
	assert_int_equal(s->pages_private, t->pages_private);
	assert_int_equal(s->pages_shared, t->pages_shared);
	assert_int_equal(s->pages_zero, t->pages_zero);
	assert_int_equal(s->pages_total,
			 s->pages_private + s->pages_shared + s->pages_zero + s->pages_never);
	assert_true(s->pages_never > s->pages_total / 2);
	assert_true(s->bytes_sent > s->pages_private * PAGE_LEN);
	assert_int_equal(s->pages_left, 0);
}

/* A mark instead of data, although the private face still has something. */
static void a_shared_page_of_zeros_is_a_mark(void **state)
{
	(void)state;
	rig.src->frozen = true;
	fake_write(rig.src, 500, 7);
	fake_convert(rig.src, 500, 1, true);
	rig_move(&rig);
	assert_moved();
	assert_true(rig.source_stats.pages_zero >= 1);
}

/* The status changed and nobody wrote: KVM's log says nothing, the list does. */
static void converted(struct fake_vm *vm)
{
	if (vm->order++ == 0) {
		fake_convert(vm, 600, 1, true);
		fake_convert(vm, 601, 1, false);
	}
}

static void a_status_change_without_a_write_is_dirty(void **state)
{
	(void)state;
	rig.src->frozen = true;
	fake_write(rig.src, 600, 0x11); /* private */
	fake_convert(rig.src, 600, 2, true);
	fake_write(rig.src, 600, 0x22);
	fake_write(rig.src, 601, 0x33);
	fake_convert(rig.src, 600, 1, false);
	rig.src->on_sync = converted; /* after pass 1 sent 600 as private, 601 as shared */
	rig_move(&rig);
	assert_moved();
	assert_int_equal(fake_page(rig.dst, 600, true)[0], 0x22);
}

/* Between the reading of the log and that of the list a page is converted and written. */
static void convert_between(struct fake_vm *vm)
{
	if (vm->order++ == 0) {
		fake_convert(vm, 610, 1, true);
		fake_write(vm, 610, 0x44);
	}
}

static void the_log_is_read_before_the_list(void **state)
{
	(void)state;
	rig.src->frozen = true;
	fake_write(rig.src, 610, 0x11);
	rig.src->on_sync = convert_between;
	rig_move(&rig);
	assert_moved();
	assert_int_equal(fake_page(rig.dst, 610, true)[0], 0x44);
}

/* After the list was read as well: found by the next pass's log. */
static void a_conversion_after_the_list_was_read_is_seen_later(void **state)
{
	(void)state;
	rig.src->frozen = true;
	fake_write(rig.src, 610, 0x11);
	rig.src->on_get = convert_between;
	rig_move(&rig);
	assert_moved();
	assert_int_equal(fake_page(rig.dst, 610, true)[0], 0x44);
}

/* Three quarters of low memory is busy for three passes, and pages change sides all the time: after
 * the log was read, and after the list was. What a pass sends with the wrong status and nobody
 * touches again would be wrong for ever. */
static void churn(struct fake_vm *vm, uint64_t first)
{
	if (vm->order++ >= 6)
		return;
	for (uint64_t f = 256; f < 1000; f++)
		fake_write(vm, f, (uint8_t)(f + vm->order));
	for (uint64_t f = first + vm->order * 20; f < first + vm->order * 20 + 10; f++) {
		fake_convert(vm, f, 1, !ranges_has(&vm->shared, f));
		fake_write(vm, f, (uint8_t)(0x80 + vm->order));
	}
}

static void churn_after_log(struct fake_vm *vm)
{
	churn(vm, 300);
}

static void churn_after_list(struct fake_vm *vm)
{
	churn(vm, 600);
}

static void every_pass_takes_log_then_list_anew(void **state)
{
	(void)state;
	rig.src->frozen = true;
	rig.source_params.max_downtime_ms = 1;
	rig.src->on_sync = churn_after_log;
	rig.src->on_get = churn_after_list;
	rig_move(&rig);
	assert_moved();
	assert_true(rig.source_stats.pass >= 4);
}

static void *scribble(void *arg)
{
	struct fake_vm *vm = arg;

	for (unsigned i = 0;; i++) {
		uint64_t frame = 256 + i % 50;

		vm->at_work = true;
		if (!vm->running)
			break;
		__atomic_store_n(fake_page(vm, frame, false), (uint8_t)i, __ATOMIC_RELAXED);
		__atomic_or_fetch(&vm->dirty[frame / 64], 1ull << frame % 64, __ATOMIC_SEQ_CST);
		vm->at_work = false;
	}
	vm->at_work = false;
	return NULL;
}

/* A thread that writes in earnest; the log is kept by hand here. */
static void a_guest_in_another_thread_moves_with_all_it_has(void **state)
{
	pthread_t t;

	(void)state;
	rig.src->frozen = true;
	rig.source_params.max_downtime_ms = 1000;
	assert_int_equal(pthread_create(&t, NULL, scribble, rig.src), 0);
	rig_move(&rig);
	pthread_join(t, NULL);
	assert_moved();
}

static void operator_pauses(struct fake_vm *vm)
{
	struct err e;

	vm->paused = true;
	assert_int_equal(vm->mig.ops->run(&vm->mig, false, &e), 0);
}

static void a_paused_guest_stays_paused_on_the_other_side(void **state)
{
	(void)state;
	operator_pauses(rig.src);
	rig_move(&rig);
	assert_moved();
	assert_true(rig.dst->paused);
	assert_false(rig.dst->running);
}

static void a_paused_guest_stays_paused_when_it_stays(void **state)
{
	(void)state;
	operator_pauses(rig.src);
	rig.dst->broken_load = true;
	rig_move(&rig);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_STAYED);
	assert_false(rig.src->running);
}

static void refuses_a_guest_that_is_not_ready_before_anything_is_sent(void **state)
{
	(void)state;
	rig.src->blocked = "the guest did not announce support";
	rig_move(&rig);
	assert_stayed("the guest did not announce support");
	assert_int_equal(rig.source_stats.bytes_sent, 0);
	assert_int_equal(rig.verified, 0);
}

static void force_moves_a_guest_that_is_not_ready(void **state)
{
	(void)state;
	rig.src->blocked = "no";
	rig.source_params.force = 1u << MIG_PARTY_GUEST;
	rig_move(&rig);
	assert_moved();
}

static void force_that_names_another_party_changes_nothing(void **state)
{
	(void)state;
	rig.src->blocked = "no";
	rig.source_params.force = 1u << MIG_PARTY_HOST | 1u << MIG_PARTY_FIRMWARE;
	rig_move(&rig);
	assert_stayed("the guest must not be moved: guest: no");
}

static void parties_are_read_by_name(void **state)
{
	struct err e = { 0 };
	unsigned bits;

	(void)state;
	assert_int_equal(mig_parties_get("guest,host", &bits, &e), 0);
	assert_int_equal(bits, 1u << MIG_PARTY_GUEST | 1u << MIG_PARTY_HOST);
	assert_int_equal(mig_parties_get(NULL, &bits, &e), 0);
	assert_int_equal(bits, 0);
	assert_int_equal(mig_parties_get("firmware,,guest", &bits, &e), -EINVAL);
	assert_int_equal(mig_parties_get("guest,", &bits, &e), -EINVAL);
	assert_int_equal(mig_parties_get("guests", &bits, &e), -EINVAL);
	assert_string_equal(e.msg, "'guests' is not host, firmware or guest");
}

static void changes_its_mind(struct fake_vm *vm)
{
	vm->blocked = "the guest withdrew its support";
}

static void stops_when_the_guest_withdraws_its_support(void **state)
{
	(void)state;
	rig.src->on_sync = changes_its_mind;
	rig_move(&rig);
	assert_stayed("withdrew");
}

static void a_target_that_is_not_accepted_gets_nothing(void **state)
{
	(void)state;
	rig.verify_result = -EACCES;
	rig_move(&rig);
	assert_stayed("not on the list");
	assert_int_equal(rig.target_stats.pages_total, 0); /* no START */
	assert_int_equal(rig.target_result, -ECANCELED);   /* it went on waiting */
}

static void another_source_may_come_after_one_that_went_away(void **state)
{
	struct chan *c = NULL;
	struct err e;

	(void)state;
	rig.verify_result = -EACCES;
	rig_target_start(&rig);
	assert_int_equal(rig_connect(&rig, &c, &e), 0);
	rig_source_run(&rig, c);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_STAYED);
	mig_source_free(rig.source);
	rig.source = NULL;
	rig.verify_result = 0;
	assert_int_equal(rig_connect(&rig, &c, &e), 0);
	rig_source_run(&rig, c);
	rig_target_join(&rig);
	assert_moved();
}

static void the_target_says_why_it_cannot_take_the_guest(void **state)
{
	(void)state;
	rig.src->vcpus = 2;
	rig_move(&rig);
	assert_stayed("vcpus: 2 there, 1 here");
}

static void the_source_learns_each_difference(void **state)
{
	struct lines differences;

	(void)state;
	rig.src->vcpus = 2;
	rig.dst->stubborn = true;
	rig_move(&rig);
	assert_stayed("this VM cannot take it: too stubborn; vcpus: 2 there, 1 here");
	mig_source_differences(rig.source, &differences);
	assert_int_equal(differences.n, 2);
	assert_string_equal(differences.v[1], "vcpus: 2 there, 1 here");
}

/* One connection of a source that only asks. */
static void ask(uint32_t differences)
{
	struct chan *c = NULL;
	struct lines got;
	struct err e;

	rig.source_params.ask = true;
	assert_int_equal(rig_connect(&rig, &c, &e), 0);
	rig_source_run(&rig, c);
	assert_int_equal(rig.source_result, 0);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_ANSWERED);
	mig_source_differences(rig.source, &got);
	assert_int_equal(got.n, differences);
	mig_source_free(rig.source);
	rig.source = NULL;
	rig.source_params.ask = false;
}

static void a_question_changes_nothing_and_the_move_comes_after_it(void **state)
{
	struct chan *c = NULL;
	unsigned calls = 0;
	struct err e;

	(void)state;
	rig_target_start(&rig);
	rig.src->calls = &calls;
	rig.src->break_at = ~0u;
	rig.dst->stubborn = true;
	ask(1);
	rig.dst->stubborn = false;
	ask(0);
	assert_int_equal(calls, 2); /* GUEST_STATUS for the policy, once a question */
	assert_true(rig.src->running);
	assert_false(rig.src->log_on);
	assert_int_equal(rig.dst->taken, 0);
	assert_int_equal(rig.verified, 2);
	assert_int_equal(rig_connect(&rig, &c, &e), 0);
	rig_source_run(&rig, c);
	rig_target_join(&rig);
	assert_moved();
	assert_int_equal(rig.dst->taken, 1);
}

static void a_target_that_is_not_accepted_is_not_asked(void **state)
{
	(void)state;
	rig.verify_result = -EACCES;
	rig.source_params.ask = true;
	rig_move(&rig);
	assert_stayed("not on the list");
	assert_int_equal(rig.dst->taken, 0);
}

static void state_that_cannot_be_loaded_leaves_the_guest_at_home(void **state)
{
	(void)state;
	rig.dst->broken_load = true;
	rig_move(&rig);
	assert_stayed("loading the machine's state");
	assert_true(rig.target_result < 0);
}

/* 40 pages change in the time 8 are sent. */
static void says_so_when_it_does_not_converge(void **state)
{
	(void)state;
	rig.src->pages_a_step = 40;
	rig.source_params.max_passes = 3;
	rig.source_params.max_downtime_ms = 1;
	rig_move(&rig);
	if (rig.source_stats.outcome == MIG_OUTCOME_MOVED)
		skip(); /* a machine that sends them all in a millisecond */
	assert_stayed("does not converge");
	assert_non_null(strstr(rig.source_err.msg, "raise --max-downtime or slow the guest"));
	assert_int_equal(rig.source_stats.pass, 3);
}

static void power_off(struct fake_vm *vm)
{
	vm->ended = true;
}

static void a_guest_that_ends_meanwhile_is_reported(void **state)
{
	(void)state;
	rig.src->on_get = power_off;
	rig_move(&rig);
	assert_int_equal(rig.source_result, -ESHUTDOWN);
	assert_non_null(strstr(rig.source_err.msg, "guest ended"));
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_STAYED);
	assert_false(rig.dst->running);
}

static void cancel_from_inside(struct fake_vm *vm)
{
	if (vm->order++ == 1) /* in the first pass */
		mig_source_cancel(rig.source);
}

static void a_cancelled_migration_leaves_the_guest_running(void **state)
{
	(void)state;
	rig.src->on_get = cancel_from_inside;
	rig_move(&rig);
	assert_stayed("cancelled");
	assert_int_equal(rig.source_result, -ECANCELED);
	assert_true(rig.target_result < 0);
}

static void cancel_target(struct fake_vm *vm)
{
	(void)vm;
	mig_target_cancel(rig.target);
}

static void a_cancelled_target_leaves_the_guest_at_home(void **state)
{
	(void)state;
	rig.src->on_get = cancel_target;
	rig.source_params.max_passes = 1000000;
	rig.source_params.max_downtime_ms = 1;
	rig.src->pages_a_step = 60;
	rig_move(&rig);
	if (rig.source_stats.outcome == MIG_OUTCOME_MOVED)
		skip(); /* it was faster than the word */
	assert_stayed("cancelled");
}

static void the_guest_can_be_moved_again_after_it_stayed(void **state)
{
	(void)state;
	rig.dst->broken_load = true;
	rig_move(&rig);
	assert_stayed("state");
	mig_source_free(rig.source);
	mig_target_free(rig.target);
	fake_vm_free(rig.dst);
	rig.source = NULL;
	rig.target = NULL;
	rig.closed = false;
	rig.dst = fake_vm_new(&rig.world, fake_platform[1], false);
	rig_move(&rig);
	assert_moved();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_quiet_guest_moves_with_all_it_has),
		T(a_busy_guest_that_converts_pages_moves_with_all_it_has),
		T(counts_add_up_on_both_sides),
		T(a_shared_page_of_zeros_is_a_mark),
		T(a_status_change_without_a_write_is_dirty),
		T(the_log_is_read_before_the_list),
		T(a_conversion_after_the_list_was_read_is_seen_later),
		T(every_pass_takes_log_then_list_anew),
		T(a_guest_in_another_thread_moves_with_all_it_has),
		T(a_paused_guest_stays_paused_on_the_other_side),
		T(a_paused_guest_stays_paused_when_it_stays),
		T(refuses_a_guest_that_is_not_ready_before_anything_is_sent),
		T(force_moves_a_guest_that_is_not_ready),
		T(force_that_names_another_party_changes_nothing),
		T(parties_are_read_by_name),
		T(stops_when_the_guest_withdraws_its_support),
		T(a_target_that_is_not_accepted_gets_nothing),
		T(another_source_may_come_after_one_that_went_away),
		T(the_target_says_why_it_cannot_take_the_guest),
		T(the_source_learns_each_difference),
		T(a_question_changes_nothing_and_the_move_comes_after_it),
		T(a_target_that_is_not_accepted_is_not_asked),
		T(state_that_cannot_be_loaded_leaves_the_guest_at_home),
		T(says_so_when_it_does_not_converge),
		T(a_guest_that_ends_meanwhile_is_reported),
		T(a_cancelled_migration_leaves_the_guest_running),
		T(a_cancelled_target_leaves_the_guest_at_home),
		T(the_guest_can_be_moved_again_after_it_stayed),
	};

	return cmocka_run_group_tests_name("migrate_move", tests, fake_group_setup,
					   fake_group_teardown);
}
