/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/list.h"

#include <errno.h>
#include <inttypes.h>

#define ENTRY_LEN 16u
#define LAST 1u
#define FRAME_MAX (UINT64_MAX >> PAGE_SHIFT)

_Static_assert(16 + STREAM_LIST_MAX * ENTRY_LEN <= STREAM_HEAD_MAX, "see doc/PROTOCOL.md");

static int entry_get(struct rd *in, struct range *out)
{
	rd_le64(in, &out->start);
	rd_le64(in, &out->end);
	return rd_ok(in) ? 0 : -EPROTO;
}

static int entries_check(struct stream_list *m, const struct stream_bounds *b, struct err *e)
{
	struct rd in = m->entries;

	for (uint32_t i = 0; i < m->count; i++) {
		struct range v = { 0 };

		if (entry_get(&in, &v) < 0 || v.start >= v.end || v.end > FRAME_MAX)
			return err_set(e, -EPROTO, "SHARED_LIST: interval %#" PRIx64 "..%#" PRIx64,
				       v.start, v.end);
		if (v.start < m->end)
			return err_set(e, -EPROTO,
				       "SHARED_LIST: interval %#" PRIx64 " is out of order",
				       v.start);
		if (!stream_bounds_have(b, v.start << PAGE_SHIFT, (v.end - v.start) << PAGE_SHIFT))
			return err_set(e, -EPROTO,
				       "SHARED_LIST: interval %#" PRIx64 "..%#" PRIx64
				       " is outside of RAM",
				       v.start, v.end);
		m->end = v.end;
	}
	return 0;
}

int stream_list_get(const uint8_t *p, size_t len, const struct stream_bounds *b, uint64_t after,
		    struct stream_list *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_list m = { .end = after };
	const uint8_t *entries = NULL;
	uint32_t flags = 0;
	int r = stream_prefix_get(&in, STREAM_SHARED_LIST, e);

	if (r < 0)
		return r;
	rd_le32(&in, &m.count);
	rd_le32(&in, &flags);
	if (!rd_ok(&in))
		return err_set(e, -EPROTO, "SHARED_LIST: short head");
	m.last = flags & LAST;
	if (m.count > STREAM_LIST_MAX || (flags & ~LAST) || (m.count == 0 && !m.last))
		return err_set(e, -EPROTO, "SHARED_LIST: %" PRIu32 " intervals, flags %#" PRIx32,
			       m.count, flags);
	rd_span(&in, &entries, (size_t)m.count * ENTRY_LEN);
	r = stream_get_end(&in, STREAM_SHARED_LIST, e);
	if (r < 0)
		return r;
	m.entries = rd_of(entries, (size_t)m.count * ENTRY_LEN);
	r = entries_check(&m, b, e);
	if (r < 0)
		return r;
	*out = m;
	return 0;
}

int stream_list_put(struct wr *out, const struct range *v, uint32_t n, bool last, struct err *e)
{
	stream_prefix_put(out, STREAM_SHARED_LIST);
	wr_le32(out, n);
	wr_le32(out, last ? LAST : 0);
	for (uint32_t i = 0; i < n; i++) {
		wr_le64(out, v[i].start);
		wr_le64(out, v[i].end);
	}
	return stream_put_end(out, STREAM_SHARED_LIST, e);
}

bool stream_list_next(struct stream_list *m, struct range *out)
{
	return m->entries.len >= ENTRY_LEN && entry_get(&m->entries, out) == 0;
}
