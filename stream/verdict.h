/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What keeps a target from taking a guest: doc/PROTOCOL.md 3.15. No line means: nothing. */

#include "base/lines.h"
#include "stream/stream.h"

int must_check stream_verdict_get(const uint8_t *p, size_t len, struct lines *out, struct err *e);
int must_check stream_verdict_put(struct wr *out, const struct lines *m, struct err *e);
