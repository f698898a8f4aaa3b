/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The guest owner's broker. A host that launches a guest of this owner's asks here twice: before
 * the launch for a session, showing its platform's certificates; and after the measurement for the
 * migration handler's key (doc/HANDLER.md). Nothing is granted that the owner's record of the guest
 * does not allow, every decision is a line in the audit log before it is an answer, and each launch
 * of a new guest makes a new key: an older copy of it has nothing to say to the newer one.
 *
 * A folder holds everything, mode 0700:
 *
 *	guests/NAME.json	what the owner allows: policy, digests, roots, platforms
 *	guests/NAME.key		of the running guest: its id (16 bytes) and key (32)
 *	tickets/ID.json, .key	sessions given out and not used yet: TEK and TIK (16 each)
 *	audit.log		one JSON object a line
 *
 * Requests are JSON from strangers. doc/BROKER.md has them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BROKER_TEXT_MAX 65536u
#define BROKER_DIGESTS_MAX 16u
#define BROKER_ROOTS_MAX 16u
#define BROKER_PLATFORMS_MAX 256u
#define BROKER_DIGEST_LEN 32u
#define BROKER_TICKET_SECONDS 600u

/* Channel messages of the service: the head is one JSON object. */
enum { BROKER_REQUEST = 1, BROKER_ANSWER };

/* What the owner says of a guest. Hashes are SHA-256. */
struct broker_guest {
	char name[64];
	uint32_t policy; /* of the launch, SEV API chapter 3 */
	bool zero_visible;
	uint8_t digest[BROKER_DIGESTS_MAX][BROKER_DIGEST_LEN]; /* launches that are this guest's */
	size_t ndigest;
	uint8_t root[BROKER_ROOTS_MAX][BROKER_DIGEST_LEN]; /* ARK certificates to trust */
	size_t nroot;
	uint8_t platform[BROKER_PLATFORMS_MAX][BROKER_DIGEST_LEN]; /* 0 of them: any */
	size_t nplatform;
};

/* A name that is a file's, too: letters, digits, '-', '_' and '.', not first. */
bool broker_name_valid(const char *name);

struct broker;

/* Makes the folder where there is none. now: seconds since the epoch, NULL: the system's. */
int must_check broker_open(const char *dir, int64_t (*now)(void), struct broker **out,
			   struct err *e);
void broker_free(struct broker *b);
/* Write or replace the owner's record. What is running keeps its key. */
int must_check broker_guest_put(struct broker *b, const struct broker_guest *g, struct err *e);
/* One request, one answer, each a JSON object. A refusal is an answer, too: {"error": "..."}. peer
 * says who asks, for the log. *answer: the caller's to free. -errno: not decided, nothing granted.
 */
int must_check broker_answer(struct broker *b, const char *peer, const char *request, size_t len,
			     char **answer, struct err *e);
