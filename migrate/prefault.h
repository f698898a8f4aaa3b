/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory that START announced is faulted in by a thread of its own, ahead of the pages that are on
 * their way: first touch of much memory takes as long as moving it. The thread only ever touches
 * what sev_vm_prefault() may be given while pages are received.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "sev/sev.h"
#include "stream/start.h"

struct mig_prefault {
	struct sev_vm *sev;        /* borrowed */
	struct stream_prefault *v; /* owned */
	uint32_t n;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	int r; /* what it ended with; for whoever joined it */
	struct err err;
};

/* What m announces is copied. */
int must_check mig_prefault_start(struct mig_prefault *p, struct sev_vm *sev,
				  struct stream_start *m, struct err *e);
/* End it, done or not; what it failed with. 0 when none runs. */
int mig_prefault_stop(struct mig_prefault *p, struct err *e);
