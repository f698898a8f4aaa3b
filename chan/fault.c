/* SPDX-License-Identifier: Apache-2.0 */

/* A channel whose k-th send breaks it. */

#include "chan/chan.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "chan/wire.h"

struct fault {
	struct chan c;
	struct chan *inner; /* owned */
	unsigned k;         /* sends left before the one that breaks; the sender's */
	enum chan_fault_at at;
	atomic_bool broken, aborted;
};

static struct fault *fault_of(struct chan *c)
{
	return (struct fault *)c;
}

static int state(struct fault *f, struct err *e)
{
	if (atomic_load(&f->aborted))
		return err_set(e, -ECANCELED, "broken off");
	if (atomic_load(&f->broken))
		return err_set(e, -ECONNRESET, "fault: the channel was broken");
	return 0;
}

/* Our own end of inner says -ECANCELED from here on; the peer reads what it got, then the end. */
static void break_now(struct fault *f, const struct chan_msg *m)
{
	struct err ignored;

	atomic_store(&f->broken, true);
	if (f->at == CHAN_FAULT_AFTER && f->inner->ops->send(f->inner, m, &ignored) < 0)
		f->at = CHAN_FAULT_BEFORE; /* the peer was gone already: all the same to us */
	if (f->at != CHAN_FAULT_MIDDLE || !chan_wire_cut(f->inner, m))
		chan_abort(f->inner);
}

static int fault_send(struct chan *c, const struct chan_msg *m, struct err *e)
{
	struct fault *f = fault_of(c);
	int r = state(f, e);

	if (r < 0)
		return r;
	if (f->k-- == 0) {
		break_now(f, m);
		return state(f, e);
	}
	r = f->inner->ops->send(f->inner, m, e);
	c->bytes_sent = f->inner->bytes_sent;
	return r;
}

static int fault_recv(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		      struct err *e)
{
	struct fault *f = fault_of(c);
	int r = state(f, e), now;

	if (r < 0)
		return r;
	r = f->inner->ops->recv(f->inner, m, room, timeout_ms, e);
	c->bytes_received = f->inner->bytes_received;
	/* Broken by the other thread's send meanwhile: that, not inner's -ECANCELED. */
	now = r == -ECANCELED ? state(f, e) : 0;
	return now < 0 ? now : r;
}

static int fault_pending(struct chan *c, int timeout_ms, struct err *e)
{
	struct fault *f = fault_of(c);
	int r;

	if (atomic_load(&f->broken) && !atomic_load(&f->aborted))
		return 1;
	r = f->inner->ops->pending(f->inner, timeout_ms, e);
	return r == -ECANCELED && !atomic_load(&f->aborted) ? 1 : r;
}

static void fault_abort(struct chan *c)
{
	struct fault *f = fault_of(c);

	atomic_store(&f->aborted, true);
	chan_abort(f->inner);
}

static void fault_free(struct chan *c)
{
	struct fault *f = fault_of(c);

	chan_free(f->inner);
	free(f);
}

static const struct chan_ops fault_ops = {
	.send = fault_send,
	.recv = fault_recv,
	.pending = fault_pending,
	.abort = fault_abort,
	.free = fault_free,
};

struct chan *chan_fault_wrap(struct chan *inner, unsigned k, enum chan_fault_at at)
{
	struct fault *f = calloc(1, sizeof(*f));

	if (!f) {
		chan_free(inner);
		return NULL;
	}
	f->c.ops = &fault_ops;
	memcpy(f->c.peer, inner->peer, sizeof(f->c.peer));
	f->inner = inner;
	f->k = k;
	f->at = at;
	return &f->c;
}
