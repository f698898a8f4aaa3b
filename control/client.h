/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The other end of the control socket: what "sevmig status" and the like use. Requests one after
 * the other, in one thread. Events that come between are dropped. The server is this user's own
 * process, but may hang or be gone: every call has a time limit.
 */

#include <jansson.h>

#include "base/err.h"

struct control_client;

/* Connects and negotiates. -ENOENT or -ECONNREFUSED: nothing listens there. */
int must_check control_client_open(const char *path, int timeout_ms, struct control_client **out,
				   struct err *e);
/* Takes args, which may be NULL. The caller owns *value. An error the server answered is
 * -EREMOTEIO with its text; anything else means the connection is of no more use. */
int must_check control_client_call(struct control_client *c, const char *cmd, json_t *args,
				   int timeout_ms, json_t **value, struct err *e);
void control_client_free(struct control_client *c);
