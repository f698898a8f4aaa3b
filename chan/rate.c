/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A channel that sends no more than so many bytes a second: a token bucket that may go into debt by
 * one message, so that a message larger than the bucket passes too. A send waits until the debt of
 * those before it is paid.
 */

#include "chan/chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chan/io.h"

#define NS_PER_S 1000000000ll
/* What may be sent at once after a pause: enough to bridge the scheduler, too little to see. */
#define BURST_NS (NS_PER_S / 100)

struct rate {
	struct chan c;
	struct chan *inner; /* owned */
	uint64_t limit;     /* bytes a second, not 0 */
	int64_t paid;       /* CLOCK_MONOTONIC, ns: when all that was sent is paid for */
	struct chan_io io;  /* no descriptor: only its abort */
};

static struct rate *rate_of(struct chan *c)
{
	return (struct rate *)c;
}

static int debt_wait(struct rate *r, struct err *e)
{
	int w;

	if (chan_io_now() >= r->paid && !chan_io_aborted(&r->io))
		return 0;
	w = chan_io_wait(&r->io, 0, r->paid, e);
	return w == -ETIMEDOUT ? 0 : w;
}

static void debt_add(struct rate *r, uint64_t bytes)
{
	int64_t earliest = chan_io_now() - BURST_NS;
	__int128 ns = (__int128)bytes * NS_PER_S / r->limit;

	if (r->paid < earliest)
		r->paid = earliest;
	if (ns > INT64_MAX - r->paid) /* a limit so low that it never comes */
		ns = INT64_MAX - 1 - r->paid;
	r->paid += (int64_t)ns;
}

static int rate_send(struct chan *c, const struct chan_msg *m, struct err *e)
{
	struct rate *r = rate_of(c);
	uint64_t before = r->inner->bytes_sent;
	int ret = debt_wait(r, e);

	if (ret == 0)
		ret = r->inner->ops->send(r->inner, m, e);
	debt_add(r, r->inner->bytes_sent - before);
	c->bytes_sent = r->inner->bytes_sent;
	return ret;
}

static int rate_recv(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		     struct err *e)
{
	struct chan *inner = rate_of(c)->inner;
	int r = inner->ops->recv(inner, m, room, timeout_ms, e);

	c->bytes_received = inner->bytes_received;
	return r;
}

static int rate_pending(struct chan *c, int timeout_ms, struct err *e)
{
	struct chan *inner = rate_of(c)->inner;

	return inner->ops->pending(inner, timeout_ms, e);
}

static void rate_abort(struct chan *c)
{
	chan_io_abort(&rate_of(c)->io);
	chan_abort(rate_of(c)->inner);
}

static void rate_free(struct chan *c)
{
	struct rate *r = rate_of(c);

	chan_free(r->inner);
	chan_io_fini(&r->io);
	free(r);
}

static const struct chan_ops rate_ops = {
	.send = rate_send,
	.recv = rate_recv,
	.pending = rate_pending,
	.abort = rate_abort,
	.free = rate_free,
};

struct chan *chan_rate_wrap(struct chan *inner, uint64_t bytes_per_second)
{
	struct rate *r = calloc(1, sizeof(*r));
	struct err e;

	if (!r || chan_io_init(&r->io, -1, true, &e) < 0) {
		chan_free(inner);
		free(r);
		return NULL;
	}
	r->c.ops = &rate_ops;
	memcpy(r->c.peer, inner->peer, sizeof(r->c.peer));
	r->inner = inner;
	r->limit = bytes_per_second ? bytes_per_second : UINT64_MAX;
	r->paid = chan_io_now() - BURST_NS;
	return &r->c;
}
