/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A descriptor with blocking I/O that any thread can break off: everything waits on the descriptor
 * and on an eventfd, and once chan_io_abort() was called fails with -ECANCELED. Sockets are only
 * ever touched with MSG_DONTWAIT and MSG_NOSIGNAL; regular files do not block.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

/* A message that has begun must move: longer than this without a byte in either direction and the
 * peer is taken for dead. A paused guest may be waiting, so it is not minutes; a target that faults
 * in memory on a loaded host gets through it, so it is not seconds. */
#define CHAN_STALL_MS 30000

struct chan_io {
	int fd;       /* owned */
	int abort_fd; /* owned */
	bool file;    /* a regular file */
	atomic_bool aborted;
	struct chan_io *parent; /* borrowed; its abort is also ours. NULL: none */
	/* With a parent that listens: from then on whoever waits there goes before this. */
	int64_t yield_at;
};

#define CHAN_IO_NONE ((struct chan_io){ .fd = -1, .abort_fd = -1 })

/* Takes fd, also when it fails. */
int must_check chan_io_init(struct chan_io *io, int fd, bool file, struct err *e);
void chan_io_fini(struct chan_io *io);
void chan_io_abort(struct chan_io *io);
bool chan_io_aborted(struct chan_io *io); /* it or its parent */
/* Before fini of a TCP socket whose peer should get all that was sent: closing a socket with unread
 * input makes the kernel send a reset, which discards what is still on its way out. */
void chan_io_linger(struct chan_io *io);

#define CHAN_IO_FOREVER INT64_MAX
/* CLOCK_MONOTONIC, ns; CHAN_IO_FOREVER when timeout_ms < 0. */
int64_t chan_io_now(void);
int64_t chan_io_deadline(int timeout_ms);

/* 0 when events (of poll) or the end are there; -ETIMEDOUT, -ECANCELED. */
int must_check chan_io_wait(struct chan_io *io, short events, int64_t deadline, struct err *e);
/* At least one byte; 0 is the end. */
ssize_t chan_io_recv(struct chan_io *io, void *p, size_t len, int64_t deadline, struct err *e);
ssize_t chan_io_send(struct chan_io *io, const void *p, size_t len, int64_t deadline,
		     struct err *e);
/* Fill all n spans (changing them). The deadline is for the first byte. *got counts what arrived,
 * also when it fails; an end is -ECONNRESET. */
int must_check chan_io_readv(struct chan_io *io, struct iovec *v, size_t n, int64_t deadline,
			     size_t *got, struct err *e);
/* Write all n spans (changing them). */
int must_check chan_io_writev(struct chan_io *io, struct iovec *v, size_t n, struct err *e);
