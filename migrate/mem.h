/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A VM's memory as the migration sees it: where RAM is, its shared face, and which pages count as
 * shared. */

#include <stdbool.h>

#include "base/ranges.h"
#include "migrate/vm.h"
#include "stream/stream.h"

struct mig_mem {
	struct mig_vm *vm; /* borrowed */
	struct mig_vm_desc desc;
	struct stream_bounds bounds;
	uint64_t pages;      /* of RAM */
	uint64_t nframes;    /* behind the last one */
	uint64_t low_frames; /* those below are always private */
	/* Frames that do not move: the migration handler's own. None: both 0. */
	uint64_t own_start, own_end;
};

/* Asks the VM. */
int must_check mig_mem_init(struct mig_mem *mem, struct mig_vm *vm, struct err *e);
/* The guest's handler moves it, so what is the handler's stays where it is. */
void mig_mem_keep_handler(struct mig_mem *mem);
bool mig_mem_moves(const struct mig_mem *mem, struct gpa at);
/* The shared face of the page, which lies in RAM. */
uint8_t *mig_mem_at(const struct mig_mem *mem, struct gpa at);
/* All pages that may hold data, in RAM: into bm, which is cleared before. */
void mig_mem_populated(const struct mig_mem *mem, struct mig_bitmap *bm);

/* Walks a snapshot of the shared list along ascending frames. */
struct mig_status {
	const struct mig_mem *mem;
	const struct ranges *list; /* nobody else's */
	size_t at;
};

/* How many of the n frames from frame on have the status of the first, and which that is. Frames
 * must not go down from call to call. */
uint64_t mig_status_run(struct mig_status *st, uint64_t frame, uint64_t n, bool *shared);
