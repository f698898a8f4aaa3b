/* SPDX-License-Identifier: Apache-2.0 */

/* Two ends in one process, each with a bounded queue of what the other sent. */

#include "chan/chan.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "chan/frame.h"
#include "chan/io.h"

#define QUEUE_MESSAGES 64
#define QUEUE_BYTES (32u << 20)

struct node {
	struct node *next;
	uint32_t type;
	size_t head_len, body_len;
	uint8_t bytes[]; /* head, then body */
};

struct queue {
	struct node *first, **last;
	size_t messages, bytes;
};

struct pair;

struct end {
	struct chan c;
	struct pair *pair;
	struct end *other;
	struct queue in;
	struct node *current; /* what the last recv handed out; the receiver's */
	bool aborted, freed;
};

struct pair {
	pthread_mutex_t lock; /* leaf; everything above but current */
	pthread_cond_t moved;
	struct end end[2];
};

static struct end *end_of(struct chan *c)
{
	return (struct end *)c;
}

static size_t node_len(const struct node *n)
{
	return CHAN_FRAME_LEN + n->head_len + n->body_len;
}

static struct node *node_new(const struct chan_msg *m)
{
	struct node *n = malloc(sizeof(*n) + m->head_len + m->body_len);

	if (!n)
		return NULL;
	*n = (struct node){ .type = m->type, .head_len = m->head_len, .body_len = m->body_len };
	if (m->head_len)
		memcpy(n->bytes, m->head, m->head_len);
	if (m->body_len)
		memcpy(n->bytes + m->head_len, m->body, m->body_len);
	return n;
}

static void queue_init(struct queue *q)
{
	*q = (struct queue){ 0 };
	q->last = &q->first;
}

static void queue_put(struct queue *q, struct node *n)
{
	*q->last = n;
	q->last = &n->next;
	q->messages++;
	q->bytes += node_len(n);
}

static struct node *queue_get(struct queue *q)
{
	struct node *n = q->first;

	if (!n)
		return NULL;
	q->first = n->next;
	if (!q->first)
		q->last = &q->first;
	q->messages--;
	q->bytes -= node_len(n);
	return n;
}

static bool queue_full(const struct queue *q)
{
	return q->messages >= QUEUE_MESSAGES || q->bytes >= QUEUE_BYTES;
}

/* Under the lock. -ETIMEDOUT when the time is over. */
static int moved_wait(struct pair *p, int64_t deadline)
{
	struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };

	if (deadline == CHAN_IO_FOREVER)
		return -pthread_cond_wait(&p->moved, &p->lock);
	return -pthread_cond_timedwait(&p->moved, &p->lock, &ts);
}

/* Under the lock. 0: there is room. */
static int room_wait(struct end *me)
{
	struct end *to = me->other;

	while (!me->aborted && !to->aborted && !to->freed && queue_full(&to->in)) {
		int r = moved_wait(me->pair, chan_io_deadline(CHAN_STALL_MS));

		if (r < 0)
			return r;
	}
	return me->aborted ? -ECANCELED : to->aborted || to->freed ? -ECONNRESET : 0;
}

/* Under the lock. 0: there is a message, or -ECONNRESET: none and there will be none. */
static int message_wait(struct end *me, int64_t deadline)
{
	struct end *from = me->other;

	while (!me->aborted && !me->in.first && !from->aborted && !from->freed) {
		int r = moved_wait(me->pair, deadline);

		if (r < 0)
			return r;
	}
	return me->aborted ? -ECANCELED : me->in.first ? 0 : -ECONNRESET;
}

static int failed(int r, struct err *e)
{
	return err_set(e, r, "%s",
		       r == -ECANCELED   ? "broken off"
		       : r == -ETIMEDOUT ? "nothing within the time limit"
					 : "the peer is gone");
}

static int mem_send(struct chan *c, const struct chan_msg *m, struct err *e)
{
	struct end *me = end_of(c);
	struct node *n = node_new(m);
	int r;

	if (!n)
		return err_set(e, -ENOMEM, "no memory for a message");
	c->bytes_sent += node_len(n);
	pthread_mutex_lock(&me->pair->lock);
	r = room_wait(me);
	if (r == 0) {
		queue_put(&me->other->in, steal_ptr(&n));
		pthread_cond_broadcast(&me->pair->moved);
	}
	pthread_mutex_unlock(&me->pair->lock);
	free(n);
	return r < 0 ? failed(r, e) : 0;
}

static int mem_recv(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		    struct err *e)
{
	struct end *me = end_of(c);
	struct node *n = NULL;
	int r;

	pthread_mutex_lock(&me->pair->lock);
	r = message_wait(me, chan_io_deadline(timeout_ms));
	if (r == 0) {
		n = queue_get(&me->in);
		pthread_cond_broadcast(&me->pair->moved);
	}
	pthread_mutex_unlock(&me->pair->lock);
	if (r < 0)
		return failed(r, e);
	free(me->current);
	me->current = n;
	c->bytes_received += node_len(n);
	*m = (struct chan_msg){ .type = n->type,
				.head = n->bytes,
				.head_len = n->head_len,
				.body = n->bytes + n->head_len,
				.body_len = n->body_len };
	if (n->body_len && n->body_len <= room.len) {
		memcpy(room.p, m->body, n->body_len);
		m->body = room.p;
	}
	return 0;
}

static int mem_pending(struct chan *c, int timeout_ms, struct err *e)
{
	struct end *me = end_of(c);
	int r;

	pthread_mutex_lock(&me->pair->lock);
	r = message_wait(me, chan_io_deadline(timeout_ms));
	pthread_mutex_unlock(&me->pair->lock);
	if (r == -ETIMEDOUT)
		return 0;
	return r == 0 || r == -ECONNRESET ? 1 : failed(r, e);
}

static void mem_abort(struct chan *c)
{
	struct end *me = end_of(c);

	pthread_mutex_lock(&me->pair->lock);
	me->aborted = true;
	pthread_cond_broadcast(&me->pair->moved);
	pthread_mutex_unlock(&me->pair->lock);
}

static void pair_free(struct pair *p)
{
	pthread_cond_destroy(&p->moved);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void mem_free(struct chan *c)
{
	struct end *me = end_of(c);
	struct pair *p = me->pair;
	struct node *n;
	bool last;

	pthread_mutex_lock(&p->lock);
	me->freed = true;
	last = me->other->freed;
	while ((n = queue_get(&me->in)))
		free(n);
	free(me->current);
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock); /* not the last: the other end may free both from here on */
	if (last)
		pair_free(p);
}

static const struct chan_ops mem_ops = {
	.send = mem_send,
	.recv = mem_recv,
	.pending = mem_pending,
	.abort = mem_abort,
	.free = mem_free,
};

static int sync_init(struct pair *p)
{
	pthread_condattr_t attr;
	int r = pthread_condattr_init(&attr);

	if (r)
		return -r;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	r = pthread_cond_init(&p->moved, &attr);
	pthread_condattr_destroy(&attr);
	return r ? -r : -pthread_mutex_init(&p->lock, NULL);
}

int chan_mem_pair(struct chan **a, struct chan **b, struct err *e)
{
	auto_mem struct pair *p = calloc(1, sizeof(*p));
	int r = p ? sync_init(p) : -ENOMEM;

	if (r < 0)
		return err_set(e, r, "no memory for a pair of channels");
	for (unsigned i = 0; i < 2; i++) {
		struct end *me = &p->end[i];

		me->c.ops = &mem_ops;
		me->pair = p;
		me->other = &p->end[!i];
		queue_init(&me->in);
		snprintf(me->c.peer, sizeof(me->c.peer), "mem %c", i ? 'a' : 'b');
	}
	*a = &p->end[0].c;
	*b = &p->end[1].c;
	(void)steal_ptr(&p);
	return 0;
}
