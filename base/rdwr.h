/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Cursors over bytes. A struct rd reads from a borrowed span and never past its end; a struct wr
 * writes into a borrowed span of fixed size. All integers on every sevmig wire and file are little
 * endian. A short read or write returns -EMSGSIZE, leaves the output untouched and marks the
 * cursor as failed, so a sequence of calls can be checked once at the end with rd_ok()/wr_ok().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd {
	const uint8_t *p;
	size_t len; /* bytes left */
	bool failed;
};

struct wr {
	uint8_t *p;
	size_t cap;
	size_t len; /* bytes written */
	bool failed;
};

static inline struct rd rd_of(const void *p, size_t len)
{
	return (struct rd){ .p = (const uint8_t *)p, .len = len };
}

static inline struct wr wr_of(void *p, size_t cap)
{
	return (struct wr){ .p = (uint8_t *)p, .cap = cap };
}

int rd_u8(struct rd *in, uint8_t *out);
int rd_le16(struct rd *in, uint16_t *out);
int rd_le32(struct rd *in, uint32_t *out);
int rd_le64(struct rd *in, uint64_t *out);
int rd_bytes(struct rd *in, void *out, size_t len);
/* Borrow the next len bytes without copying. */
int rd_span(struct rd *in, const uint8_t **out, size_t len);
int rd_skip(struct rd *in, size_t len);
/* True when nothing failed and nothing is left over. */
bool rd_done(const struct rd *in);
static inline bool rd_ok(const struct rd *in)
{
	return !in->failed;
}

int wr_u8(struct wr *out, uint8_t v);
int wr_le16(struct wr *out, uint16_t v);
int wr_le32(struct wr *out, uint32_t v);
int wr_le64(struct wr *out, uint64_t v);
int wr_bytes(struct wr *out, const void *p, size_t len);
int wr_zero(struct wr *out, size_t len);
/* Reserve len bytes to be filled by the caller. */
int wr_span(struct wr *out, uint8_t **p, size_t len);
static inline bool wr_ok(const struct wr *out)
{
	return !out->failed;
}
