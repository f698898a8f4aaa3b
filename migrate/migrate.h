/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A migration, seen by whoever asks for one. The protocol and its state tables are in
 * doc/PROTOCOL.md; the rule above all others: until COMMIT is sent the source owns the guest and
 * any failure leaves it running there; after SEND_FINISH the source cannot run it; an outcome a
 * side cannot know is reported as unknown and resolved by asking the other side, never guessed.
 *
 * A source or target object serves one migration. _run() blocks in the caller's thread; _stats()
 * and _cancel() come from any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "chan/chan.h"
#include "migrate/vm.h"
#include "sev/sev.h"

enum mig_phase {
	MIG_PHASE_NONE,      /* not started */
	MIG_PHASE_HANDSHAKE, /* versions, certificates, START */
	MIG_PHASE_PASSES,    /* the guest runs, memory is copied */
	MIG_PHASE_STOPPED,   /* the guest is stopped, the rest is copied */
	MIG_PHASE_READY,     /* the target has everything; nobody runs */
	MIG_PHASE_COMMIT,    /* the source has given the guest up */
	MIG_PHASE_DONE,
};

enum mig_outcome {
	MIG_OUTCOME_NONE,     /* still going on */
	MIG_OUTCOME_MOVED,    /* runs on the target */
	MIG_OUTCOME_STAYED,   /* runs on the source, as before */
	MIG_OUTCOME_UNKNOWN,  /* given up by the source, no word from the target */
	MIG_OUTCOME_ANSWERED, /* was only asked for; runs on the source, untouched */
};

/* Which way private pages go: doc/HANDLER.md. */
enum mig_way {
	MIG_WAY_AUTO, /* by the handler where that is possible */
	MIG_WAY_PSP,
	MIG_WAY_HANDLER,
	MIG_WAYS
};

struct mig_stats {
	enum mig_phase phase;
	enum mig_outcome outcome;
	unsigned pass;          /* 1 is the first over all memory */
	uint64_t pages_total;   /* guest RAM */
	uint64_t pages_never;   /* never written by the guest: not sent */
	uint64_t pages_private; /* sent, repeats counted */
	uint64_t pages_shared;
	uint64_t pages_zero;  /* shared pages of zeros, sent as a mark */
	uint64_t pages_left;  /* of this pass */
	uint64_t pages_dirty; /* found dirty when this pass began */
	uint64_t dirty_rate;  /* pages a second, over the last pass */
	uint64_t send_rate;   /* pages a second, over the last pass */
	uint64_t bytes_sent;
	uint64_t total_ns;
	uint64_t downtime_ns; /* stop of the vCPUs to the target's RUNNING */
	uint64_t expected_downtime_ns;
	char reason[512]; /* why it failed or stayed; empty when moved */
	enum mig_way way; /* AUTO: not chosen yet */
	char way_why[128];
};

struct mig_source_params {
	unsigned max_downtime_ms; /* 0: the default, 300 */
	unsigned max_passes;      /* 0: the default, 30 */
	unsigned force;           /* whose no does not count: a bit an enum mig_party */
	enum mig_way way;         /* AUTO: chosen, and explained in the stats */
	unsigned handler_vcpus;   /* 0: one */
	bool ask;                 /* only whether the target could take it: nothing moves */
	unsigned commit_wait_ms;  /* how long to go on asking after COMMIT; 0: the default, 30000 */
	/* Look at the target before anything but HELLO was sent: chain, allow list, policy.
	 * Required. Returns 0 or -errno with the rule named. */
	int (*verify)(void *ctx, const struct sev_peer_certs *peer, uint32_t policy, struct err *e);
	/* A new channel to the same target, to ask for the outcome when the first broke after
	 * SEND_FINISH. Required. */
	int (*reconnect)(void *ctx, struct chan **out, struct err *e);
	void *ctx;
};

struct mig_source;
int must_check mig_source_new(struct mig_vm *vm, struct sev_platform *platform,
			      const struct mig_source_params *params, struct mig_source **out,
			      struct err *e);
/* Takes the channel. 0: moved, or answered if that was all that was asked. Otherwise the outcome in
 * the stats says whether the guest stayed (it runs again when this returns, if it ran before) or is
 * unknown. */
int must_check mig_source_run(struct mig_source *s, struct chan *c, struct err *e);
/* Any thread. No effect once SEND_FINISH was issued. */
void mig_source_cancel(struct mig_source *s);
void mig_source_stats(struct mig_source *s, struct mig_stats *out);
/* What the target says it has not, or has too much. Any thread. */
void mig_source_differences(struct mig_source *s, struct lines *out);
void mig_source_free(struct mig_source *s);

struct mig_target_params {
	/* The next connection; called again after a failed HELLO, and after a connection was lost
	 * when everything was loaded and the source's word is missing. -ETIMEDOUT or -EAGAIN when
	 * nobody came within a second or so: it is called again, and a cancel or an adoption was
	 * noticed in between. Required. */
	int (*accept)(void *ctx, struct chan **out, struct err *e);
	void *ctx;
	/* How long to go on answering after the guest runs here, when it is not known whether the
	 * source heard it; 0: the default, 60000. */
	unsigned linger_ms;
	unsigned handler_vcpus; /* 0: one */
};

struct mig_target;
int must_check mig_target_new(struct mig_vm *vm, struct sev_platform *platform,
			      const struct mig_target_params *params, struct mig_target **out,
			      struct err *e);
/* 0: the guest runs here, and the source knows or had its time to ask (the stats say at once when
 * it runs). -errno: nothing runs here and the half-filled VM is of no more use. A source that goes
 * away before its START was taken is not the end: the next one is waited for. */
int must_check mig_target_run(struct mig_target *t, struct err *e);
/* The operator's word that the source is gone for good: a target in MIG_PHASE_READY whose source
 * is lost takes the guest. -EBUSY in any other phase or while the source is connected. */
int must_check mig_target_adopt(struct mig_target *t, struct err *e);
/* Any thread. No effect from READY on, as long as the source is connected: it may have given the
 * guest up already. A held guest whose source is gone is discarded. */
void mig_target_cancel(struct mig_target *t);
void mig_target_stats(struct mig_target *t, struct mig_stats *out);
void mig_target_free(struct mig_target *t);

/* "auto", "psp", "handler"; -EINVAL for another word. */
const char *mig_way_name(enum mig_way w);
int must_check mig_way_get(const char *text, enum mig_way *out, struct err *e);
/* "Secure Processor" */
const char *mig_way_words(enum mig_way w);
/* "passes", "moved": for people and JSON. */
const char *mig_phase_name(enum mig_phase p);
const char *mig_outcome_name(enum mig_outcome o);
const char *mig_party_name(enum mig_party p);
/* "guest,firmware" as bits; NULL or "" is none. */
int must_check mig_parties_get(const char *text, unsigned *out, struct err *e);
