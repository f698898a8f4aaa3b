/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which guest pages are shared: the list that KVM_HC_MAP_GPA_RANGE edits and a migration reads.
 *
 * A page whose status changes must travel again even if nobody writes to it, and KVM's dirty log
 * does not know. So each change is marked, and always in this order: the list first, the mark
 * second. A migration reads marks first and the list second; whatever it misses, the next pass
 * finds. The other order could lose a change for good.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/gpa.h"
#include "base/ranges.h"
#include "migrate/vm.h"

struct vmm_pages {
	const struct mig_ram *ram; /* borrowed */
	size_t nram;
	uint64_t private_start; /* frames that have no shared face, to private_end; both 0: none */
	uint64_t private_end;
	pthread_mutex_t edit; /* one edit at a time; taken before the lock of .shared */
	struct ranges shared; /* guest frame numbers */
	uint64_t *converted;  /* owned; a bit a frame, atomic */
	size_t nframes;       /* to the end of the last RAM range */
	uint64_t conversions; /* calls that were done; atomic */
	bool lost;            /* an edit failed: the list is not the guest's any more; atomic */
};

int must_check vmm_pages_init(struct vmm_pages *p, const struct mig_ram *ram, size_t nram,
			      struct err *e);
void vmm_pages_fini(struct vmm_pages *p);
/* These cannot become shared: the firmware's. Before the first hypercall. */
void vmm_pages_keep_private(struct vmm_pages *p, struct gpa at, uint64_t len);
/* OR what was converted since the last call into bm and forget it; bm NULL only forgets. */
void vmm_pages_converted(struct vmm_pages *p, struct mig_bitmap *bm);
/* The monitor itself, a device, has written to these pages: they travel again as if they had been
 * converted. After it wrote; any thread. */
void vmm_pages_wrote(struct vmm_pages *p, struct gpa at, uint64_t len);
/* Replace the list by one that came with a migration; it must lie in guest RAM. */
int must_check vmm_pages_set(struct vmm_pages *p, struct ranges *from, struct err *e);
/* One hypercall, however it arrived. The result is the guest's: 0 or a negative number of KVM's. */
int64_t vmm_hypercall(struct vmm_pages *p, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2);
