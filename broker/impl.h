/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Inside the broker: broker.c (folder, log), guest.c (records), ticket.c, answer.c (decisions). */

#include <jansson.h>

#include "abi/psp.h"
#include "base/auto.h"
#include "broker/broker.h"
#include "crypto/session.h"
#include "owner/peer.h"

#define BROKER_ID_LEN 16u  /* of a guest and of a ticket */
#define BROKER_KEY_LEN 32u /* the handler's */

struct broker {
	char *dir; /* owned */
	int fd;    /* owned; the folder, for flock() */
	int64_t (*now)(void);
};

DEFINE_AUTO(json, json_t *, json_decref)
DEFINE_AUTO(broker, struct broker *, broker_free)

/* --- broker.c --- */

/* DIR/KIND/NAME.SUFFIX; the caller frees. NULL: no memory. */
char *broker_path(const struct broker *b, const char *kind, const char *name, const char *suffix);
int must_check broker_json_read(const char *path, json_t **out, struct err *e);
int must_check broker_json_write(const char *path, const json_t *j, struct err *e);
/* Append a line and bring it to the disk. */
int must_check broker_log(struct broker *b, json_t *line, struct err *e);

/* --- guest.c --- */

int must_check broker_guest_get(const struct broker *b, const char *name, struct broker_guest *out,
				struct err *e);
/* The running guest's id and key, 48 bytes. -ENOENT: it was never started. */
int must_check broker_key_get(const struct broker *b, const char *name, struct secret *out,
			      struct err *e);
int must_check broker_key_make(struct secret *out, struct err *e);
int must_check broker_key_put(const struct broker *b, const char *name, const struct secret *key,
			      struct err *e);

/* --- ticket.c --- */

struct broker_ticket {
	char id[2 * BROKER_ID_LEN + 1];
	char guest[64];
	bool arrives; /* to be filled by a migration; else a start */
	char platform[OWNER_PLATFORM_ID_LEN];
	int64_t made;
	struct session_keys keys;
};

void broker_ticket_wipe(struct broker_ticket *t);
#define auto_broker_ticket cleanup_with(broker_ticket_wipe)
/* Fills in id and made; tickets that are too old go. */
int must_check broker_ticket_put(const struct broker *b, struct broker_ticket *t, struct err *e);
/* It is used up by this, whatever comes of it. -ENOENT: none, or too old. */
int must_check broker_ticket_take(const struct broker *b, const char *id, struct broker_ticket *out,
				  struct err *e);
