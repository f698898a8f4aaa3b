/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A running SHA-256 over messages, kept by both ends of a channel over what one sent and the other
 * received: for each u32 type, u64 head length, u64 body length (little endian), head. Bodies are
 * left out: whoever sealed one bound it to its head.
 */

#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "chan/chan.h"

#define CHAN_DIGEST_LEN 32

struct chan_digest;
int must_check chan_digest_new(struct chan_digest **out, struct err *e);
int must_check chan_digest_add(struct chan_digest *d, const struct chan_msg *m, struct err *e);
/* Of what was added so far; adding may go on. */
int must_check chan_digest_get(const struct chan_digest *d, uint8_t out[CHAN_DIGEST_LEN],
			       struct err *e);
void chan_digest_free(struct chan_digest *d);

DEFINE_AUTO(chan_digest, struct chan_digest *, chan_digest_free)
