/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every message on a byte channel begins with; see doc/PROTOCOL.md. Little endian:
 *
 *	0	u32	"SVM1"
 *	4	u32	type
 *	8	u32	head_len	<= CHAN_HEAD_MAX
 *	12	u32	body_len	<= CHAN_BODY_MAX
 *	16	u64	seq		0, 1, 2... in each direction
 *
 * then the head, on a sealed channel its 16-byte tag (always, also for an empty head), the body.
 */

#include <stdint.h>

#include "base/err.h"

#define CHAN_FRAME_LEN 24u
#define CHAN_FRAME_MAGIC 0x314d5653u /* "SVM1" */

struct chan_frame {
	uint32_t type;
	uint32_t head_len;
	uint32_t body_len;
	uint64_t seq;
};

void chan_frame_put(uint8_t out[CHAN_FRAME_LEN], const struct chan_frame *f);
/* -EPROTO unless it is a frame whose lengths are within the maxima: call before allocating. */
int must_check chan_frame_get(const uint8_t in[CHAN_FRAME_LEN], struct chan_frame *out,
			      struct err *e);
