/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The switch-over, as doc/PROTOCOL.md section 5 has it case by case. Before SEND_FINISH any failure
 * leaves the guest here. After it the guest cannot run here, so whatever happens the target is
 * asked, on new connections, until it answered or the time is over.
 */

#include "migrate/source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "stream/list.h"
#include "stream/state.h"

/* --- vCPUs, list, state, END
 * ------------------------------------------------------------------------ */

/* The list within RAM, each interval inside one range: what else the guest declared is not moved.
 */
static int list_clip(struct mig_source *s, struct range *v, uint32_t cap, size_t *at, uint32_t *ram,
		     uint32_t *n)
{
	const struct ranges *l = &s->shared;

	*n = 0;
	for (; *ram < s->mem.bounds.nram; (*ram)++, *at = 0) {
		uint64_t start = s->mem.bounds.ram[*ram].at >> PAGE_SHIFT;
		uint64_t end = start + (s->mem.bounds.ram[*ram].size >> PAGE_SHIFT);

		for (; *at < l->n && l->v[*at].start < end; (*at)++) {
			struct range k = l->v[*at];

			if (k.end <= start)
				continue;
			if (*n == cap)
				return 1;
			v[(*n)++] = (struct range){ k.start < start ? start : k.start,
						    k.end > end ? end : k.end };
		}
	}
	return 0;
}

/* Their state in memory cannot change any more: the guest is stopped, and only its Secure Processor
 * reads it. */
static int vcpus_send(struct mig_source *s, struct err *e)
{
	for (uint32_t i = 0; s->es && i < s->mem.desc.vcpus; i++) {
		struct stream_vmsa m = { .vcpu = i };
		struct mig_batch *b = NULL;
		struct wr head;
		int r = mig_source_batch(s, &b, &head, e);

		if (r < 0 || (r = s->path.send->vcpu(&s->path, &m, b->body, e)) < 0 ||
		    (r = stream_vmsa_put(&head, &m, e)) < 0)
			return r;
		mig_source_send(s, b, STREAM_VMSA, &head, STREAM_VMSA_LEN);
	}
	return 0;
}

static int list_send(struct mig_source *s, struct err *e)
{
	size_t at = 0;
	uint32_t ram = 0, n = 0;
	int more;

	do {
		struct mig_batch *b = NULL;
		struct wr head;
		int r = mig_source_batch(s, &b, &head, e);

		if (r < 0)
			return r;
		/* The intervals are gathered in the body buffer, which the message does not use. */
		more = list_clip(s, (struct range *)(void *)b->body, STREAM_LIST_MAX, &at, &ram,
				 &n);
		r = stream_list_put(&head, (const struct range *)(const void *)b->body, n, !more,
				    e);
		if (r < 0)
			return r;
		mig_source_send(s, b, STREAM_SHARED_LIST, &head, 0);
	} while (more);
	return 0;
}

static int state_send(struct mig_source *s, struct err *e)
{
	auto_buf struct buf state = { 0 };
	struct stream_state m = { 0 };
	int r = s->vm->ops->state_save(s->vm, &state, e);

	if (r < 0)
		return err_wrap(e, r, "saving the machine's state");
	if (state.len == 0 || state.len > STREAM_STATE_MAX)
		return err_set(e, -EFBIG, "machine state of %zu bytes", state.len);
	for (m.total = state.len; m.offset < m.total; m.offset += m.len) {
		struct mig_batch *b = NULL;
		struct wr head;

		m.data = state.p + m.offset;
		m.len = m.total - m.offset < STREAM_STATE_PART_MAX ? (uint32_t)(m.total - m.offset)
								   : STREAM_STATE_PART_MAX;
		if ((r = mig_source_batch(s, &b, &head, e)) < 0 ||
		    (r = stream_state_put(&head, &m, e)) < 0)
			return r;
		mig_source_send(s, b, STREAM_STATE, &head, 0);
	}
	return mig_source_flush(s, e);
}

static int end_send(struct mig_source *s, struct err *e)
{
	struct stream_end m = { .passes = s->pass };
	uint8_t space[128];
	struct wr head = wr_of(space, sizeof(space));
	int r = chan_digest_get(s->digest, m.digest, e);

	if (r < 0)
		return r;
	memcpy(s->ready, m.digest, sizeof(s->ready));
	pthread_mutex_lock(&s->lock);
	m.private_sent = s->stats.pages_private;
	m.shared_sent = s->stats.pages_shared;
	m.zero_sent = s->stats.pages_zero;
	s->stats.bytes_sent = s->c->bytes_sent;
	pthread_mutex_unlock(&s->lock);
	r = stream_end_put(&head, &m, e);
	if (r < 0)
		return r;
	s->state = SOURCE_SENT; /* from here on the target may hold a whole guest */
	return mig_source_say(s, STREAM_END, &head, e);
}

int mig_source_finish(struct mig_source *s, struct err *e)
{
	int r = vcpus_send(s, e);

	if (r < 0 || (r = list_send(s, e)) < 0 || (r = state_send(s, e)) < 0 ||
	    (r = mig_source_manifest(s, e)) < 0 || (r = mig_source_flush(s, e)) < 0)
		return r;
	mig_pump_stop(&s->writer, MIG_STOPPED_MS);
	r = end_send(s, e);
	if (r < 0)
		return r;
	while (r == 0 && s->state == SOURCE_SENT) /* a receipt comes before READY */
		r = mig_source_wait(s, MIG_READY_MS, "END", e);
	if (r == 0)
		mig_source_phase(s, MIG_PHASE_READY);
	return r;
}

/* --- the point of no return ------------------------------------------------------------------ */

static int commit_claim(struct mig_source *s, struct err *e)
{
	int r = mig_source_poll(s, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	if (s->cancelled)
		r = err_set(e, -ECANCELED, "cancelled");
	else
		s->committed = true;
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void commit_unclaim(struct mig_source *s)
{
	pthread_mutex_lock(&s->lock);
	s->committed = false;
	pthread_mutex_unlock(&s->lock);
}

static unsigned ms_left(uint64_t deadline, unsigned most)
{
	uint64_t now = mig_now_ns(), ms = now < deadline ? (deadline - now) / 1000000 : 0;

	return ms < most ? (unsigned)ms : most;
}

static int commit_send(struct mig_source *s, uint64_t deadline, struct err *e)
{
	int r;

	s->state = SOURCE_COMMIT;
	r = mig_source_release(s, e);
	if (r == 0)
		r = mig_source_say_id(s, STREAM_COMMIT, e);
	if (r == 0)
		r = mig_source_wait(s, ms_left(deadline, MIG_RUNNING_MS), "COMMIT", e);
	return r;
}

static int reconnect(struct mig_source *s, struct err *e)
{
	struct chan *c = NULL;
	int r = s->params.reconnect(s->params.ctx, &c, e);

	if (r < 0)
		return err_wrap(e, r, "reaching the target again");
	chan_free(s->c);
	s->c = c;
	s->broken = false;
	s->state = SOURCE_RESUME;
	return mig_source_say_hello(s, STREAM_ROLE_RESUME, e);
}

/* On a new connection: what does the target hold? If it waits for COMMIT, here it is. */
static int resume(struct mig_source *s, uint64_t deadline, struct err *e)
{
	int r = reconnect(s, e);

	if (r == 0)
		r = mig_source_wait(s, ms_left(deadline, MIG_HELLO_MS), "HELLO", e);
	if (r == 0)
		r = mig_source_say_id(s, STREAM_QUERY, e);
	if (r == 0)
		r = mig_source_wait(s, ms_left(deadline, MIG_HELLO_MS), "QUERY", e);
	if (r < 0 || s->state == SOURCE_DONE)
		return r;
	return commit_send(s, deadline, e);
}

static int unknown(struct mig_source *s, int r, struct err *e)
{
	if (s->state == SOURCE_ENDED && s->abort.code == STREAM_ABORT_UNKNOWN_ID)
		return err_wrap(e, r,
				"the guest was given up here, and the target does not know it any "
				"more; look whether it runs there, otherwise it is lost");
	if (s->state == SOURCE_ENDED)
		return err_wrap(e, r,
				"the guest was given up here, and the target gave it up, too");
	return err_wrap(e, r,
			"the guest was given up here, and the target did not say that it runs it; "
			"look there: it runs it, or holds it until adopted");
}

int mig_source_commit(struct mig_source *s, struct err *e)
{
	uint64_t deadline;
	struct err ignored;
	int r = commit_claim(s, e);

	if (r < 0)
		return r;
	r = s->path.send->finish(&s->path, e);
	if (r < 0) {
		commit_unclaim(s);
		return r;
	}
	mig_source_phase(s, MIG_PHASE_COMMIT);
	deadline = mig_deadline(s->params.commit_wait_ms);
	r = commit_send(s, deadline, e);
	while (r < 0 && s->state != SOURCE_ENDED && mig_now_ns() < deadline) {
		const struct timespec pause = { 0, MIG_RETRY_MS * 1000000l };

		nanosleep(&pause, NULL);
		r = resume(s, deadline, e);
	}
	if (r < 0)
		return unknown(s, r, e);
	/* Only spares the target its wait; if it is lost nothing else is. */
	if (mig_source_say_id(s, STREAM_DONE, &ignored) < 0)
		s->broken = true;
	return 0;
}

void mig_source_disown(struct mig_source *s, const char *reason)
{
	uint8_t space[STREAM_REASON_MAX + 64];
	struct wr head = wr_of(space, sizeof(space));
	struct err ignored;

	if (reconnect(s, &ignored) < 0 || mig_source_wait(s, MIG_ABORT_MS, "HELLO", &ignored) < 0 ||
	    stream_abort_put(&head, STREAM_ABORT_FAILED, reason, &ignored) < 0 ||
	    mig_source_say(s, STREAM_ABORT, &head, &ignored) < 0)
		return;
}
