/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/end.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

_Static_assert(STREAM_ABORT_CANCELLED == 7 && STREAM_PHASE_PASSES == 3, "see doc/PROTOCOL.md");

int stream_end_get(const uint8_t *p, size_t len, struct stream_end *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_end m = { 0 };
	uint32_t zero32 = 0;
	uint64_t zero = 0;
	int r = stream_prefix_get(&in, STREAM_END, e);

	if (r < 0)
		return r;
	rd_le64(&in, &m.private_sent);
	rd_le64(&in, &m.shared_sent);
	rd_le64(&in, &m.zero_sent);
	rd_le32(&in, &m.passes);
	rd_le32(&in, &zero32);
	rd_bytes(&in, m.digest, sizeof(m.digest));
	rd_le64(&in, &zero);
	r = stream_get_end(&in, STREAM_END, e);
	if (r < 0)
		return r;
	if (m.passes == 0 || zero32 || zero)
		return err_set(e, -EPROTO, "END: %" PRIu32 " passes, or a field that must be zero",
			       m.passes);
	*out = m;
	return 0;
}

int stream_end_put(struct wr *out, const struct stream_end *m, struct err *e)
{
	stream_prefix_put(out, STREAM_END);
	wr_le64(out, m->private_sent);
	wr_le64(out, m->shared_sent);
	wr_le64(out, m->zero_sent);
	wr_le32(out, m->passes);
	wr_le32(out, 0);
	wr_bytes(out, m->digest, sizeof(m->digest));
	wr_le64(out, 0);
	return stream_put_end(out, STREAM_END, e);
}

int stream_ready_get(const uint8_t *p, size_t len, struct stream_ready *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_ready m = { 0 };
	int r = stream_prefix_get(&in, STREAM_READY, e);

	if (r < 0)
		return r;
	rd_bytes(&in, m.digest, sizeof(m.digest));
	r = stream_get_end(&in, STREAM_READY, e);
	if (r < 0)
		return r;
	*out = m;
	return 0;
}

int stream_ready_put(struct wr *out, const struct stream_ready *m, struct err *e)
{
	stream_prefix_put(out, STREAM_READY);
	wr_bytes(out, m->digest, sizeof(m->digest));
	return stream_put_end(out, STREAM_READY, e);
}

int stream_id_get(const uint8_t *p, size_t len, uint32_t type, struct stream_id *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_id m = { 0 };
	int r = stream_prefix_get(&in, type, e);

	if (r < 0)
		return r;
	rd_bytes(&in, m.id, sizeof(m.id));
	r = stream_get_end(&in, type, e);
	if (r < 0)
		return r;
	*out = m;
	return 0;
}

int stream_id_put(struct wr *out, uint32_t type, const struct stream_id *m, struct err *e)
{
	stream_prefix_put(out, type);
	wr_bytes(out, m->id, sizeof(m->id));
	return stream_put_end(out, type, e);
}

int stream_answer_get(const uint8_t *p, size_t len, struct stream_answer *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_answer m = { 0 };
	uint32_t zero = 0;
	int r = stream_prefix_get(&in, STREAM_ANSWER, e);

	if (r < 0)
		return r;
	rd_bytes(&in, m.id, sizeof(m.id));
	rd_le32(&in, &m.phase);
	rd_le32(&in, &zero);
	r = stream_get_end(&in, STREAM_ANSWER, e);
	if (r < 0)
		return r;
	if (m.phase < STREAM_PHASE_READY || m.phase > STREAM_PHASE_PASSES || zero)
		return err_set(e, -EPROTO, "ANSWER: phase %" PRIu32, m.phase);
	*out = m;
	return 0;
}

int stream_answer_put(struct wr *out, const struct stream_answer *m, struct err *e)
{
	stream_prefix_put(out, STREAM_ANSWER);
	wr_bytes(out, m->id, sizeof(m->id));
	wr_le32(out, m->phase);
	wr_le32(out, 0);
	return stream_put_end(out, STREAM_ANSWER, e);
}

int stream_abort_get(const uint8_t *p, size_t len, struct stream_abort *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_abort m = { 0 };
	uint32_t n = 0;
	int r = stream_prefix_get(&in, STREAM_ABORT, e);

	if (r < 0)
		return r;
	rd_le32(&in, &m.code);
	rd_le32(&in, &n);
	if (!rd_ok(&in) || n > STREAM_REASON_MAX)
		return err_set(e, -EPROTO, "ABORT: a reason of %" PRIu32 " bytes", n);
	rd_bytes(&in, m.reason, n);
	r = stream_get_end(&in, STREAM_ABORT, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) /* it will be shown on a terminal */
		if (m.reason[i] < 0x20 || m.reason[i] > 0x7e)
			m.reason[i] = '?';
	if (m.code == 0 || m.code > STREAM_ABORT_CANCELLED)
		m.code = STREAM_ABORT_FAILED;
	*out = m;
	return 0;
}

int stream_abort_put(struct wr *out, uint32_t code, const char *reason, struct err *e)
{
	size_t n = strnlen(reason, STREAM_REASON_MAX);

	stream_prefix_put(out, STREAM_ABORT);
	wr_le32(out, code);
	wr_le32(out, (uint32_t)n);
	wr_bytes(out, reason, n);
	return stream_put_end(out, STREAM_ABORT, e);
}
