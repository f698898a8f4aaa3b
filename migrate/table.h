/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * State machines as data: what each side accepts in each state, and what comes after. An empty slot
 * is a protocol error. doc/PROTOCOL.md section 4 has the same tables.
 */

#include "chan/chan.h"
#include "stream/stream.h"

struct mig_step {
	/* 0: next; 1: again (more parts are to come, or the message's other meaning); -errno. */
	int (*handle)(void *self, const struct chan_msg *m, struct err *e);
	uint8_t next;
	uint8_t again; /* only where handle can return 1 */
};

struct mig_table {
	unsigned nstates;
	const char *const *names;
	const struct mig_step (*step)[STREAM_TYPES]; /* [state][message] */
};

extern const struct mig_table mig_source_table;
extern const struct mig_table mig_target_table;

/* Handle m in *state; on success *state is the next one. */
int must_check mig_table_step(const struct mig_table *t, unsigned *state, void *self,
			      const struct chan_msg *m, struct err *e);
/* As in doc/PROTOCOL.md, into text; returns the length it has or would have had. */
size_t mig_table_print(const struct mig_table *t, char *text, size_t cap);
