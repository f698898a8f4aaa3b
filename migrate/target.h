/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside a target: target.c (its life, connections, who may end it), target_serve.c (one
 * connection), target_take.c (what it takes from the source in which state), prefault.c.
 */

#include "migrate/limits.h"
#include "migrate/mem.h"
#include "migrate/migrate.h"
#include "migrate/path.h"
#include "migrate/prefault.h"
#include "migrate/pump.h"
#include "migrate/table.h"
#include "stream/end.h"
#include "stream/hello.h"
#include "stream/list.h"
#include "stream/state.h"

enum target_state {
	TARGET_NONE,
	TARGET_WAIT,
	TARGET_QUESTION,
	TARGET_SESSION,
	TARGET_STARTED,
	TARGET_PASSES,
	TARGET_VCPUS,
	TARGET_SEALED,
	TARGET_LIST,
	TARGET_LISTED,
	TARGET_LOADING,
	TARGET_STATED,
	TARGET_READY,
	TARGET_HELD,
	TARGET_RUNNING,
	TARGET_LINGER,
	TARGET_DONE,
	TARGET_ENDED,
	TARGET_STATES
};

struct mig_target {
	struct mig_vm *vm;             /* borrowed */
	struct sev_platform *platform; /* borrowed */
	struct mig_target_params params;

	pthread_mutex_t lock; /* a leaf; guards the next five */
	struct mig_stats stats;
	bool cancelled;
	bool adopted;
	bool held;   /* in TARGET_HELD: nobody but the operator or the source decides */
	bool sealed; /* READY was claimed: cancel has no effect unless held */

	/* All else belongs to the thread in mig_target_run(). */
	unsigned state;
	struct chan *c;      /* owned; NULL between connections */
	bool lost;           /* an answer could not be sent: the connection is gone */
	uint32_t abort_code; /* for the ABORT that says why, or 0: as the error says */
	uint8_t id[STREAM_ID_LEN];
	struct stream_abort abort; /* what the source said, in TARGET_ENDED */

	struct mig_mem mem;
	struct mig_path path;
	bool verified;              /* by the guest's handler: all that was sent is here */
	struct chan_digest *digest; /* owned; NULL until START */
	struct mig_pump reader;
	struct mig_batch *batch; /* the reader's, in our hands */
	struct mig_prefault prefault;
	uint32_t pass;
	bool final;
	bool es;        /* the vCPUs come sealed ... */
	uint32_t vcpus; /* ... and this many are here */
	uint64_t pass_begin_ns, pass_pages;
	struct ranges shared;
	uint64_t list_end;
	struct buf blob;
	uint64_t blob_total;
	bool finished; /* RECEIVE_FINISH was done */
	uint64_t begin_ns, linger_until;
};

/* --- target_take.c --- */

void mig_target_phase(struct mig_target *t, enum mig_phase phase);
/* Send a small message; if that fails, t->lost. */
void mig_target_say(struct mig_target *t, uint32_t type, const struct wr *head);
void mig_target_say_abort(struct mig_target *t, uint32_t code, const char *reason);
/* RECEIVE_FINISH and run. Repeatable. */
int must_check mig_target_take_over(struct mig_target *t, struct err *e);

/* --- target_ask.c --- */

/* Make the VM one that the guest of this START can come to. -ENOTSUP: it has other parts; the
 * source was told all of them. */
int must_check mig_target_accept(struct mig_target *t, const struct stream_start *m, struct err *e);
/* START from a source that only asks: VERDICT, and nothing has changed. */
int must_check mig_target_question(void *self, const struct chan_msg *m, struct err *e);

/* --- target_handler.c --- */

/* At HELLO: the handler, if there is one, waits for a source's. */
void mig_target_handler_offer(struct mig_target *t);
/* At START: which way it is, and that it can be. */
int must_check mig_target_way(struct mig_target *t, const struct stream_start *m, struct err *e);
/* MANIFEST in STATED, and from READY on. */
int must_check mig_target_manifest(void *self, const struct chan_msg *m, struct err *e);
int must_check mig_target_release(void *self, const struct chan_msg *m, struct err *e);
/* At END: was everything proved that must be? */
/* May the held guest run by what came so far? */
int must_check mig_target_released(const struct mig_target *t, struct err *e);
int must_check mig_target_proved(const struct mig_target *t, struct err *e);

/* --- target_serve.c --- */

/* One connection, to its end. The state says what that means. */
int must_check mig_target_serve(struct mig_target *t, struct err *e);
