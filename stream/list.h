/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The shared-region list, in parts: doc/PROTOCOL.md 3.7. */

#include "base/ranges.h"
#include "stream/stream.h"

#define STREAM_LIST_MAX 65536u /* intervals in one part */

struct stream_list {
	uint32_t count;
	bool last;
	uint64_t end;      /* where the last interval ends: "after" for the next part */
	struct rd entries; /* for stream_list_next() */
};

/* after: the end of the part before, 0 for the first. */
int must_check stream_list_get(const uint8_t *p, size_t len, const struct stream_bounds *b,
			       uint64_t after, struct stream_list *out, struct err *e);
int must_check stream_list_put(struct wr *out, const struct range *v, uint32_t n, bool last,
			       struct err *e);
bool stream_list_next(struct stream_list *m, struct range *out);
