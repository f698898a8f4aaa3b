/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "migrate/limits.h"

/* Bodies start on a page: the Secure Processor writes into them. */
#define HEAD_SPACE ((STREAM_HEAD_MAX + PAGE_LEN - 1) / PAGE_LEN * PAGE_LEN)
#define BATCH_SPACE ((size_t)HEAD_SPACE + STREAM_BODY_MAX)

int mig_queue_init(struct mig_queue *q, struct err *e)
{
	pthread_condattr_t attr;
	int r = pthread_condattr_init(&attr);

	*q = (struct mig_queue){ 0 };
	if (r)
		return err_set(e, -r, "no condition variable");
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	r = pthread_cond_init(&q->moved, &attr);
	pthread_condattr_destroy(&attr);
	if (r)
		return err_set(e, -r, "no condition variable");
	pthread_mutex_init(&q->lock, NULL);
	return 0;
}

void mig_queue_fini(struct mig_queue *q)
{
	pthread_cond_destroy(&q->moved);
	pthread_mutex_destroy(&q->lock);
}

/* Under the lock. false: the time is over. */
static bool moved_wait(struct mig_queue *q, uint64_t deadline)
{
	struct timespec ts = { (time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u) };

	if (deadline == UINT64_MAX)
		return pthread_cond_wait(&q->moved, &q->lock) == 0;
	return pthread_cond_timedwait(&q->moved, &q->lock, &ts) == 0;
}

static uint64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX : mig_deadline((unsigned)timeout_ms);
}

void mig_queue_put(struct mig_queue *q, struct mig_batch *b)
{
	pthread_mutex_lock(&q->lock);
	q->slot[(q->first + q->n++) % MIG_BATCHES] = b;
	pthread_cond_broadcast(&q->moved);
	pthread_mutex_unlock(&q->lock);
}

struct mig_batch *mig_queue_get(struct mig_queue *q, int timeout_ms)
{
	uint64_t deadline = deadline_of(timeout_ms);
	struct mig_batch *b = NULL;

	pthread_mutex_lock(&q->lock);
	while (q->n == 0 && !q->closed && moved_wait(q, deadline))
		;
	if (q->n) {
		b = q->slot[q->first];
		q->first = (q->first + 1) % MIG_BATCHES;
		q->n--;
	}
	pthread_mutex_unlock(&q->lock);
	return b;
}

bool mig_queue_all(struct mig_queue *q, int timeout_ms)
{
	uint64_t deadline = deadline_of(timeout_ms);
	bool all;

	pthread_mutex_lock(&q->lock);
	while (q->n < MIG_BATCHES && !q->closed && moved_wait(q, deadline))
		;
	all = q->n == MIG_BATCHES && !q->closed;
	pthread_mutex_unlock(&q->lock);
	return all;
}

void mig_queue_close(struct mig_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->moved);
	pthread_mutex_unlock(&q->lock);
}

bool mig_queue_closed(struct mig_queue *q, int timeout_ms)
{
	uint64_t deadline = deadline_of(timeout_ms);
	bool closed;

	pthread_mutex_lock(&q->lock);
	while (!q->closed && moved_wait(q, deadline))
		;
	closed = q->closed;
	pthread_mutex_unlock(&q->lock);
	return closed;
}

int mig_batches_init(struct mig_batches *b, struct mig_queue *q, uint8_t *bodies, struct err *e)
{
	*b = (struct mig_batches){ .memory = aligned_alloc(PAGE_LEN, MIG_BATCHES * BATCH_SPACE) };
	if (!b->memory)
		return err_set(e, -ENOMEM, "no memory for batches");
	for (unsigned i = 0; i < MIG_BATCHES; i++) {
		b->v[i].body = b->memory + i * BATCH_SPACE;
		b->v[i].head = b->v[i].body + STREAM_BODY_MAX;
		if (bodies)
			b->v[i].body = bodies + (size_t)i * STREAM_BODY_MAX;
		mig_queue_put(q, &b->v[i]);
	}
	return 0;
}

void mig_batches_fini(struct mig_batches *b)
{
	free(b->memory);
	b->memory = NULL;
}
