/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing byte buffer. In place: zero-initialise, buf_fini() at the end (NULL-safe, repeatable).
 * Growing can fail with -ENOMEM; the old content is then intact. */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

struct buf {
	uint8_t *p;
	size_t len;
	size_t cap;
};

/* Make room for extra more bytes behind len. */
int must_check buf_reserve(struct buf *b, size_t extra, struct err *e);
int must_check buf_add(struct buf *b, const void *p, size_t len, struct err *e);
int must_check buf_add_le32(struct buf *b, uint32_t v, struct err *e);
int must_check buf_add_le64(struct buf *b, uint64_t v, struct err *e);
void buf_reset(struct buf *b); /* forget the content, keep the memory */
void buf_fini(struct buf *b);

#define auto_buf cleanup_with(buf_fini)
