/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside a source: source.c (its life, what happens when it fails), source_talk.c (what the target
 * says), source_open.c (HELLO to START), passes.c (memory), switchover.c (from SEND_FINISH on).
 */

#include "migrate/limits.h"
#include "migrate/mem.h"
#include "migrate/migrate.h"
#include "migrate/path.h"
#include "migrate/pump.h"
#include "migrate/table.h"
#include "stream/end.h"
#include "stream/hello.h"

enum source_state {
	SOURCE_NONE,
	SOURCE_HELLO,   /* HELLO sent */
	SOURCE_SENDING, /* HELLO_REPLY received */
	SOURCE_SENT,    /* END sent */
	SOURCE_READY,   /* READY received */
	SOURCE_COMMIT,  /* COMMIT sent */
	SOURCE_RESUME,  /* HELLO sent on a new connection */
	SOURCE_ASKED,   /* QUERY sent */
	SOURCE_DONE,    /* it runs there */
	SOURCE_ENDED,   /* ABORT received */
	SOURCE_STATES
};

struct mig_source {
	struct mig_vm *vm;             /* borrowed */
	struct sev_platform *platform; /* borrowed */
	struct mig_source_params params;

	pthread_mutex_t lock; /* a leaf; guards the next four */
	struct mig_stats stats;
	struct lines differences; /* the target's */
	bool cancelled;
	bool committed; /* SEND_FINISH was issued */

	/* All else belongs to the thread in mig_source_run(). */
	struct chan *c; /* owned */
	unsigned state;
	bool broken; /* the channel failed us */
	bool asked;  /* QUERY sent in a pass, not answered yet */
	uint8_t id[STREAM_ID_LEN];
	struct stream_abort abort; /* what the target said, in SOURCE_ENDED */
	struct sev_peer_certs peer;
	bool peer_ready; /* its guest's handler waits for ours, with this: */
	uint8_t peer_nonce[STREAM_NONCE_LEN];
	uint8_t ready[STREAM_DIGEST_LEN];

	struct mig_mem mem;
	struct mig_path path;
	struct chan_digest *digest; /* owned */
	struct mig_pump writer;
	bool send_started, log_on, stopped;
	bool es; /* the guest's vCPUs are sealed, too */
	uint64_t begin_ns, stop_ns, fixed_ns;

	struct mig_bitmap now;   /* pages of this pass */
	struct mig_bitmap ever;  /* pages of any pass */
	struct mig_bitmap there; /* scratch: populated pages */
	struct ranges shared;
	struct stream_private_entry private_v[STREAM_BATCH_PAGES];
	struct stream_shared_entry shared_v[STREAM_BATCH_PAGES];
	uint32_t private_n, shared_n;
	uint32_t pass;
	uint64_t send_rate;
};

/* --- source_talk.c --- */

/* Was it cancelled? Has the target said anything by itself, that is ABORT? 0: neither. */
int must_check mig_source_poll(struct mig_source *s, struct err *e);
/* Wait for one message and take it by the table. what: for the error. */
int must_check mig_source_wait(struct mig_source *s, unsigned timeout_ms, const char *what,
			       struct err *e);
/* Send a small message that has a head only. No writer may run. */
int must_check mig_source_say(struct mig_source *s, uint32_t type, const struct wr *head,
			      struct err *e);
int must_check mig_source_say_id(struct mig_source *s, uint32_t type, struct err *e);
int must_check mig_source_say_hello(struct mig_source *s, uint32_t role, struct err *e);
/* An empty batch and a cursor over its head; send it when it is filled. */
int must_check mig_source_batch(struct mig_source *s, struct mig_batch **b, struct wr *head,
				struct err *e);
void mig_source_send(struct mig_source *s, struct mig_batch *b, uint32_t type,
		     const struct wr *head, size_t body_len);
/* All batches are written. */
int must_check mig_source_flush(struct mig_source *s, struct err *e);
void mig_source_phase(struct mig_source *s, enum mig_phase phase);

/* --- source_way.c --- */

/* Which way private pages go; policy is the guest's. */
int must_check mig_source_way(struct mig_source *s, uint32_t policy, struct err *e);
/* The handlers' proofs; nothing to do where no handler is at work. */
int must_check mig_source_manifest(struct mig_source *s, struct err *e);
int must_check mig_source_receipt(void *self, const struct chan_msg *m, struct err *e);
int must_check mig_source_release(struct mig_source *s, struct err *e);

/* --- source_open.c --- */

/* From HELLO to START: afterwards the target waits for pages. */
int must_check mig_source_open(struct mig_source *s, struct err *e);

/* Instead of that: what would the target say to START? */
int must_check mig_source_question(struct mig_source *s, struct err *e);

/* --- passes.c --- */

/* Afterwards the guest is stopped and all its pages are with the target. */
int must_check mig_source_passes(struct mig_source *s, struct err *e);
/* The guest's vCPUs stop; remembers since when, and whether they had been running. */
int must_check mig_source_stop_guest(struct mig_source *s, struct err *e);
/* The pages that may hold data, their status, and a fresh log; before the first pass. */
int must_check mig_source_survey(struct mig_source *s, struct err *e);

/* --- switchover.c --- */

/* vCPUs, list, state, END; until the target says READY. */
int must_check mig_source_finish(struct mig_source *s, struct err *e);
/* 0: moved. Otherwise s->committed says whether the guest may run here. */
int must_check mig_source_commit(struct mig_source *s, struct err *e);
/* The target may be holding what it got; tell it on a new connection that this is over. */
void mig_source_disown(struct mig_source *s, const char *reason);
