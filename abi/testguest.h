/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What tests may rely on about the small test guest (guest/), and what it writes.
 *
 * Command line: words, sizes with K, M or G, times with us, ms or s.
 *
 *	private=SIZE	private data, default 16M; verified page by page
 *	shared=SIZE	shared data, default 1M
 *	span=SIZE	dirty only the first SIZE of the private data; default all
 *	dirty=SIZE/s	rewrite pages at this rate, default 0
 *	burst		rewrite pages as fast as the CPU can
 *	idle		no data at all: count ticks and sleep
 *	pool=N		pages that change between private and shared, default 64, at most 512
 *	flips=N		changes a second, default 20
 *	sweep=TIME	verify every page this often, default 1s; 0: never
 *	pace=TIME	time between ticks, default 10ms; 0: none
 *	seed=N		of the pattern, default 1
 *	canary=HEX	16 to 64 bytes that end each private data page
 *	shared-canary=HEX	the same for shared data pages
 *	regcanary=N	hold values of N < 2^48 in registers whenever there is nothing to do
 *	msr=0		do not write the migration-control MSR
 *	quiet		no lines about sweeps
 *
 * With more than one processor, 8 at most, each does its share of all of this: the pages are dealt
 * out to them in turn, and rates are the sum.
 *
 * Console, one line each: "testguest: ..." while it starts, then "ready", then
 *
 *	tick N			N = 1, 2, 3, ... without a gap, by the first processor
 *	cpu K tick N		the same by processor K = 1, 2, ..., at a quarter of the pace
 *	verify ok sweep K	every page was as last written
 *	CORRUPT ...		a page was not; the guest then halts for good
 *	TRAP ...		an exception it did not expect; it halts
 *	echo: LINE		answer to a line it was sent; "poweroff" and "reset" act as well
 */

#include <stdint.h>

#define TESTGUEST_IMAGE 0x200000ull  /* where its ELF is loaded; ends before the pool */
#define TESTGUEST_POOL 0x400000ull   /* 2 MiB that change their state page by page */
#define TESTGUEST_SHARED 0x600000ull /* shared data; private data follows, 2 MiB aligned */
#define TESTGUEST_AREA_ALIGN 0x200000ull

#define TESTGUEST_PAGE 4096u
#define TESTGUEST_WORDS 512u
#define TESTGUEST_MAGIC 0x7473657567766573ull /* "sevguest", for a private page */
#define TESTGUEST_MAGIC_SHARED (TESTGUEST_MAGIC ^ 1)
#define TESTGUEST_CANARY_MAX 64u
#define TESTGUEST_REGCANARIES 16u
#define TESTGUEST_REGCANARY 0x40u /* no byte of a value is a line's end */

/*
 * A data page is 512 little-endian words: the magic of its state, its guest physical address, its
 * generation (how often it was written), the seed, testguest_next() for words 4 to 503, and in the
 * last 64 bytes the canary, padded with zeros.
 */
enum {
	TESTGUEST_W_MAGIC,
	TESTGUEST_W_GPA,
	TESTGUEST_W_GENERATION,
	TESTGUEST_W_SEED,
	TESTGUEST_W_FILL,
	TESTGUEST_W_CANARY = TESTGUEST_WORDS - TESTGUEST_CANARY_MAX / 8,
};

/* Start of a page's stream; each word then is testguest_next(). */
static inline uint64_t testguest_start(uint64_t seed, uint64_t gpa, uint64_t generation)
{
	return seed * 0x9e3779b97f4a7c15ull ^ gpa * 0xd1342543de82ef95ull ^ generation << 40;
}

/* What register i of processor cpu holds. */
static inline uint64_t testguest_regcanary(uint64_t n, unsigned cpu, unsigned i)
{
	return n << 16 | cpu << 8 | TESTGUEST_REGCANARY | i;
}

/* splitmix64 */
static inline uint64_t testguest_next(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
