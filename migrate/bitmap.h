/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Operations on struct mig_bitmap (migrate/vm.h), scanned by words. */

#include <stdbool.h>

#include "base/err.h"
#include "migrate/vm.h"

int must_check mig_bitmap_init(struct mig_bitmap *bm, size_t nbits, struct err *e);
void mig_bitmap_fini(struct mig_bitmap *bm);
void mig_bitmap_clear(struct mig_bitmap *bm);
/* Set n bits from start; what lies behind the end is ignored. */
void mig_bitmap_set(struct mig_bitmap *bm, uint64_t start, uint64_t n);
/* Both of the same size. */
void mig_bitmap_and(struct mig_bitmap *bm, const struct mig_bitmap *mask);
void mig_bitmap_or(struct mig_bitmap *bm, const struct mig_bitmap *more);
uint64_t mig_bitmap_count(const struct mig_bitmap *bm);
/* The first run of set bits at or after *at: its start into *at, its length into *n. */
bool mig_bitmap_run(const struct mig_bitmap *bm, uint64_t *at, uint64_t *n);
