/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Iterative pre-copy. In each pass: the dirty log first, the status list second, then pages. A page
 * that is converted between the two is dirty in the next pass, with its new status (PROTOCOL.md 6).
 */

#include "migrate/source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "migrate/bitmap.h"
#include "migrate/converge.h"

/* A rate measured over fewer pages says more about the scheduler than about the path. */
#define RATE_PAGES_MIN 64

/* --- pages ----------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *p)
{
	const uint64_t *w = (const uint64_t *)(const void *)p;
	uint64_t any = 0;

	for (size_t i = 0; i < PAGE_LEN / sizeof(*w) && !any; i += 8)
		any = w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] |
		      w[i + 7];
	return !any;
}

static void count_sent(struct mig_source *s, uint64_t priv, uint64_t shared, uint64_t zero)
{
	uint64_t bytes = mig_pump_bytes(&s->writer);

	pthread_mutex_lock(&s->lock);
	s->stats.pages_private += priv;
	s->stats.pages_shared += shared;
	s->stats.pages_zero += zero;
	s->stats.pages_left -= priv + shared + zero;
	s->stats.bytes_sent = bytes;
	pthread_mutex_unlock(&s->lock);
}

static int private_flush(struct mig_source *s, struct err *e)
{
	struct mig_batch *b = NULL;
	uint32_t n = s->private_n;
	struct wr head;
	int r;

	if (n == 0)
		return 0;
	r = mig_source_batch(s, &b, &head, e);
	if (r < 0)
		return r;
	r = s->path.send->pages(&s->path, s->private_v, n, b->body, e);
	if (r < 0)
		return r;
	r = stream_private_put(&head, s->pass, s->private_v, n, e);
	if (r < 0)
		return r;
	mig_source_send(s, b, STREAM_PRIVATE_PAGES, &head, (size_t)n * PAGE_LEN);
	count_sent(s, n, 0, 0);
	s->private_n = 0;
	return 0;
}

static int shared_flush(struct mig_source *s, struct err *e)
{
	struct mig_batch *b = NULL;
	uint32_t n = s->shared_n, zero = 0;
	struct wr head;
	int r;

	if (n == 0)
		return 0;
	r = mig_source_batch(s, &b, &head, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = mig_mem_at(&s->mem, s->shared_v[i].at);

		s->shared_v[i].data = is_zero(p) ? NULL : p;
		zero += !s->shared_v[i].data;
	}
	r = stream_shared_put(&head, s->pass, s->shared_v, n, e);
	if (r < 0)
		return r;
	mig_source_send(s, b, STREAM_SHARED_PAGES, &head, 0);
	count_sent(s, 0, n - zero, zero);
	s->shared_n = 0;
	return 0;
}

static int page_add(struct mig_source *s, uint64_t frame, bool shared, struct err *e)
{
	struct gpa at = gpa(frame << PAGE_SHIFT);

	if (shared) {
		s->shared_v[s->shared_n++].at = at;
		return s->shared_n == STREAM_BATCH_PAGES ? shared_flush(s, e) : 0;
	}
	s->private_v[s->private_n++].at = at;
	return s->private_n == STREAM_BATCH_PAGES ? private_flush(s, e) : 0;
}

static int pages_send(struct mig_source *s, struct err *e)
{
	struct mig_status st = { .mem = &s->mem, .list = &s->shared };
	uint64_t at = 0, n;
	int r = 0;

	s->private_n = s->shared_n = 0;
	while (r == 0 && mig_bitmap_run(&s->now, &at, &n)) {
		while (r == 0 && n) {
			bool shared;
			uint64_t k = mig_status_run(&st, at, n, &shared);

			for (uint64_t i = 0; r == 0 && i < k; i++)
				r = page_add(s, at + i, shared, e);
			at += k;
			n -= k;
		}
	}
	if (r == 0)
		r = private_flush(s, e);
	return r < 0 ? r : shared_flush(s, e);
}

/* --- one pass -------------------------------------------------------------------------------- */

static int pass_announce(struct mig_source *s, uint64_t pages, bool final, struct err *e)
{
	struct stream_pass m = { .pass = s->pass, .final = final, .pages = pages };
	struct mig_batch *b = NULL;
	struct wr head;
	int r = mig_source_batch(s, &b, &head, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	m.private_sent = s->stats.pages_private;
	m.shared_sent = s->stats.pages_shared;
	m.zero_sent = s->stats.pages_zero;
	pthread_mutex_unlock(&s->lock);
	r = stream_pass_put(&head, &m, e);
	if (r == 0)
		mig_source_send(s, b, STREAM_PASS, &head, 0);
	return r;
}

static void pass_begin(struct mig_source *s, uint64_t pages)
{
	mig_bitmap_or(&s->ever, &s->now);
	pthread_mutex_lock(&s->lock);
	s->stats.pass = s->pass;
	s->stats.pages_left = s->stats.pages_dirty = pages;
	s->stats.pages_never = s->mem.pages - mig_bitmap_count(&s->ever);
	pthread_mutex_unlock(&s->lock);
}

/* What was written may still be in buffers on both sides, and the target may be slower than we are:
 * its answer comes when it has taken everything. So the rate is what really arrives, and the guest
 * does not stop for a queue. */
static int pass_settle(struct mig_source *s, struct err *e)
{
	struct mig_batch *b = NULL;
	struct stream_id id;
	struct wr head;
	int r = mig_source_batch(s, &b, &head, e);

	if (r < 0)
		return r;
	memcpy(id.id, s->id, sizeof(id.id));
	r = stream_id_put(&head, STREAM_QUERY, &id, e);
	if (r < 0)
		return r;
	s->asked = true;
	mig_source_send(s, b, STREAM_QUERY, &head, 0);
	r = mig_source_flush(s, e);
	while (r == 0 && s->asked)
		r = mig_source_wait(s, MIG_STALL_MS, "QUERY", e);
	return r;
}

/* Everything in s->now, with the status in s->shared; *ns: how long it took. */
static int pass_send(struct mig_source *s, bool final, uint64_t *ns, struct err *e)
{
	uint64_t begin = mig_now_ns(), pages = mig_bitmap_count(&s->now);
	int r;

	s->pass++;
	pass_begin(s, pages);
	r = pass_announce(s, pages, final, e);
	if (r == 0)
		r = pages_send(s, e);
	if (r == 0)
		r = final ? mig_source_flush(s, e) : pass_settle(s, e);
	if (r < 0)
		return err_wrap(e, r, "pass %" PRIu32, s->pass);
	*ns = mig_now_ns() - begin;
	if (pages >= RATE_PAGES_MIN || s->send_rate == 0)
		s->send_rate = (uint64_t)((double)pages * 1e9 / (double)(*ns ? *ns : 1));
	return 0;
}

/* What changed since the last look. Pages that never held anything hold nothing there, too. */
static int dirty_collect(struct mig_source *s, bool keep, struct err *e)
{
	int r;

	if (!keep)
		mig_bitmap_clear(&s->now);
	r = s->vm->ops->dirty(s->vm, MIG_DIRTY_SYNC, &s->now, e);
	if (r < 0)
		return err_wrap(e, r, "dirty log");
	mig_mem_populated(&s->mem, &s->there);
	mig_bitmap_and(&s->now, &s->there);
	return 0;
}

static int status_collect(struct mig_source *s, struct err *e)
{
	int r = s->vm->ops->shared(s->vm, MIG_GET, &s->shared, e);

	return r < 0 ? err_wrap(e, r, "shared-region list") : 0;
}

/* Between passes: may it still be moved? */
static int allowed(struct mig_source *s, struct err *e)
{
	int r = s->vm->ops->consent(s->vm, s->params.force, e);

	return r < 0 ? err_wrap(e, r, "the guest must not be moved now") : 0;
}

int mig_source_survey(struct mig_source *s, struct err *e)
{
	size_t bits = s->mem.nframes;
	int r = mig_bitmap_init(&s->now, bits, e);

	if (r < 0 || (r = mig_bitmap_init(&s->ever, bits, e)) < 0 ||
	    (r = mig_bitmap_init(&s->there, bits, e)) < 0)
		return r;
	r = s->vm->ops->dirty(s->vm, MIG_DIRTY_START, NULL, e);
	if (r < 0)
		return err_wrap(e, r, "dirty log");
	s->log_on = true;
	r = status_collect(s, e);
	mig_mem_populated(&s->mem, &s->now);
	return r;
}

int mig_source_stop_guest(struct mig_source *s, struct err *e)
{
	int r;

	mig_source_phase(s, MIG_PHASE_STOPPED);
	s->stop_ns = mig_now_ns();
	s->stopped = true; /* even if it fails half-way: it must run again */
	r = s->vm->ops->run(s->vm, false, e);
	if (r < 0)
		return err_wrap(e, r, "stopping the vCPUs");
	return 0;
}

/* --- all passes ------------------------------------------------------------------------------ */

static int diverges(struct mig_source *s, uint64_t left, uint64_t expected_ns, uint64_t limit_ns,
		    struct err *e)
{
	return err_set(e, -EAGAIN,
		       "does not converge: %" PRIu64 " pages dirty a pass, %" PRIu64
		       " pages/s sent, expected downtime %" PRIu64 " ms > limit %" PRIu64
		       " ms; raise --max-downtime or slow the guest",
		       left, s->send_rate, expected_ns / 1000000, limit_ns / 1000000);
}

/* 1: stop the guest now; 0: another pass. ns: what the last one took. */
static int decide(struct mig_source *s, uint64_t ns, struct err *e)
{
	uint64_t limit_ns = s->params.max_downtime_ms * 1000000ull, expected_ns;
	struct mig_converge in = { .pass = s->pass,
				   .max_passes = s->params.max_passes,
				   .left = mig_bitmap_count(&s->now),
				   .send_rate = s->send_rate,
				   .limit_ns = limit_ns,
				   .fixed_ns = s->fixed_ns };
	enum mig_verdict verdict;

	/* One slow HELLO must not make every migration hopeless. */
	if (in.fixed_ns > limit_ns / 4)
		in.fixed_ns = limit_ns / 4;
	verdict = mig_converge(&in, &expected_ns);
	pthread_mutex_lock(&s->lock);
	s->stats.pages_dirty = in.left;
	s->stats.send_rate = s->send_rate;
	s->stats.dirty_rate = (uint64_t)((double)in.left * 1e9 / (double)(ns ? ns : 1));
	s->stats.expected_downtime_ns = expected_ns;
	pthread_mutex_unlock(&s->lock);
	if (verdict == MIG_DIVERGES)
		return diverges(s, in.left, expected_ns, limit_ns, e);
	return verdict == MIG_STOP_NOW;
}

int mig_source_passes(struct mig_source *s, struct err *e)
{
	uint64_t ns = 0;
	int r;

	mig_source_phase(s, MIG_PHASE_PASSES);
	do {
		if ((r = allowed(s, e)) < 0 || (r = status_collect(s, e)) < 0 ||
		    (r = pass_send(s, false, &ns, e)) < 0 || (r = dirty_collect(s, false, e)) < 0)
			return r;
		r = decide(s, ns, e);
	} while (r == 0);
	if (r < 0 || (r = allowed(s, e)) < 0 || (r = mig_source_stop_guest(s, e)) < 0 ||
	    (r = dirty_collect(s, true, e)) < 0 || (r = status_collect(s, e)) < 0)
		return r;
	return pass_send(s, true, &ns, e);
}
