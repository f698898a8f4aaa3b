/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The machine's state, opaque, in parts: doc/PROTOCOL.md 3.8. */

#include "stream/stream.h"

#define STREAM_STATE_MAX (16u << 20)
#define STREAM_STATE_PART_MAX (1u << 20)

struct stream_state {
	uint64_t total;
	uint64_t offset;
	const uint8_t *data;
	uint32_t len;
	bool last;
};

/* have: bytes of the parts before; total: as they said, or 0 for the first part. */
int must_check stream_state_get(const uint8_t *p, size_t len, uint64_t have, uint64_t total,
				struct stream_state *out, struct err *e);
int must_check stream_state_put(struct wr *out, const struct stream_state *m, struct err *e);
