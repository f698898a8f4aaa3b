/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A few threads that do one piece of work each, again and again, together with their caller. */

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

#define MIG_CREW_MAX 4u

typedef int mig_crew_fn(void *ctx, unsigned i, struct err *e);

struct mig_crew {
	unsigned n; /* with the caller; 0: not started */
	pthread_t thread[MIG_CREW_MAX];
	pthread_mutex_t lock; /* a leaf; guards the rest */
	pthread_cond_t moved;
	mig_crew_fn *fn;
	void *ctx;
	unsigned round, left;
	bool quit;
	int result[MIG_CREW_MAX];
	struct err err[MIG_CREW_MAX];
};

/* n workers, the caller one of them. */
int must_check mig_crew_start(struct mig_crew *c, unsigned n, struct err *e);
/* fn(ctx, i) for each i below n, at once. The first failure by i is the answer. */
int must_check mig_crew_run(struct mig_crew *c, mig_crew_fn *fn, void *ctx, struct err *e);
/* Also of one that was never started. */
void mig_crew_stop(struct mig_crew *c);
