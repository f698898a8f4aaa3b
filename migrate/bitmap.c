/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/bitmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t words(const struct mig_bitmap *bm)
{
	return (bm->nbits + 63) / 64;
}

int mig_bitmap_init(struct mig_bitmap *bm, size_t nbits, struct err *e)
{
	*bm = (struct mig_bitmap){ .nbits = nbits };
	bm->words = calloc(words(bm) + 1, sizeof(uint64_t));
	return bm->words ? 0 : err_set(e, -ENOMEM, "no memory for a bitmap of %zu pages", nbits);
}

void mig_bitmap_fini(struct mig_bitmap *bm)
{
	free(bm->words);
	*bm = (struct mig_bitmap){ 0 };
}

void mig_bitmap_clear(struct mig_bitmap *bm)
{
	memset(bm->words, 0, words(bm) * sizeof(uint64_t));
}

void mig_bitmap_set(struct mig_bitmap *bm, uint64_t start, uint64_t n)
{
	uint64_t end = n > bm->nbits || start > bm->nbits - n ? bm->nbits : start + n;

	while (start < end) {
		uint64_t bit = start % 64, k = 64 - bit < end - start ? 64 - bit : end - start;
		uint64_t mask = k == 64 ? ~0ull : ((1ull << k) - 1) << bit;

		bm->words[start / 64] |= mask;
		start += k;
	}
}

void mig_bitmap_and(struct mig_bitmap *bm, const struct mig_bitmap *mask)
{
	for (size_t i = 0; i < words(bm); i++)
		bm->words[i] &= mask->words[i];
}

void mig_bitmap_or(struct mig_bitmap *bm, const struct mig_bitmap *more)
{
	for (size_t i = 0; i < words(bm); i++)
		bm->words[i] |= more->words[i];
}

uint64_t mig_bitmap_count(const struct mig_bitmap *bm)
{
	uint64_t n = 0;

	for (size_t i = 0; i < words(bm); i++)
		n += (unsigned)__builtin_popcountll(bm->words[i]);
	return n;
}

/* The first bit at or after at that, xored with flip, is set; or nbits. */
static uint64_t next_bit(const struct mig_bitmap *bm, uint64_t at, uint64_t flip)
{
	uint64_t w;

	if (at >= bm->nbits)
		return bm->nbits;
	w = (bm->words[at / 64] ^ flip) & (~0ull << at % 64);
	for (uint64_t i = at / 64; i < words(bm); w = bm->words[++i] ^ flip) {
		if (w) {
			at = i * 64 + (unsigned)__builtin_ctzll(w);
			return at < bm->nbits ? at : bm->nbits;
		}
	}
	return bm->nbits;
}

bool mig_bitmap_run(const struct mig_bitmap *bm, uint64_t *at, uint64_t *n)
{
	*at = next_bit(bm, *at, 0);
	*n = next_bit(bm, *at, ~0ull) - *at;
	return *n > 0;
}
