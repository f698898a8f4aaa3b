/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Batches: a few message buffers made once, which go round between the thread that fills and the
 * one that empties them, through two queues. A queue has room for all batches there are, so putting
 * never waits.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/stream.h"

/* One is filled, one is written, and one is between them. */
#define MIG_BATCHES 3

struct mig_batch {
	uint32_t type;
	uint8_t *head; /* STREAM_HEAD_MAX bytes */
	uint8_t *body; /* STREAM_BODY_MAX bytes */
	size_t head_len, body_len;
};

struct mig_queue {
	pthread_mutex_t lock; /* a leaf */
	pthread_cond_t moved;
	struct mig_batch *slot[MIG_BATCHES];
	unsigned first, n;
	bool closed;
};

int must_check mig_queue_init(struct mig_queue *q, struct err *e);
void mig_queue_fini(struct mig_queue *q);
void mig_queue_put(struct mig_queue *q, struct mig_batch *b);
/* The oldest, waiting up to timeout_ms (negative: for ever). NULL: none in time, or closed and
 * empty. */
struct mig_batch *mig_queue_get(struct mig_queue *q, int timeout_ms);
/* Wait until all batches are in it. false: not in time, or closed. */
bool mig_queue_all(struct mig_queue *q, int timeout_ms);
/* Nothing will be put any more; what is in it can still be taken. */
void mig_queue_close(struct mig_queue *q);
/* Wait until it was closed. */
bool mig_queue_closed(struct mig_queue *q, int timeout_ms);

struct mig_batches {
	struct mig_batch v[MIG_BATCHES];
	uint8_t *memory; /* owned */
};

/* All of them are put into q. bodies: MIG_BATCHES of STREAM_BODY_MAX bytes to use, borrowed; NULL:
 * own ones. */
int must_check mig_batches_init(struct mig_batches *b, struct mig_queue *q, uint8_t *bodies,
				struct err *e);
void mig_batches_fini(struct mig_batches *b);
