/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rule above all others, walked: whichever message is cut, on whichever side, before, within or
 * after it, there are never two guests that run, and never none that could.
 */

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "migrate/target.h"
#include "tests/unit/migrate_fake.h"
#include "sev/sev.h"

static const char *const at_names[] = { "before", "in", "after" };

static void pause_ms(unsigned ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

/* What the operator does when the source is gone for good and the target holds the guest. */
static bool adopt_when_held(struct rig *rig)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct mig_stats st;
		struct err e;

		if (mig_target_adopt(rig->target, &e) == 0)
			return true;
		mig_target_stats(rig->target, &st);
		if (st.phase == MIG_PHASE_DONE)
			return false;
		pause_ms(10);
	}
	fail_msg("the target neither holds the guest nor is it done");
	return false;
}

static void check(struct rig *rig, const char *what)
{
	enum mig_outcome o = rig->source_stats.outcome;
	bool there = o == MIG_OUTCOME_MOVED;

	if (rig->world.most > 1)
		fail_msg("%s: two guests ran", what);
	if (rig->world.running != 1)
		fail_msg("%s: none runs (%s: %s)", what, mig_outcome_name(o), rig->source_err.msg);
	if (o != MIG_OUTCOME_UNKNOWN && rig->dst->running != there)
		fail_msg("%s: the source says %s", what, mig_outcome_name(o));
	if (o == MIG_OUTCOME_STAYED && (rig->source_result == 0 || rig->target_result == 0 ||
					rig->source_stats.reason[0] == 0))
		fail_msg("%s: stayed without a reason", what);
	if (rig->dst->running) {
		assert_int_equal(rig->target_result, 0);
		fake_assert_same(rig->src, rig->dst);
	}
}

/* One migration with one cut; true when the cut lay behind its last message. */
static bool cut(struct rig *rig, bool target, unsigned k, enum chan_fault_at at, bool come_back)
{
	char what[64];
	bool untouched;

	snprintf(what, sizeof(what), "%s %s's message %u%s", at_names[at],
		 target ? "target" : "source", k, come_back ? "" : ", no way back");
	rig_init(rig, fake_platform[0], fake_platform[1]);
	rig->fault = true;
	rig->fault_target = target;
	rig->fault_k = k;
	rig->fault_at = at;
	rig->no_reconnect = !come_back;
	rig->source_params.commit_wait_ms = come_back ? 5000 : 300;
	rig->target_params.linger_ms = come_back ? 1000 : 50;
	rig_move(rig);
	if (rig->source_stats.outcome == MIG_OUTCOME_UNKNOWN) {
		if (come_back)
			fail_msg("%s: unknown: %s", what, rig->source_err.msg);
		assert_false(rig->src->running);
		adopt_when_held(rig);
		rig_target_join(rig);
	}
	check(rig, what);
	untouched = rig->source_stats.outcome == MIG_OUTCOME_MOVED && rig->reconnects == 0;
	rig_fini(rig);
	return untouched;
}

/* DONE is the last message; cutting it harms nothing, and so the cut after it is the second in a
 * row that changes nothing. */
static void walk(bool target, enum chan_fault_at at, bool come_back)
{
	unsigned quiet = 0, k;

	for (k = 0; quiet < 2; k++) {
		struct rig rig;

		quiet = cut(&rig, target, k, at, come_back) ? quiet + 1 : 0;
	}
	/* or it walked nothing */
	assert_true(k >= (target ? 4u : 9u + fake_es_vcpus));
}

static void source_cut_before_each_message(void **state)
{
	(void)state;
	walk(false, CHAN_FAULT_BEFORE, true);
}

static void source_cut_in_each_message(void **state)
{
	(void)state;
	walk(false, CHAN_FAULT_MIDDLE, true);
}

static void source_cut_after_each_message(void **state)
{
	(void)state;
	walk(false, CHAN_FAULT_AFTER, true);
}

static void target_cut_before_each_message(void **state)
{
	(void)state;
	walk(true, CHAN_FAULT_BEFORE, true);
}

static void target_cut_in_each_message(void **state)
{
	(void)state;
	walk(true, CHAN_FAULT_MIDDLE, true);
}

static void target_cut_after_each_message(void **state)
{
	(void)state;
	walk(true, CHAN_FAULT_AFTER, true);
}

static void source_cut_for_good_at_each_message(void **state)
{
	(void)state;
	for (unsigned at = CHAN_FAULT_BEFORE; at <= CHAN_FAULT_AFTER; at++)
		walk(false, (enum chan_fault_at)at, false);
}

static void target_cut_for_good_at_each_message(void **state)
{
	(void)state;
	for (unsigned at = CHAN_FAULT_BEFORE; at <= CHAN_FAULT_AFTER; at++)
		walk(true, (enum chan_fault_at)at, false);
}

/* --- a source that stays tells a target that holds ------------------------------------------- */

/* READY was delivered and the connection is gone at once: the source has not given the guest up,
 * or has and comes back; both are fine, holding on for ever is not. */
static void a_source_that_stays_tells_a_target_that_holds(void **state)
{
	struct rig rig;
	struct chan *c = NULL;
	struct err e;

	(void)state;
	rig_init(&rig, fake_platform[0], fake_platform[1]);
	rig.src->frozen = true; /* so there are two passes */
	rig.fault = rig.fault_target = true;
	rig.fault_k = 2; /* after HELLO_REPLY and ANSWER: READY */
	rig.fault_at = CHAN_FAULT_BEFORE;
	rig_target_start(&rig);
	assert_int_equal(rig_connect(&rig, &c, &e), 0);
	rig_source_run(&rig, c);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_STAYED);
	assert_true(rig.reconnects >= 1);
	pthread_join(rig.target_thread, NULL); /* nobody cancelled it */
	assert_int_equal(rig.target_result, -ECONNABORTED);
	assert_int_equal(rig.world.running, 1);
	rig_fini(&rig);
}

static void adopting_is_refused_unless_a_guest_is_held(void **state)
{
	struct rig rig;
	struct err e;

	(void)state;
	rig_init(&rig, fake_platform[0], fake_platform[1]);
	rig_target_start(&rig);
	assert_int_equal(mig_target_adopt(rig.target, &e), -EBUSY);
	mig_target_cancel(rig.target);
	rig_target_join(&rig);
	assert_int_equal(mig_target_adopt(rig.target, &e), -EBUSY);
	assert_int_equal(rig.target_result, -ECANCELED);
	rig_fini(&rig);
}

/* A target that holds the guest, of a source that did not come to say COMMIT. */
static void rig_held(struct rig *rig)
{
	for (unsigned k = 0; k < 100; k++) {
		rig_init(rig, fake_platform[0], fake_platform[1]);
		rig->fault = true;
		rig->fault_k = k;
		rig->fault_at = CHAN_FAULT_BEFORE;
		rig->no_reconnect = true;
		rig->source_params.commit_wait_ms = 100;
		rig->target_params.linger_ms = 50;
		rig_move(rig);
		if (rig->source_stats.outcome == MIG_OUTCOME_UNKNOWN)
			return;
		rig_fini(rig);
	}
	fail_msg("no cut left the guest held");
}

static void released_set(struct rig *rig, uint32_t proof)
{
	static const struct mig_proof_ops handlers;

	pthread_mutex_lock(&rig->target->lock);
	rig->target->path.proof = &handlers;
	rig->target->path.handler.has = proof;
	pthread_mutex_unlock(&rig->target->lock);
}

/* An operator's adopt that comes too early does not cost the guest. */
static void a_guest_is_held_on_until_its_handler_gave_it_up(void **state)
{
	struct mig_stats st;
	struct rig rig;
	struct err e;
	int r = -EBUSY;

	(void)state;
	rig_held(&rig);
	released_set(&rig, STREAM_PROOF_MANIFEST);
	for (unsigned i = 0; r == -EBUSY && i < 1000; i++) {
		r = mig_target_adopt(rig.target, &e);
		if (r == -EBUSY)
			pause_ms(10);
	}
	assert_int_equal(r, -EPERM);
	mig_target_stats(rig.target, &st);
	assert_int_equal(st.phase, MIG_PHASE_READY);
	assert_int_equal(rig.world.running, 0);
	released_set(&rig, STREAM_PROOF_RELEASE);
	assert_true(adopt_when_held(&rig));
	rig_target_join(&rig);
	assert_int_equal(rig.target_result, 0);
	assert_true(rig.dst->running);
	rig_fini(&rig);
}

/* --- the Secure Processor fails -------------------------------------------------------------- */

/* How many calls there were: the k-th broke if it is among them. */
static unsigned break_sev(bool target, unsigned k)
{
	struct sev_platform *p = fake_platform_open(target);
	unsigned calls = 0;
	struct fake_vm *vm;
	struct rig rig;
	char what[64];

	snprintf(what, sizeof(what), "%s's SEV call %u", target ? "target" : "source", k);
	p = sev_fault_wrap(p, k, &calls);
	assert_non_null(p);
	rig_init(&rig, fake_platform[0], fake_platform[1]);
	vm = target ? rig.dst : rig.src;
	vm->platform = p;
	vm->calls = &calls;
	vm->break_at = k;
	rig_move(&rig);
	if (rig.source_stats.outcome == MIG_OUTCOME_UNKNOWN)
		fail_msg("%s: unknown: %s", what, rig.source_err.msg);
	check(&rig, what);
	rig_fini(&rig);
	sev_platform_free(p);
	return calls;
}

/* At both ends each call is another; in between one page is like the next. */
static void break_sev_calls(bool target)
{
	unsigned all = break_sev(target, UINT_MAX), k = 0;

	assert_true(all > 24);
	while (break_sev(target, k) > k)
		k += k < 12 || k + 12 >= all ? 1 : 7;
}

static void any_call_of_the_sources_secure_processor_may_fail(void **state)
{
	(void)state;
	break_sev_calls(false);
}

static void any_call_of_the_targets_secure_processor_may_fail(void **state)
{
	(void)state;
	break_sev_calls(true);
}

/* --- guests whose vCPUs travel sealed --------------------------------------------------------- */

static int es_setup(void **state)
{
	(void)state;
	fake_es_vcpus = 3;
	return 0;
}

static int es_teardown(void **state)
{
	(void)state;
	fake_es_vcpus = 0;
	return 0;
}

#define ES(f)                                                                                      \
	{                                                                                          \
		"sev_es_" #f, f, es_setup, es_teardown, NULL                                       \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_cut_before_each_message),
		cmocka_unit_test(source_cut_in_each_message),
		cmocka_unit_test(source_cut_after_each_message),
		cmocka_unit_test(target_cut_before_each_message),
		cmocka_unit_test(target_cut_in_each_message),
		cmocka_unit_test(target_cut_after_each_message),
		cmocka_unit_test(source_cut_for_good_at_each_message),
		cmocka_unit_test(target_cut_for_good_at_each_message),
		cmocka_unit_test(a_source_that_stays_tells_a_target_that_holds),
		cmocka_unit_test(adopting_is_refused_unless_a_guest_is_held),
		cmocka_unit_test(a_guest_is_held_on_until_its_handler_gave_it_up),
		cmocka_unit_test(any_call_of_the_sources_secure_processor_may_fail),
		cmocka_unit_test(any_call_of_the_targets_secure_processor_may_fail),
		ES(source_cut_before_each_message),
		ES(source_cut_in_each_message),
		ES(source_cut_after_each_message),
		ES(source_cut_for_good_at_each_message),
		ES(any_call_of_the_sources_secure_processor_may_fail),
		ES(any_call_of_the_targets_secure_processor_may_fail),
	};

	return cmocka_run_group_tests_name("migrate_switchover", tests, fake_group_setup,
					   fake_group_teardown);
}
