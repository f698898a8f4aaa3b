/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/pump.h"

#include <errno.h>
#include <string.h>

_Static_assert(STREAM_HEAD_MAX <= CHAN_HEAD_MAX && STREAM_BODY_MAX <= CHAN_BODY_MAX,
	       "see doc/PROTOCOL.md");

bool mig_hashed(uint32_t type)
{
	return (type >= STREAM_START && type < STREAM_END) || type == STREAM_VMSA ||
	       type == STREAM_MANIFEST;
}

static int pump_init(struct mig_pump *p, const struct mig_pump_params *from, struct err *e)
{
	int r;

	*p = (struct mig_pump){ .c = from->c, .digest = from->digest };
	r = mig_queue_init(&p->empty, e);
	if (r < 0)
		return r;
	r = mig_queue_init(&p->full, e);
	if (r < 0) {
		mig_queue_fini(&p->empty);
		return r;
	}
	pthread_mutex_init(&p->lock, NULL);
	r = mig_batches_init(&p->batches, &p->empty, from->bodies, e);
	if (r < 0) {
		mig_queue_fini(&p->empty);
		mig_queue_fini(&p->full);
		pthread_mutex_destroy(&p->lock);
	}
	return r;
}

static void pump_fini(struct mig_pump *p)
{
	mig_batches_fini(&p->batches);
	mig_queue_fini(&p->empty);
	mig_queue_fini(&p->full);
	pthread_mutex_destroy(&p->lock);
}

static int pump_start(struct mig_pump *p, void *(*run)(void *), struct err *e)
{
	int r = pthread_create(&p->thread, NULL, run, p);

	if (r) {
		pump_fini(p);
		return err_set(e, -r, "no thread: %s", strerrordesc_np(r));
	}
	p->running = true;
	return 0;
}

static void note(struct mig_pump *p, int r, uint64_t bytes, const struct err *e)
{
	pthread_mutex_lock(&p->lock);
	p->bytes = bytes;
	if (r < 0) {
		p->failed = r;
		p->err = *e;
	}
	pthread_mutex_unlock(&p->lock);
}

/* Why no batch came: the thread failed, or ended, or there is none yet. */
static int reason(struct mig_pump *p, struct mig_queue *q, struct err *e)
{
	int r;

	pthread_mutex_lock(&p->lock);
	r = p->failed;
	if (r < 0)
		*e = p->err;
	pthread_mutex_unlock(&p->lock);
	if (r < 0)
		return r;
	return mig_queue_closed(q, 0) ? err_set(e, -EPIPE, "nothing more to come") : -EAGAIN;
}

static int write_batch(struct mig_pump *p, const struct mig_batch *b, struct err *e)
{
	const struct chan_msg m = { .type = b->type,
				    .head = b->head,
				    .head_len = b->head_len,
				    .body = b->body,
				    .body_len = b->body_len };
	int r = mig_hashed(m.type) ? chan_digest_add(p->digest, &m, e) : 0;

	return r < 0 ? r : chan_send(p->c, &m, e);
}

static void *writer_main(void *arg)
{
	struct mig_pump *p = arg;
	struct mig_batch *b;

	while ((b = mig_queue_get(&p->full, -1))) {
		struct err e;
		int r = write_batch(p, b, &e);

		note(p, r, p->c->bytes_sent, &e);
		if (r < 0)
			break;
		mig_queue_put(&p->empty, b);
	}
	mig_queue_close(&p->empty);
	return NULL;
}

int mig_writer_start(struct mig_pump *p, const struct mig_pump_params *from, struct err *e)
{
	int r = pump_init(p, from, e);

	p->ends_by = &p->full;
	return r < 0 ? r : pump_start(p, writer_main, e);
}

int mig_writer_get(struct mig_pump *p, int timeout_ms, struct mig_batch **out, struct err *e)
{
	struct mig_batch *b = mig_queue_get(&p->empty, timeout_ms);

	/* After a failure there may be empty batches left; they would go nowhere. */
	if (!b || mig_queue_closed(&p->empty, 0))
		return reason(p, &p->empty, e);
	b->head_len = b->body_len = 0;
	*out = b;
	return 0;
}

void mig_writer_put(struct mig_pump *p, struct mig_batch *b)
{
	mig_queue_put(&p->full, b);
}

int mig_writer_flush(struct mig_pump *p, int timeout_ms, struct err *e)
{
	return mig_queue_all(&p->empty, timeout_ms) ? 0 : reason(p, &p->empty, e);
}

static int read_batch(struct mig_pump *p, struct mig_batch *b, struct err *e)
{
	struct chan_msg m = { 0 };
	int r = chan_recv_into(p->c, &m, (struct chan_room){ b->body, STREAM_BODY_MAX },
			       p->stall_ms, e);

	if (r < 0)
		return r;
	if (m.head_len > STREAM_HEAD_MAX || m.body_len > STREAM_BODY_MAX)
		return err_set(e, -EPROTO, "message of type %u: head of %zu, body of %zu bytes",
			       m.type, m.head_len, m.body_len);
	b->type = m.type;
	b->head_len = m.head_len;
	b->body_len = m.body_len;
	if (m.head_len)
		memcpy(b->head, m.head, m.head_len);
	return mig_hashed(m.type) ? chan_digest_add(p->digest, &m, e) : 0;
}

static void *reader_main(void *arg)
{
	struct mig_pump *p = arg;
	struct mig_batch *b;

	while ((b = mig_queue_get(&p->empty, -1))) {
		struct err e;
		int r = read_batch(p, b, &e);
		bool last = r < 0 || (!mig_hashed(b->type) && b->type != STREAM_QUERY);

		note(p, r, p->c->bytes_received, &e);
		if (r == 0)
			mig_queue_put(&p->full, b);
		if (last)
			break;
	}
	mig_queue_close(&p->full);
	return NULL;
}

int mig_reader_start(struct mig_pump *p, const struct mig_pump_params *from, int stall_ms,
		     struct err *e)
{
	int r = pump_init(p, from, e);

	p->ends_by = &p->empty;
	p->stall_ms = stall_ms;
	return r < 0 ? r : pump_start(p, reader_main, e);
}

int mig_reader_get(struct mig_pump *p, int timeout_ms, struct mig_batch **out, struct err *e)
{
	struct mig_batch *b = mig_queue_get(&p->full, timeout_ms);

	if (!b)
		return reason(p, &p->full, e);
	*out = b;
	return 0;
}

void mig_reader_put(struct mig_pump *p, struct mig_batch *b)
{
	mig_queue_put(&p->empty, b);
}

uint64_t mig_pump_bytes(struct mig_pump *p)
{
	uint64_t n;

	pthread_mutex_lock(&p->lock);
	n = p->bytes;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* A writer ends when full was closed and is empty, a reader when empty was; each closes the other
 * queue on its way out. Closing both here would hide that, so only the one it waits for. */
void mig_pump_stop(struct mig_pump *p, int timeout_ms)
{
	if (!p->running)
		return;
	mig_queue_close(p->ends_by);
	if (!mig_queue_closed(p->ends_by == &p->full ? &p->empty : &p->full, timeout_ms))
		chan_abort(p->c);
	pthread_join(p->thread, NULL);
	p->running = false;
	pump_fini(p);
}
