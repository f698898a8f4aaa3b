/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One split virtqueue as the device sees it (virtio 1.2, 2.7). All of it lies in guest memory and
 * the guest may write to it at any time, so each word is fetched once, checked, and then used. A
 * chain is at most as long as its ring, which ends any loop. Requests are answered in the order in
 * which they were made, one by one: a single index says how far the device has come, and between
 * two calls nothing is in flight.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/gpa.h"
#include "dev/bus.h"

#define DEV_RING_MAX 256u

struct dev_ring {
	uint16_t size; /* a power of two, at most DEV_RING_MAX */
	bool ready;
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
	struct gpa desc, driver, device;
	uint16_t next; /* requests done, mod 2^16 */
	uint16_t told; /* the value of .next when the guest was last interrupted */
};

struct dev_piece {
	uint8_t *p; /* shared memory: the guest goes on writing to it */
	uint32_t len;
	struct gpa at;
};

/* A request: what the device reads comes first, then what it writes. */
struct dev_chain {
	uint16_t head;
	unsigned n_out, n_in;
	struct dev_piece piece[DEV_RING_MAX];
};

/* Could the device use it? Alignment and size; where it lies is checked at every use. */
bool dev_ring_sane(const struct dev_ring *r);
/* 1: a request; 0: none; -EPROTO: the guest broke a rule, and the ring is not to be used again
 * before a reset. To look again is fine: only dev_ring_push() goes on to the next. */
int must_check dev_ring_pop(const struct dev_ring *r, const struct dev_host *h,
			    struct dev_chain *out, struct err *e);
/* The request is done, with so many bytes written to it. */
int must_check dev_ring_push(struct dev_ring *r, const struct dev_host *h,
			     const struct dev_chain *c, uint32_t written, struct err *e);
/* Ask for a doorbell at the next request. Look into the ring once more after this. */
void dev_ring_arm(const struct dev_ring *r, const struct dev_host *h);
/* Does the guest want to be interrupted for what was pushed since this last said yes? */
bool dev_ring_interrupt(struct dev_ring *r, const struct dev_host *h);

/* Bytes to read, bytes to write. */
uint64_t dev_chain_out(const struct dev_chain *c);
uint64_t dev_chain_in(const struct dev_chain *c);
/* Copy out of, or into, the request at an offset; how many bytes there were. */
size_t dev_chain_get(const struct dev_chain *c, uint64_t at, void *to, size_t len);
size_t dev_chain_put(const struct dev_chain *c, const struct dev_host *h, uint64_t at,
		     const void *from, size_t len);
/* The part [at, at+len) as vectors, at most max of them; returns how many, and their bytes. */
unsigned dev_chain_out_iov(const struct dev_chain *c, uint64_t at, uint64_t len, struct iovec *v,
			   unsigned max, size_t *bytes);
unsigned dev_chain_in_iov(const struct dev_chain *c, uint64_t at, uint64_t len, struct iovec *v,
			  unsigned max, size_t *bytes);
/* Say that [at, at+len) of what the device writes has been written. */
void dev_chain_wrote(const struct dev_chain *c, const struct dev_host *h, uint64_t at,
		     uint64_t len);
