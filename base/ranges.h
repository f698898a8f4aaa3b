/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A set of 64-bit numbers kept as sorted, disjoint, never-touching half-open intervals
 * [start, end). The monitor keeps the guest's shared regions in one (guest frame numbers); vCPU
 * threads edit it while the migration thread takes snapshots, so every call locks. Adding or
 * removing any interval, however it overlaps, leaves exactly the set that a bitmap would hold.
 *
 * Lock order: the lock of a set is a leaf; ranges_copy() takes both in address order.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct range {
	uint64_t start;
	uint64_t end; /* exclusive, > start */
};

struct ranges {
	pthread_mutex_t lock;
	struct range *v; /* owned, n of cap in use */
	size_t n;
	size_t cap;
};

void ranges_init(struct ranges *s);
void ranges_fini(struct ranges *s);
/* -EINVAL for an empty or inverted interval, -ENOMEM; the set is then as before. */
int must_check ranges_add(struct ranges *s, uint64_t start, uint64_t end, struct err *e);
int must_check ranges_remove(struct ranges *s, uint64_t start, uint64_t end, struct err *e);
bool ranges_has(struct ranges *s, uint64_t v);
void ranges_clear(struct ranges *s);
/* Replace to's content by from's. */
int must_check ranges_copy(struct ranges *to, struct ranges *from, struct err *e);
/* How many numbers are in the set. */
uint64_t ranges_total(struct ranges *s);
