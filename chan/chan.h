/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A channel carries whole messages between two ends, in order, or fails. A message is a type, a
 * head and a body. The head is confidential and authentic wherever the channel crosses a network;
 * the body was sealed by whoever made it (private pages, sealed by the Secure Processor) and
 * travels as it is: one layer of encryption on the data path. What binds a body to its head is the
 * head's own business (the packet MAC stands in it).
 *
 *	tls://HOST:PORT	mutual TLS 1.3; heads sealed with keys from its exporter
 *	unix:PATH	same machine; heads in the clear
 *	file:PATH	one direction, for snapshots and tests
 *	chan_mem_pair()	two ends in one process, for tests
 *	chan_fault_wrap()	breaks the k-th message: tests
 *	chan_rate_wrap()	no more than N bytes a second
 *
 * One thread sends and one (the same or another) receives; chan_abort() comes from any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CHAN_HEAD_MAX (2u << 20) /* bytes; larger is a protocol error */
#define CHAN_BODY_MAX (4u << 20)

struct chan_msg {
	uint32_t type;
	const uint8_t *head;
	size_t head_len;
	const uint8_t *body;
	size_t body_len;
};

/* The receiver's own memory for a body, so that it need not be copied out of the channel's. */
struct chan_room {
	uint8_t *p; /* NULL: none */
	size_t len;
};

struct chan;

struct chan_ops {
	int (*send)(struct chan *c, const struct chan_msg *m, struct err *e);
	/* On success the spans in *m are the channel's and good until the next recv, except a body
	 * that fits into the room: that is there. */
	int (*recv)(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		    struct err *e);
	int (*pending)(struct chan *c, int timeout_ms, struct err *e);
	void (*abort)(struct chan *c);
	void (*free)(struct chan *c);
};

struct chan {
	const struct chan_ops *ops;
	char peer[160]; /* who is at the other end, for messages: "tls CN=host-b (10.0.0.2:4433)
			   cubic" */
	uint64_t bytes_sent; /* on the wire, framing included */
	uint64_t bytes_received;
};

/* Blocks until handed to the kernel. -ECONNRESET when the peer is gone (what it said before that
 * can still be received), -EMSGSIZE for more than the maxima, -ETIMEDOUT when it takes nothing for
 * half a minute, -ECANCELED. After any but -EMSGSIZE nothing more can be sent. */
int must_check chan_send(struct chan *c, const struct chan_msg *m, struct err *e);
/* timeout_ms < 0: none. It is for the beginning of a message; a message that has begun may take its
 * time as long as it moves. -ETIMEDOUT leaves the channel usable only if nothing had arrived yet.
 * An orderly or disorderly end is -ECONNRESET; bad framing or a failed tag is -EPROTO/-EBADMSG. */
int must_check chan_recv(struct chan *c, struct chan_msg *m, int timeout_ms, struct err *e);
/* The same; a body that fits into room is received there, and m->body points to it. After a failure
 * the room may hold anything. */
int must_check chan_recv_into(struct chan *c, struct chan_msg *m, struct chan_room room,
			      int timeout_ms, struct err *e);
/* 1: recv would find something (or the end); 0: nothing within timeout_ms; or -errno. */
int must_check chan_pending(struct chan *c, int timeout_ms, struct err *e);
/* Any thread: what is blocked, and whatever comes after, fails with -ECANCELED. */
void chan_abort(struct chan *c);
void chan_free(struct chan *c);

/* --- making them ---------------------------------------------------------------------------- */

struct chan_tls_config {
	const char *dir; /* ca-cert.pem, cert.pem, key.pem: as "sevmig pki issue" makes them */
	const char *peer_name; /* name the peer's certificate must carry; NULL: a client checks the
				* URI's host, a server takes any name its CA signed */
};

struct chan_listener;
/* tls may be NULL for unix and file. port 0 takes a free one; chan_listener_uri() tells. */
int must_check chan_listen(const char *uri, const struct chan_tls_config *tls,
			   struct chan_listener **out, struct err *e);
const char *chan_listener_uri(const struct chan_listener *l);
int chan_listener_fd(const struct chan_listener *l); /* for poll */
/* One connection, handshake included (which has its own time limit, beyond timeout_ms). A peer that
 * fails the handshake is an error of this call alone: the listener goes on. -EACCES: a certificate
 * was refused, by us or by the peer, the message says which and why. */
int must_check chan_accept(struct chan_listener *l, int timeout_ms, struct chan **out,
			   struct err *e);
/* Any thread: a blocked chan_accept(), and any later one, fails with -ECANCELED. */
void chan_listener_abort(struct chan_listener *l);
void chan_listener_free(struct chan_listener *l);

int must_check chan_connect(const char *uri, const struct chan_tls_config *tls, int timeout_ms,
			    struct chan **out, struct err *e);

int must_check chan_mem_pair(struct chan **a, struct chan **b, struct err *e);
/* How the k-th send (from 0) breaks: before it, in the middle of it, or after it was delivered. The
 * sender gets -ECONNRESET, then and ever after, and so does the peer once it has read what arrived.
 * Both wrappers free what they took and return NULL when there is no memory. */
enum chan_fault_at { CHAN_FAULT_BEFORE, CHAN_FAULT_MIDDLE, CHAN_FAULT_AFTER };
struct chan *chan_fault_wrap(struct chan *inner, unsigned k,
			     enum chan_fault_at at); /* takes inner */
/* Takes inner; 0: no limit. */
struct chan *chan_rate_wrap(struct chan *inner, uint64_t bytes_per_second);
