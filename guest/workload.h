/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The workload's memory, shared out among processors: of each area's pages the first belongs to
 * processor 0, the next to processor 1, and so on in turn. Only its owner writes, verifies or
 * converts a page, so there is nothing to lock and no other processor's TLB to flush.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/testguest.h"
#include "guest/guest.h"

enum area_kind { AREA_PRIVATE, AREA_SHARED, AREA_POOL, AREA_COUNT };

/* One processor's pages of an area. */
struct area {
	uint64_t at, pages, dirty_pages;
	uint64_t step; /* from one page to the next, in pages */
	uint32_t *generation;
	uint64_t written; /* sum of the generations, kept apart from them */
	bool *pool;       /* what is shared of the pool; NULL: all of it is, or nothing */
	bool shared;
};

/* Decide where all of it lies; ends the guest when it has not the RAM. */
void areas_place(const struct options *o);
/* Make the shared area so; before other processors know of it. */
void areas_share(void);
/* The part of processor cpu of n, and its first content. */
void areas_take(struct area area[AREA_COUNT], unsigned cpu, unsigned n);

void area_write(struct area *a, uint64_t i);
void area_verify(struct area *a, uint64_t i);
/* Change the state of a page of the pool. */
void area_flip(struct area *a, uint64_t i);
/* The generations themselves are as they were last. */
void area_sum_verify(const struct area *a);

/* canary.S */
void canary_hold(const uint64_t v[TESTGUEST_REGCANARIES], uint64_t until);

/* Say why, and halt. */
void die(const char *why);
