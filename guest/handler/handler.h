/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The migration handler's logic, without what it needs a guest for: it also compiles for the host,
 * where tests drive two of it over fake memory. doc/HANDLER.md has the protocol, abi/handler.h what
 * the monitor sees of it.
 *
 * Everything in the mailbox and the window is the host's: it may change while it is read, so each
 * field is fetched once, into private memory, and checked there. Sealed pages go through private
 * memory both ways, so that what was authenticated is what is used.
 *
 * Several vCPUs work at once on one struct handler. Its lock is held for a few instructions and
 * never over a page: a host can stop a vCPU anywhere. A vCPU works with its own copy of the key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/handler.h"
#include "guest/handler/gcm.h"

struct handler_range {
	uint64_t start, end;
};

/* What is around it. Pointers stay good; page() is only asked for pages of RAM. */
struct handler_env {
	uint32_t nram;
	struct handler_range ram[HANDLER_RAM_RANGES]; /* ascending, below HANDLER_RAM_MAX */
	const uint8_t *secret;                        /* HANDLER_SECRET_LEN bytes, private */
	uint32_t *epochs;                             /* of each page, private */
	uint8_t *window;                              /* HANDLER_WINDOW_LEN bytes, the host's */
	uint8_t *(*page)(void *ctx, uint64_t gpa);
	bool (*random)(void *p, size_t len);
	void *ctx;
	enum handler_cipher cipher;
};

/* The owner's, out of the secret. */
struct handler_owner {
	uint16_t min_version;
	uint32_t flags;
	uint8_t guest[16];
	uint8_t key[32];
};

struct handler {
	const struct handler_env *env;
	unsigned lock;
	enum handler_state state;
	enum handler_role role;
	bool half_filled;    /* pages came, and the guest was not released: it is not for sending */
	bool arrived;        /* it was: nothing else may come in */
	uint32_t generation; /* of the session; goes up whenever one begins or ends */
	unsigned busy;       /* vCPUs at work on pages of this session */
	uint32_t epoch;      /* newest */
	uint64_t pages;
	uint8_t nonce[HANDLER_NONCE_LEN];
	uint8_t session[HANDLER_SESSION_LEN];
	struct handler_owner owner;
	struct gcm_key_data forth; /* source to target */
	struct gcm_key_data back;
	uint8_t tag[HANDLER_TAG_LEN]; /* of the epochs, when FROZEN or VERIFIED */
};

struct handler_page {
	uint64_t gpa, epoch;
	uint32_t offset, len;
	uint8_t tag[HANDLER_TAG_LEN];
};

/* One vCPU's own. */
struct handler_worker {
	struct gcm_key_data key;
	uint32_t generation;
	bool zero_visible;
	uint32_t serial; /* of its answers */
	uint8_t bounce[HANDLER_PAGE] __attribute__((aligned(64)));
	struct handler_page v[HANDLER_BATCH];
};

/* A command as fetched, and its answer. */
struct handler_call {
	uint32_t command, count, done;
	uint8_t arg[HANDLER_ARG_LEN];
	uint8_t result[HANDLER_RESULT_LEN];
	uint8_t *mailbox; /* for the descriptors */
};

void handler_init(struct handler *h, const struct handler_env *env);
/* Answer the command in the mailbox. */
void handler_answer(struct handler *h, struct handler_worker *w, uint8_t *mailbox);

/* --- inside ----------------------------------------------------------------------------------- */

#define handler_must __attribute__((warn_unused_result))

/* secret.c: HANDLER_E_NO_KEY unless the owner's entry is there, whole and understood. */
enum handler_status handler_must handler_secret_get(const uint8_t *p, size_t len,
						    struct handler_owner *out);

/* session.c; the lock is held. */
enum handler_status handler_must handler_session_init(struct handler *h, enum handler_role role);
enum handler_status handler_must handler_session_start(struct handler *h,
						       const uint8_t peer[HANDLER_NONCE_LEN]);
void handler_session_end(struct handler *h);

/* record.c: the proofs at the end; the lock is held. */
enum handler_status handler_must handler_manifest(struct handler *h,
						  uint8_t out[HANDLER_RECORD_LEN]);
enum handler_status handler_must handler_verify(struct handler *h,
						const uint8_t in[HANDLER_RECORD_LEN],
						uint8_t out[HANDLER_RECORD_LEN]);
enum handler_status handler_must handler_seal(struct handler *h,
					      const uint8_t in[HANDLER_RECORD_LEN],
					      uint8_t out[HANDLER_RECORD_LEN]);
enum handler_status handler_must handler_release(struct handler *h,
						 const uint8_t in[HANDLER_RECORD_LEN]);

/* pages.c; takes the lock. */
enum handler_status handler_must handler_export(struct handler *h, struct handler_worker *w,
						struct handler_call *c);
enum handler_status handler_must handler_import(struct handler *h, struct handler_worker *w,
						struct handler_call *c);

/* core.c. false: somebody else has it, and keeps it for too long. */
bool handler_must handler_lock(struct handler *h);
void handler_unlock(struct handler *h);
