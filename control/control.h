/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The control socket of a running guest: QMP's shape over a unix stream socket, one JSON document
 * a line. One thread serves all clients from one poll loop. It never waits for a client: what a
 * client does not read is queued up to a bound, then the client is dropped. The socket knows
 * nothing of channels, certificates or TLS: whoever made the guest does the work behind
 * struct control_ops.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "control/request.h"
#include "migrate/migrate.h"
#include "vmm/vm.h"

#define CONTROL_CLIENTS_MAX 16u
#define CONTROL_QUEUE_MAX (1u << 20) /* bytes a client may leave unread */

enum control_role { CONTROL_ROLE_NONE, CONTROL_ROLE_SOURCE, CONTROL_ROLE_TARGET };

/* Everything the queries show and the events are made from. Strings live as long as the ops'
 * owner says nothing changes them, at least until the next call of an op. */
struct control_state {
	char name[64];
	char uri[256]; /* target: where it listens; source: where the guest goes */
	const char *platform;
	uint64_t memory;
	unsigned vcpus;
	enum vm_state vm;
	enum vm_end end;
	const char *why; /* it ended; NULL: it has not */
	bool restarts;   /* it ended by a reset, after which it is launched anew */
	unsigned resets; /* how often it was */
	enum control_role role;
	bool cancelled; /* the migration ended because somebody asked for that */
	struct mig_stats mig;
	struct lines differences; /* what the target, asked or refusing, finds wrong */
	uint64_t setup_ns;        /* from the request to the first page */
	uint8_t api_major, api_minor, build;
	struct sev_guest_status sev;
	bool measured;
	uint8_t measurement[SEV_MEASURE_LEN];
	uint64_t shared_pages;
	bool msr_written;
	uint64_t msr;
	const char *no[MIG_PARTY_N]; /* why it must not be moved, by whom; NULL: yes */
};

/* All required. Called in the server's thread; none may wait for long. */
struct control_ops {
	void (*state)(void *ctx, struct control_state *out);
	int (*run)(void *ctx, bool on, struct err *e);                          /* cont, stop */
	int (*migrate)(void *ctx, const struct control_args *a, struct err *e); /* starts one */
	int (*migrate_cancel)(void *ctx, struct err *e);
	int (*parameters)(void *ctx, const struct control_args *a, struct err *e);
	int (*adopt)(void *ctx, struct err *e);
	/* sev-inject-launch-secret, x-query-shared, x-debug-digest, x-debug-dump-shared,
	 * x-console-write; the answer is the caller's, and may stay NULL. */
	int (*guest)(void *ctx, enum control_cmd cmd, const struct control_args *a, json_t **answer,
		     struct err *e);
	void (*quit)(void *ctx);
};

struct control_server;

/* Takes listen_fd (-1: none, clients come by control_server_add()). */
int must_check control_server_new(int listen_fd, const struct control_ops *ops, void *ctx,
				  struct control_server **out, struct err *e);
/* One more client; takes fd. Before control_server_start() only. */
int must_check control_server_add(struct control_server *s, int fd, struct err *e);
int must_check control_server_start(struct control_server *s, struct err *e);
/* Something changed: look at the state and send events. Any thread. */
void control_server_kick(struct control_server *s);
/* Take no new clients; go on serving those there are until they leave, at most linger_ms, so that
 * they learn how it ended; then the thread is gone. */
void control_server_stop(struct control_server *s, unsigned linger_ms);
void control_server_free(struct control_server *s);
