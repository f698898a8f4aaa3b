/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/stream.h"

#include <errno.h>
#include <inttypes.h>

#define LAYOUT 1u
#define RAM_END_MAX (1ull << 52) /* what x86 can address */

static const char *const names[STREAM_TYPES] = {
	[STREAM_HELLO] = "HELLO",
	[STREAM_HELLO_REPLY] = "HELLO_REPLY",
	[STREAM_START] = "START",
	[STREAM_PRIVATE_PAGES] = "PRIVATE_PAGES",
	[STREAM_SHARED_PAGES] = "SHARED_PAGES",
	[STREAM_PASS] = "PASS",
	[STREAM_SHARED_LIST] = "SHARED_LIST",
	[STREAM_STATE] = "STATE",
	[STREAM_END] = "END",
	[STREAM_READY] = "READY",
	[STREAM_COMMIT] = "COMMIT",
	[STREAM_RUNNING] = "RUNNING",
	[STREAM_DONE] = "DONE",
	[STREAM_QUERY] = "QUERY",
	[STREAM_ANSWER] = "ANSWER",
	[STREAM_ABORT] = "ABORT",
	[STREAM_VMSA] = "VMSA",
	[STREAM_VERDICT] = "VERDICT",
	[STREAM_MANIFEST] = "MANIFEST",
};

const char *stream_type_name(uint32_t type)
{
	return type < STREAM_TYPES ? names[type] : NULL;
}

bool stream_bounds_have(const struct stream_bounds *b, uint64_t at, uint64_t len)
{
	for (uint32_t i = 0; i < b->nram; i++) {
		const struct stream_span *s = &b->ram[i];

		if (at >= s->at && at - s->at < s->size)
			return len <= s->size - (at - s->at);
	}
	return false;
}

int stream_bounds_check(const struct stream_bounds *b, struct err *e)
{
	uint64_t end = 0;

	if (b->nram == 0 || b->nram > STREAM_RAM_MAX)
		return err_set(e, -EPROTO, "%" PRIu32 " RAM ranges", b->nram);
	for (uint32_t i = 0; i < b->nram; i++) {
		const struct stream_span *s = &b->ram[i];

		if (s->size == 0 || (s->at | s->size) % PAGE_LEN)
			return err_set(e, -EPROTO, "RAM range %#" PRIx64 "+%#" PRIx64, s->at,
				       s->size);
		if (s->at < end)
			return err_set(e, -EPROTO, "RAM range %#" PRIx64 " is out of order", s->at);
		if (s->size > RAM_END_MAX || s->at > RAM_END_MAX - s->size)
			return err_set(e, -EPROTO, "RAM range %#" PRIx64 " ends too high", s->at);
		end = s->at + s->size;
	}
	return 0;
}

int stream_prefix_get(struct rd *in, uint32_t type, struct err *e)
{
	uint32_t got = 0;
	uint16_t layout = 0, zero = 0;

	rd_le32(in, &got);
	rd_le16(in, &layout);
	rd_le16(in, &zero);
	if (!rd_ok(in))
		return err_set(e, -EPROTO, "%s: short head", names[type]);
	if (got != type)
		return err_set(e, -EPROTO, "%s: the head says type %" PRIu32, names[type], got);
	if (layout != LAYOUT || zero)
		return err_set(e, -EPROTO, "%s: layout %u", names[type], layout);
	return 0;
}

void stream_prefix_put(struct wr *out, uint32_t type)
{
	wr_le32(out, type);
	wr_le16(out, LAYOUT);
	wr_le16(out, 0);
}

int stream_put_end(const struct wr *out, uint32_t type, struct err *e)
{
	return wr_ok(out) ? 0 : err_set(e, -EMSGSIZE, "%s: does not fit", names[type]);
}

int stream_get_end(const struct rd *in, uint32_t type, struct err *e)
{
	if (!rd_ok(in))
		return err_set(e, -EPROTO, "%s: short head", names[type]);
	if (!rd_done(in))
		return err_set(e, -EPROTO, "%s: %zu bytes too many", names[type], in->len);
	return 0;
}
