/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One client of the control socket: bytes in and out, lines cut, nothing understood. Never blocks.
 */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

struct conn {
	int fd; /* owned; -1: free slot */
	struct buf in, out;
	size_t in_at, out_at; /* bytes already used of in, already sent of out */
	bool ready;           /* capabilities were negotiated */
	bool closing;         /* ends when out is empty */
	bool ended;           /* the client sends no more */
};

/* Takes fd and makes it non-blocking. */
int must_check conn_open(struct conn *c, int fd, struct err *e);
void conn_close(struct conn *c);
/* Bytes queued and not sent. */
size_t conn_queued(const struct conn *c);
/* -ENOBUFS when the client leaves more than the bound unread. */
int must_check conn_say(struct conn *c, const json_t *what, struct err *e);
/* What can be sent or read without waiting; an error means the client is gone. */
int must_check conn_flush(struct conn *c, struct err *e);
int must_check conn_fill(struct conn *c, struct err *e);
/* The next whole line, without its end; it is good until the next conn_fill(). false: none yet. */
bool conn_line(struct conn *c, const char **line, size_t *len);
/* More bytes without a line end than a request may have. */
bool conn_overlong(const struct conn *c);
