/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "migrate/bitmap.h"

DEFINE_AUTO(source, struct mig_source *, mig_source_free)

int mig_source_new(struct mig_vm *vm, struct sev_platform *platform,
		   const struct mig_source_params *params, struct mig_source **out, struct err *e)
{
	auto_of(source) struct mig_source *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "no memory for a migration");
	pthread_mutex_init(&s->lock, NULL);
	ranges_init(&s->shared);
	s->vm = vm;
	s->platform = platform;
	s->params = *params;
	if (!params->verify || !params->reconnect)
		return err_set(e, -EINVAL, "a migration needs verify and reconnect");
	if (!s->params.max_downtime_ms)
		s->params.max_downtime_ms = MIG_MAX_DOWNTIME_MS;
	if (!s->params.max_passes)
		s->params.max_passes = MIG_MAX_PASSES;
	if (!s->params.commit_wait_ms)
		s->params.commit_wait_ms = MIG_COMMIT_WAIT_MS;
	if (getrandom(s->id, sizeof(s->id), 0) != (ssize_t)sizeof(s->id))
		return err_set(e, -EIO, "no random numbers");
	r = chan_digest_new(&s->digest, e);
	if (r < 0)
		return r;
	*out = steal_ptr(&s);
	return 0;
}

void mig_source_free(struct mig_source *s)
{
	if (!s)
		return;
	mig_pump_stop(&s->writer, 0);
	mig_path_fini(&s->path);
	chan_free(s->c);
	chan_digest_free(s->digest);
	mig_bitmap_fini(&s->now);
	mig_bitmap_fini(&s->ever);
	mig_bitmap_fini(&s->there);
	ranges_fini(&s->shared);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void mig_source_cancel(struct mig_source *s)
{
	pthread_mutex_lock(&s->lock);
	s->cancelled = true;
	pthread_mutex_unlock(&s->lock);
}

void mig_source_stats(struct mig_source *s, struct mig_stats *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->stats;
	pthread_mutex_unlock(&s->lock);
}

void mig_source_differences(struct mig_source *s, struct lines *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->differences;
	pthread_mutex_unlock(&s->lock);
}

/* --- when it fails --------------------------------------------------------------------------- */

static uint32_t abort_code(int r)
{
	switch (-r) {
	case EPROTO:
	case EBADMSG:
		return STREAM_ABORT_PROTOCOL;
	case ECANCELED:
		return STREAM_ABORT_CANCELLED;
	case EACCES:
	case EPERM:
		return STREAM_ABORT_REFUSED;
	default:
		return STREAM_ABORT_FAILED;
	}
}

/* The target learns that it is over; on the connection there is, or, when that broke after END, so
 * that the target may hold the guest, on another. */
static void target_tell(struct mig_source *s, int code, const char *reason)
{
	bool may_hold = s->state == SOURCE_SENT || s->state == SOURCE_READY;
	uint8_t space[STREAM_REASON_MAX + 64];
	struct wr head = wr_of(space, sizeof(space));
	struct err ignored;

	if (s->state == SOURCE_ENDED)
		return; /* it told us */
	mig_pump_stop(&s->writer, MIG_ABORT_MS);
	if (!s->broken && stream_abort_put(&head, abort_code(code), reason, &ignored) == 0 &&
	    mig_source_say(s, STREAM_ABORT, &head, &ignored) == 0)
		return;
	if (may_hold)
		mig_source_disown(s, reason);
}

/* The guest first: it has waited long enough. */
static void guest_keep(struct mig_source *s, struct err *e)
{
	struct err more;

	if (s->send_started && s->path.send->cancel(&s->path, &more) < 0)
		err_wrap(e, e->code, "(and SEND_CANCEL failed: %s) ", more.msg);
	if (s->log_on && s->vm->ops->dirty(s->vm, MIG_DIRTY_STOP, NULL, &more) < 0)
		err_wrap(e, e->code, "(and the dirty log stays on: %s) ", more.msg);
	if (s->stopped && s->vm->ops->run(s->vm, true, &more) < 0)
		err_wrap(e, e->code, "(and the guest does not run again: %s) ", more.msg);
}

static void outcome_set(struct mig_source *s, enum mig_outcome outcome, const char *reason)
{
	uint64_t now = mig_now_ns();

	pthread_mutex_lock(&s->lock);
	s->stats.outcome = outcome;
	s->stats.phase = MIG_PHASE_DONE;
	s->stats.total_ns = now - s->begin_ns;
	if (s->stop_ns)
		s->stats.downtime_ns = now - s->stop_ns;
	snprintf(s->stats.reason, sizeof(s->stats.reason), "%s", reason);
	pthread_mutex_unlock(&s->lock);
}

/* --- the whole way --------------------------------------------------------------------------- */

static int admissible(struct mig_source *s, struct err *e)
{
	int r = s->vm->ops->consent(s->vm, s->params.force, e);

	if (r < 0)
		return err_wrap(e, r, "the guest must not be moved");
	r = mig_mem_init(&s->mem, s->vm, e);
	if (r < 0)
		return r;
	mig_path_psp(&s->path, &s->mem, s->platform);
	pthread_mutex_lock(&s->lock);
	s->stats.pages_total = s->mem.pages;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int move(struct mig_source *s, struct err *e)
{
	int r = admissible(s, e);

	if (r == 0 && s->params.ask)
		return mig_source_question(s, e);
	if (r < 0 || (r = mig_source_open(s, e)) < 0 || (r = mig_source_passes(s, e)) < 0 ||
	    (r = mig_source_finish(s, e)) < 0)
		return r;
	return mig_source_commit(s, e);
}

/* Not counting what the peer did to the channel: -EAGAIN and friends are ours to explain. */
static int failed(struct mig_source *s, int r, struct err *e)
{
	bool gone;

	pthread_mutex_lock(&s->lock);
	gone = s->committed;
	pthread_mutex_unlock(&s->lock);
	if (gone) {
		outcome_set(s, MIG_OUTCOME_UNKNOWN, e->msg);
		return r;
	}
	if (r == -ESHUTDOWN)
		err_wrap(e, r, "guest ended");
	guest_keep(s, e);
	outcome_set(s, MIG_OUTCOME_STAYED, e->msg);
	target_tell(s, r, e->msg);
	return r;
}

int mig_source_run(struct mig_source *s, struct chan *c, struct err *e)
{
	int r;

	if (s->begin_ns) {
		chan_free(c);
		return err_set(e, -EBUSY, "a source serves one migration");
	}
	s->c = c;
	s->begin_ns = mig_now_ns();
	r = move(s, e);
	if (r < 0)
		r = failed(s, r, e);
	else
		outcome_set(s, s->params.ask ? MIG_OUTCOME_ANSWERED : MIG_OUTCOME_MOVED, "");
	mig_pump_stop(&s->writer, 0);
	mig_path_fini(&s->path);
	chan_free(s->c); /* the target waits for that */
	s->c = NULL;
	return r;
}
