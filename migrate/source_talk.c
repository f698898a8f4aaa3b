/* SPDX-License-Identifier: Apache-2.0 */

/* What a source says to the target, and what it takes from it in which state. */

#include "migrate/source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "stream/verdict.h"

void mig_source_phase(struct mig_source *s, enum mig_phase phase)
{
	pthread_mutex_lock(&s->lock);
	s->stats.phase = phase;
	pthread_mutex_unlock(&s->lock);
}

/* --- handlers -------------------------------------------------------------------------------- */

static int on_hello_reply(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_source *s = self;
	struct stream_hello_reply reply;
	int r = stream_hello_reply_get(m->head, m->head_len, &reply, e);

	if (r < 0)
		return r;
	if (!reply.pdh)
		return err_set(e, -EPROTO, "HELLO_REPLY: without certificates");
	memcpy(s->peer.pdh, reply.pdh, sizeof(s->peer.pdh));
	memcpy(s->peer.plat, reply.plat, sizeof(s->peer.plat));
	memcpy(s->peer.amd, reply.amd, reply.amd_len);
	s->peer.amd_len = reply.amd_len;
	s->peer_ready = reply.nonce;
	if (reply.nonce)
		memcpy(s->peer_nonce, reply.nonce, sizeof(s->peer_nonce));
	return 0;
}

static int on_resume_reply(void *self, const struct chan_msg *m, struct err *e)
{
	struct stream_hello_reply reply;

	(void)self;
	return stream_hello_reply_get(m->head, m->head_len, &reply, e);
}

static int on_ready(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_source *s = self;
	struct stream_ready ready;
	int r = stream_ready_get(m->head, m->head_len, &ready, e);

	if (r < 0)
		return r;
	if (memcmp(ready.digest, s->ready, sizeof(s->ready)) != 0)
		return err_set(e, -EPROTO, "READY: the target has another digest");
	return 0;
}

static int id_check(const struct mig_source *s, const uint8_t *id, const char *what, struct err *e)
{
	if (memcmp(id, s->id, sizeof(s->id)) != 0)
		return err_set(e, -EPROTO, "%s: of another migration", what);
	return 0;
}

static int on_running(void *self, const struct chan_msg *m, struct err *e)
{
	struct stream_id id;
	int r = stream_id_get(m->head, m->head_len, STREAM_RUNNING, &id, e);

	return r < 0 ? r : id_check(self, id.id, "RUNNING", e);
}

static int on_answer(void *self, const struct chan_msg *m, struct err *e)
{
	struct stream_answer answer;
	int r = stream_answer_get(m->head, m->head_len, &answer, e);

	if (r < 0 || (r = id_check(self, answer.id, "ANSWER", e)) < 0)
		return r;
	if (answer.phase == STREAM_PHASE_PASSES)
		return err_set(e, -EPROTO, "ANSWER: it waits for pages, after READY");
	return answer.phase == STREAM_PHASE_RUNNING;
}

/* The end of a pass: the target has taken all of it. */
static int on_taken(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_source *s = self;
	struct stream_answer answer;
	int r = stream_answer_get(m->head, m->head_len, &answer, e);

	if (r < 0 || (r = id_check(s, answer.id, "ANSWER", e)) < 0)
		return r;
	if (answer.phase != STREAM_PHASE_PASSES || !s->asked)
		return err_set(e, -EPROTO, "ANSWER: phase %" PRIu32 " in a pass%s", answer.phase,
			       s->asked ? "" : ", without a question");
	s->asked = false;
	return 0;
}

static int on_verdict(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_source *s = self;
	struct lines differences;
	int r = stream_verdict_get(m->head, m->head_len, &differences, e);

	if (r < 0)
		return r;
	if (!differences.n && !s->params.ask)
		return err_set(e, -EPROTO, "VERDICT: nothing is wrong, and nobody asked");
	pthread_mutex_lock(&s->lock);
	s->differences = differences;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int on_abort(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_source *s = self;

	return stream_abort_get(m->head, m->head_len, &s->abort, e);
}

static const char *const state_names[SOURCE_STATES] = {
	[SOURCE_NONE] = "NONE",     [SOURCE_HELLO] = "HELLO", [SOURCE_SENDING] = "SENDING",
	[SOURCE_SENT] = "SENT",     [SOURCE_READY] = "READY", [SOURCE_COMMIT] = "COMMIT",
	[SOURCE_RESUME] = "RESUME", [SOURCE_ASKED] = "ASKED", [SOURCE_DONE] = "DONE",
	[SOURCE_ENDED] = "ENDED",
};

static const struct mig_step steps[SOURCE_STATES][STREAM_TYPES] = {
	[SOURCE_HELLO] = { [STREAM_HELLO_REPLY] = { on_hello_reply, SOURCE_SENDING, 0 },
			   [STREAM_ABORT] = { on_abort, SOURCE_ENDED, 0 } },
	[SOURCE_SENDING] = { [STREAM_ANSWER] = { on_taken, SOURCE_SENDING, 0 },
			     [STREAM_VERDICT] = { on_verdict, SOURCE_SENDING, 0 },
			     [STREAM_MANIFEST] = { mig_source_receipt, SOURCE_SENDING, 0 },
			     [STREAM_ABORT] = { on_abort, SOURCE_ENDED, 0 } },
	[SOURCE_SENT] = { [STREAM_READY] = { on_ready, SOURCE_READY, 0 },
			  [STREAM_MANIFEST] = { mig_source_receipt, SOURCE_SENT, 0 },
			  [STREAM_ABORT] = { on_abort, SOURCE_ENDED, 0 } },
	[SOURCE_READY] = { [STREAM_ABORT] = { on_abort, SOURCE_ENDED, 0 } },
	[SOURCE_COMMIT] = { [STREAM_RUNNING] = { on_running, SOURCE_DONE, 0 },
			    [STREAM_ABORT] = { on_abort, SOURCE_ENDED, 0 } },
	[SOURCE_RESUME] = { [STREAM_HELLO_REPLY] = { on_resume_reply, SOURCE_ASKED, 0 },
			    [STREAM_ABORT] = { on_abort, SOURCE_ENDED, 0 } },
	[SOURCE_ASKED] = { [STREAM_ANSWER] = { on_answer, SOURCE_COMMIT, SOURCE_DONE },
			   [STREAM_ABORT] = { on_abort, SOURCE_ENDED, 0 } },
};

const struct mig_table mig_source_table = { SOURCE_STATES, state_names, steps };

/* --- receiving ------------------------------------------------------------------------------- */

static int cancelled(struct mig_source *s, struct err *e)
{
	bool yes;

	pthread_mutex_lock(&s->lock);
	yes = s->cancelled && !s->committed;
	pthread_mutex_unlock(&s->lock);
	return yes ? err_set(e, -ECANCELED, "cancelled") : 0;
}

static int take(struct mig_source *s, struct err *e)
{
	struct chan_msg m = { 0 };
	int r = chan_recv(s->c, &m, MIG_STOPPED_MS, e);

	if (r < 0) {
		s->broken = true;
		return r;
	}
	r = mig_table_step(&mig_source_table, &s->state, s, &m, e);
	if (r < 0)
		return err_wrap(e, r, "from the target");
	if (s->state == SOURCE_ENDED)
		return err_set(e, -ECONNABORTED, "the target: %s", s->abort.reason);
	return 0;
}

int mig_source_poll(struct mig_source *s, struct err *e)
{
	int r = cancelled(s, e);

	if (r < 0)
		return r;
	r = chan_pending(s->c, 0, e);
	if (r < 0)
		s->broken = true;
	return r == 1 ? take(s, e) : r;
}

int mig_source_wait(struct mig_source *s, unsigned timeout_ms, const char *what, struct err *e)
{
	uint64_t deadline = mig_deadline(timeout_ms);
	int r;

	do {
		r = cancelled(s, e);
		if (r < 0)
			return r;
		r = chan_pending(s->c, MIG_POLL_MS, e);
		if (r < 0) {
			s->broken = true;
			return r;
		}
		if (r == 1)
			return take(s, e);
	} while (mig_now_ns() < deadline);
	s->broken = true;
	return err_set(e, -ETIMEDOUT, "the target did not answer %s within %u ms", what,
		       timeout_ms);
}

/* --- sending --------------------------------------------------------------------------------- */

int mig_source_say(struct mig_source *s, uint32_t type, const struct wr *head, struct err *e)
{
	const struct chan_msg m = { .type = type, .head = head->p, .head_len = head->len };
	int r = chan_send(s->c, &m, e);

	if (r < 0)
		s->broken = true;
	return r;
}

int mig_source_say_id(struct mig_source *s, uint32_t type, struct err *e)
{
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_id id;
	int r;

	memcpy(id.id, s->id, sizeof(id.id));
	r = stream_id_put(&head, type, &id, e);
	return r < 0 ? r : mig_source_say(s, type, &head, e);
}

int mig_source_say_hello(struct mig_source *s, uint32_t role, struct err *e)
{
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_hello hello = { .version_min = STREAM_VERSION_MIN,
				      .version_max = STREAM_VERSION_MAX,
				      .role = role,
				      .capabilities = s->vm->handler ? STREAM_CAP_HANDLER : 0 };
	int r;

	memcpy(hello.id, s->id, sizeof(hello.id));
	r = stream_hello_put(&head, &hello, e);
	return r < 0 ? r : mig_source_say(s, STREAM_HELLO, &head, e);
}

/* Writing failed: the target may have said why before it went. */
static int last_words(struct mig_source *s, int r, struct err *e)
{
	struct err said;

	s->broken = true;
	if (chan_pending(s->c, MIG_POLL_MS, &said) == 1 && take(s, &said) == -ECONNABORTED) {
		*e = said;
		return -ECONNABORTED;
	}
	return r;
}

static unsigned stall_ms(const struct mig_source *s)
{
	return s->stopped ? MIG_STOPPED_MS : MIG_STALL_MS;
}

int mig_source_batch(struct mig_source *s, struct mig_batch **b, struct wr *head, struct err *e)
{
	uint64_t deadline = mig_deadline(stall_ms(s));

	for (;;) {
		int r = mig_source_poll(s, e);

		if (r < 0)
			return r;
		r = mig_writer_get(&s->writer, MIG_POLL_MS, b, e);
		if (r == 0)
			break;
		if (r != -EAGAIN)
			return last_words(s, r, e);
		if (mig_now_ns() > deadline) {
			s->broken = true;
			return err_set(e, -ETIMEDOUT, "the target took nothing for %u ms",
				       stall_ms(s));
		}
	}
	*head = wr_of((*b)->head, STREAM_HEAD_MAX);
	return 0;
}

void mig_source_send(struct mig_source *s, struct mig_batch *b, uint32_t type,
		     const struct wr *head, size_t body_len)
{
	b->type = type;
	b->head_len = head->len;
	b->body_len = body_len;
	mig_writer_put(&s->writer, b);
}

int mig_source_flush(struct mig_source *s, struct err *e)
{
	/* What is under way is a few batches, each of which may take as long as one. */
	uint64_t deadline = mig_deadline(stall_ms(s) * MIG_BATCHES);

	for (;;) {
		int r = mig_writer_flush(&s->writer, MIG_POLL_MS, e);

		if (r == 0)
			return 0;
		if (r != -EAGAIN)
			return last_words(s, r, e);
		r = mig_source_poll(s, e);
		if (r < 0)
			return r;
		if (mig_now_ns() > deadline) {
			s->broken = true;
			return err_set(e, -ETIMEDOUT, "the target took nothing for %u ms",
				       stall_ms(s) * MIG_BATCHES);
		}
	}
}
