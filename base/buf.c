/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int buf_reserve(struct buf *b, size_t extra, struct err *e)
{
	size_t want, cap;
	uint8_t *p;

	if (__builtin_add_overflow(b->len, extra, &want))
		return err_set(e, -ENOMEM, "buffer of more than the address space");
	if (want <= b->cap)
		return 0;
	cap = b->cap ? b->cap : 256;
	while (cap < want)
		if (__builtin_mul_overflow(cap, 2, &cap))
			cap = want;
	p = realloc(b->p, cap);
	if (!p)
		return err_set(e, -ENOMEM, "no memory for a buffer of %zu bytes", cap);
	b->p = p;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t len, struct err *e)
{
	int r = buf_reserve(b, len, e);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->p + b->len, p, len);
	b->len += len;
	return 0;
}

int buf_add_le32(struct buf *b, uint32_t v, struct err *e)
{
	uint8_t le[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };

	return buf_add(b, le, sizeof(le), e);
}

int buf_add_le64(struct buf *b, uint64_t v, struct err *e)
{
	int r = buf_add_le32(b, (uint32_t)v, e);

	return r < 0 ? r : buf_add_le32(b, (uint32_t)(v >> 32), e);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}
