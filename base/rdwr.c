/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rdwr.h"

#include <errno.h>
#include <string.h>

int rd_span(struct rd *in, const uint8_t **out, size_t len)
{
	if (in->failed || len > in->len) {
		in->failed = true;
		return -EMSGSIZE;
	}
	*out = in->p;
	in->p += len;
	in->len -= len;
	return 0;
}

int rd_bytes(struct rd *in, void *out, size_t len)
{
	const uint8_t *p;

	if (rd_span(in, &p, len))
		return -EMSGSIZE;
	if (len)
		memcpy(out, p, len);
	return 0;
}

int rd_skip(struct rd *in, size_t len)
{
	const uint8_t *p;

	return rd_span(in, &p, len);
}

static int rd_le(struct rd *in, uint64_t *out, size_t n)
{
	const uint8_t *p;
	uint64_t v = 0;

	if (rd_span(in, &p, n))
		return -EMSGSIZE;
	for (size_t i = n; i-- > 0;)
		v = v << 8 | p[i];
	*out = v;
	return 0;
}

int rd_u8(struct rd *in, uint8_t *out)
{
	return rd_bytes(in, out, 1);
}

int rd_le16(struct rd *in, uint16_t *out)
{
	uint64_t v;

	if (rd_le(in, &v, 2))
		return -EMSGSIZE;
	*out = (uint16_t)v;
	return 0;
}

int rd_le32(struct rd *in, uint32_t *out)
{
	uint64_t v;

	if (rd_le(in, &v, 4))
		return -EMSGSIZE;
	*out = (uint32_t)v;
	return 0;
}

int rd_le64(struct rd *in, uint64_t *out)
{
	return rd_le(in, out, 8);
}

bool rd_done(const struct rd *in)
{
	return !in->failed && in->len == 0;
}

int wr_span(struct wr *out, uint8_t **p, size_t len)
{
	if (out->failed || len > out->cap - out->len) {
		out->failed = true;
		return -EMSGSIZE;
	}
	*p = out->p + out->len;
	out->len += len;
	return 0;
}

int wr_bytes(struct wr *out, const void *p, size_t len)
{
	uint8_t *to;

	if (wr_span(out, &to, len))
		return -EMSGSIZE;
	if (len)
		memcpy(to, p, len);
	return 0;
}

int wr_zero(struct wr *out, size_t len)
{
	uint8_t *to;

	if (wr_span(out, &to, len))
		return -EMSGSIZE;
	if (len)
		memset(to, 0, len);
	return 0;
}

static int wr_le(struct wr *out, uint64_t v, size_t n)
{
	uint8_t *to;

	if (wr_span(out, &to, n))
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(v >> (8 * i));
	return 0;
}

int wr_u8(struct wr *out, uint8_t v)
{
	return wr_le(out, v, 1);
}

int wr_le16(struct wr *out, uint16_t v)
{
	return wr_le(out, v, 2);
}

int wr_le32(struct wr *out, uint32_t v)
{
	return wr_le(out, v, 4);
}

int wr_le64(struct wr *out, uint64_t v)
{
	return wr_le(out, v, 8);
}
