/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

DEFINE_AUTO(target, struct mig_target *, mig_target_free)

int mig_target_new(struct mig_vm *vm, struct sev_platform *platform,
		   const struct mig_target_params *params, struct mig_target **out, struct err *e)
{
	auto_of(target) struct mig_target *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, -ENOMEM, "no memory for a migration");
	pthread_mutex_init(&t->lock, NULL);
	ranges_init(&t->shared);
	t->vm = vm;
	t->platform = platform;
	t->params = *params;
	t->state = TARGET_WAIT;
	if (!params->accept)
		return err_set(e, -EINVAL, "a migration target needs accept");
	if (!t->params.linger_ms)
		t->params.linger_ms = MIG_LINGER_MS;
	*out = steal_ptr(&t);
	return 0;
}

void mig_target_free(struct mig_target *t)
{
	if (!t)
		return;
	mig_pump_stop(&t->reader, 0);
	mig_path_fini(&t->path);
	chan_free(t->c);
	chan_digest_free(t->digest);
	ranges_fini(&t->shared);
	buf_fini(&t->blob);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void mig_target_cancel(struct mig_target *t)
{
	pthread_mutex_lock(&t->lock);
	if (!t->sealed || (t->held && !t->adopted))
		t->cancelled = true;
	pthread_mutex_unlock(&t->lock);
}

int mig_target_adopt(struct mig_target *t, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (!t->held || t->cancelled)
		r = err_set(e, -EBUSY, "there is no held guest whose source is gone");
	else
		r = mig_target_released(t, e); /* held: no connection changes it meanwhile */
	if (r == 0)
		t->adopted = true;
	pthread_mutex_unlock(&t->lock);
	return r;
}

void mig_target_stats(struct mig_target *t, struct mig_stats *out)
{
	pthread_mutex_lock(&t->lock);
	*out = t->stats;
	pthread_mutex_unlock(&t->lock);
}

/* --- what the end of a connection means ------------------------------------------------------ */

static void note_reason(struct mig_target *t, const char *reason)
{
	pthread_mutex_lock(&t->lock);
	snprintf(t->stats.reason, sizeof(t->stats.reason), "%s", reason);
	pthread_mutex_unlock(&t->lock);
}

static uint32_t code_of(const struct mig_target *t, int r)
{
	if (t->abort_code)
		return t->abort_code;
	if (r == -EPROTO)
		return STREAM_ABORT_PROTOCOL;
	return r == -ECANCELED ? STREAM_ABORT_CANCELLED : STREAM_ABORT_FAILED;
}

/* Closing a socket with unread data in it may destroy what was said last, so the peer gets a little
 * time to read it and hang up. */
static void drain(struct mig_target *t)
{
	uint64_t deadline = mig_deadline(MIG_ABORT_MS);
	struct chan_msg m;
	struct err ignored;

	while (mig_now_ns() < deadline) {
		struct mig_batch *b = NULL;
		int r;

		if (t->reader.running) {
			r = mig_reader_get(&t->reader, MIG_POLL_MS, &b, &ignored);
			if (r == 0)
				mig_reader_put(&t->reader, b);
		} else {
			r = chan_recv(t->c, &m, MIG_POLL_MS, &ignored);
			r = r == -ETIMEDOUT ? -EAGAIN : r;
		}
		if (r < 0 && r != -EAGAIN)
			return;
	}
}

/* ABORT says that nothing runs here and never will. So a target that holds or runs the guest does
 * not say it of a connection that failed, only to somebody who is not its source. */
static bool worth_saying(const struct mig_target *t, int r)
{
	if (r == 0 || r == -ECONNABORTED || t->lost)
		return false;
	switch ((enum target_state)t->state) {
	case TARGET_READY:
	case TARGET_RUNNING:
	case TARGET_DONE:
		return false;
	case TARGET_HELD:
	case TARGET_LINGER:
		return t->abort_code != 0;
	case TARGET_NONE:
	case TARGET_WAIT:
	case TARGET_QUESTION:
	case TARGET_SESSION:
	case TARGET_STARTED:
	case TARGET_PASSES:
	case TARGET_VCPUS:
	case TARGET_SEALED:
	case TARGET_LIST:
	case TARGET_LISTED:
	case TARGET_LOADING:
	case TARGET_STATED:
	case TARGET_ENDED:
	case TARGET_STATES:
		break;
	}
	return true;
}

static void hang_up(struct mig_target *t, int r, const char *reason)
{
	if (worth_saying(t, r)) {
		mig_target_say_abort(t, code_of(t, r), reason);
		if (!t->lost)
			drain(t);
	}
	mig_pump_stop(&t->reader, 0);
	chan_free(t->c);
	t->c = NULL;
}

static void hold(struct mig_target *t)
{
	t->state = TARGET_HELD;
	pthread_mutex_lock(&t->lock);
	t->held = true;
	t->stats.phase = MIG_PHASE_READY;
	pthread_mutex_unlock(&t->lock);
}

/* Where the machine is after a connection ended with r. */
static void after(struct mig_target *t, int r)
{
	switch ((enum target_state)t->state) {
	case TARGET_WAIT:
	case TARGET_QUESTION:
	case TARGET_SESSION:
		t->state = TARGET_WAIT;
		mig_target_phase(t, MIG_PHASE_NONE);
		break;
	case TARGET_READY:
	case TARGET_HELD:
		hold(t);
		break;
	case TARGET_RUNNING:
	case TARGET_LINGER:
		t->state = TARGET_LINGER;
		break;
	case TARGET_NONE:
	case TARGET_STARTED:
	case TARGET_PASSES:
	case TARGET_VCPUS:
	case TARGET_SEALED:
	case TARGET_LIST:
	case TARGET_LISTED:
	case TARGET_LOADING:
	case TARGET_STATED:
	case TARGET_DONE:
	case TARGET_ENDED:
	case TARGET_STATES:
		if (r < 0)
			t->state = TARGET_ENDED;
		break;
	}
}

/* --- connections ----------------------------------------------------------------------------- */

/* What the operator said. 0: nothing; 1: the state has changed; or -errno: the end. */
static int operator_word(struct mig_target *t, struct err *e)
{
	bool adopted, cancelled;
	int r;

	pthread_mutex_lock(&t->lock);
	adopted = t->adopted;
	cancelled = t->cancelled;
	pthread_mutex_unlock(&t->lock);
	if (cancelled)
		return err_set(e, -ECANCELED, "cancelled");
	if (!adopted || t->state != TARGET_HELD)
		return 0;
	log_warn("migrate", "the guest is adopted without its source's word");
	r = mig_target_take_over(t, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&t->lock);
	t->held = false;
	pthread_mutex_unlock(&t->lock);
	t->state = TARGET_LINGER;
	return 1;
}

/* A connection is there. 0: serve it; 1: the operator was faster. */
static int claim(struct mig_target *t)
{
	bool late;

	pthread_mutex_lock(&t->lock);
	late = t->adopted && t->held;
	if (!late)
		t->held = false;
	pthread_mutex_unlock(&t->lock);
	return late;
}

/* 0: serve t->c; 1: look at the state again; or -errno: the end. */
static int connection(struct mig_target *t, struct err *e)
{
	const struct timespec pause = { 0, MIG_POLL_MS * 1000000l };
	int r;

	if (t->state == TARGET_LINGER) {
		if (!t->linger_until)
			t->linger_until = mig_deadline(t->params.linger_ms);
		if (mig_now_ns() >= t->linger_until) {
			t->state = TARGET_DONE;
			return 1;
		}
	} else {
		r = operator_word(t, e);
		if (r)
			return r;
	}
	r = t->params.accept(t->params.ctx, &t->c, e);
	if (r == 0)
		return claim(t) ? (chan_free(t->c), t->c = NULL, 1) : 0;
	if (r == -ETIMEDOUT || r == -EAGAIN)
		return 1;
	if (t->state == TARGET_WAIT)
		return err_wrap(e, r, "waiting for a source");
	/* A guest is in our hands, so a broken listener is not the end: the operator can still
	 * adopt, or the source may be told by other means where we are. */
	nanosleep(&pause, NULL);
	return 1;
}

static int ended(struct mig_target *t, int r, struct err *e)
{
	t->state = TARGET_ENDED;
	pthread_mutex_lock(&t->lock);
	t->stats.phase = MIG_PHASE_DONE;
	t->stats.outcome = MIG_OUTCOME_STAYED;
	snprintf(t->stats.reason, sizeof(t->stats.reason), "%s", e->msg);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int mig_target_run(struct mig_target *t, struct err *e)
{
	while (t->state != TARGET_DONE) {
		int r = connection(t, e);

		if (r < 0)
			return ended(t, r, e);
		if (r == 1)
			continue;
		r = mig_target_serve(t, e);
		hang_up(t, r, e->msg);
		after(t, r);
		if (t->state == TARGET_ENDED)
			return ended(t, r, e);
		if (r < 0) {
			note_reason(t, e->msg);
			log_warn("migrate", "a source's connection ended: %s", e->msg);
		}
	}
	return 0;
}
