/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/state.h"

#include <errno.h>
#include <inttypes.h>

_Static_assert(32 + STREAM_STATE_PART_MAX <= STREAM_HEAD_MAX, "see doc/PROTOCOL.md");

static int numbers_check(const struct stream_state *m, uint64_t have, uint64_t total, struct err *e)
{
	if (m->total == 0 || m->total > STREAM_STATE_MAX || (total && m->total != total))
		return err_set(e, -EPROTO, "STATE: %" PRIu64 " bytes in all", m->total);
	if (m->offset != have)
		return err_set(e, -EPROTO, "STATE: part at %" PRIu64 ", expected at %" PRIu64,
			       m->offset, have);
	if (m->len == 0 || m->len > STREAM_STATE_PART_MAX || m->offset >= m->total ||
	    m->len > m->total - m->offset)
		return err_set(e, -EPROTO, "STATE: part of %" PRIu32 " bytes", m->len);
	return 0;
}

int stream_state_get(const uint8_t *p, size_t len, uint64_t have, uint64_t total,
		     struct stream_state *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_state m = { 0 };
	uint32_t zero = 0;
	int r = stream_prefix_get(&in, STREAM_STATE, e);

	if (r < 0)
		return r;
	rd_le64(&in, &m.total);
	rd_le64(&in, &m.offset);
	rd_le32(&in, &m.len);
	rd_le32(&in, &zero);
	if (!rd_ok(&in) || zero)
		return err_set(e, -EPROTO, "STATE: short or malformed head");
	r = numbers_check(&m, have, total, e);
	if (r < 0)
		return r;
	rd_span(&in, &m.data, m.len);
	r = stream_get_end(&in, STREAM_STATE, e);
	if (r < 0)
		return r;
	m.last = m.offset + m.len == m.total;
	*out = m;
	return 0;
}

int stream_state_put(struct wr *out, const struct stream_state *m, struct err *e)
{
	stream_prefix_put(out, STREAM_STATE);
	wr_le64(out, m->total);
	wr_le64(out, m->offset);
	wr_le32(out, m->len);
	wr_le32(out, 0);
	wr_bytes(out, m->data, m->len);
	return stream_put_end(out, STREAM_STATE, e);
}
