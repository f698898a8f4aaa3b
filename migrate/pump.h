/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A thread between the channel and whoever encrypts or decrypts pages, so that both go on at the
 * same time. While a writer runs it is the only one that sends on its channel, and a reader the
 * only one that receives. Both keep the digest of what passes (mig_hashed()).
 */

#include "chan/chan.h"
#include "chan/digest.h"
#include "migrate/queue.h"

struct mig_pump {
	struct chan *c;             /* borrowed */
	struct chan_digest *digest; /* borrowed */
	struct mig_batches batches;
	struct mig_queue empty, full;
	struct mig_queue *ends_by; /* closing it ends the thread */
	int stall_ms;              /* reader: between two messages */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* guards the rest; a leaf */
	int failed;
	struct err err;
	uint64_t bytes; /* on the wire so far */
};

/* Does the digest cover it? */
bool mig_hashed(uint32_t type);

/* All borrowed. */
struct mig_pump_params {
	struct chan *c;
	struct chan_digest *digest;
	uint8_t *bodies; /* where batches have theirs (migrate/queue.h), or NULL */
};

int must_check mig_writer_start(struct mig_pump *p, const struct mig_pump_params *from,
				struct err *e);
/* A batch to fill. -EAGAIN: none is empty yet; otherwise why writing failed. */
int must_check mig_writer_get(struct mig_pump *p, int timeout_ms, struct mig_batch **out,
			      struct err *e);
void mig_writer_put(struct mig_pump *p, struct mig_batch *b);
/* All is written. -EAGAIN: not yet. */
int must_check mig_writer_flush(struct mig_pump *p, int timeout_ms, struct err *e);

/* Reads up to END, ABORT or what is not due in passes, and ends. */
int must_check mig_reader_start(struct mig_pump *p, const struct mig_pump_params *from,
				int stall_ms, struct err *e);
/* The next message. -EAGAIN: none yet; otherwise why reading failed. */
int must_check mig_reader_get(struct mig_pump *p, int timeout_ms, struct mig_batch **out,
			      struct err *e);
void mig_reader_put(struct mig_pump *p, struct mig_batch *b);

uint64_t mig_pump_bytes(struct mig_pump *p);
/* End the thread; what is still on its way after timeout_ms is broken off with chan_abort(). */
void mig_pump_stop(struct mig_pump *p, int timeout_ms);
