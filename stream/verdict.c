/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

_Static_assert(LINES_MAX == 32 && LINES_LEN == 160, "see doc/PROTOCOL.md");

/* Printable, not empty, zeros behind. */
static bool line_ok(const char line[LINES_LEN])
{
	size_t n = strnlen(line, LINES_LEN);

	if (n == 0 || n == LINES_LEN)
		return false;
	for (size_t i = 0; i < LINES_LEN; i++)
		if (i < n ? line[i] < ' ' || line[i] > '~' : line[i] != 0)
			return false;
	return true;
}

int stream_verdict_get(const uint8_t *p, size_t len, struct lines *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct lines m = { 0 };
	int r = stream_prefix_get(&in, STREAM_VERDICT, e);

	if (r < 0)
		return r;
	rd_le32(&in, &m.n);
	rd_le32(&in, &m.lost);
	if (m.n > LINES_MAX || (m.lost && m.n < LINES_MAX))
		return err_set(e, -EPROTO, "VERDICT: %" PRIu32 " lines and %" PRIu32 " more", m.n,
			       m.lost);
	for (uint32_t i = 0; i < m.n; i++)
		rd_bytes(&in, m.v[i], LINES_LEN);
	r = stream_get_end(&in, STREAM_VERDICT, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m.n; i++)
		if (!line_ok(m.v[i]))
			return err_set(e, -EPROTO, "VERDICT: line %" PRIu32 " is not printable", i);
	*out = m;
	return 0;
}

/* What is not printable here is our own fault, and becomes "?". */
int stream_verdict_put(struct wr *out, const struct lines *m, struct err *e)
{
	stream_prefix_put(out, STREAM_VERDICT);
	wr_le32(out, m->n);
	wr_le32(out, m->lost);
	for (uint32_t i = 0; i < m->n && i < LINES_MAX; i++) {
		char line[LINES_LEN] = { 0 };
		size_t n = strnlen(m->v[i], LINES_LEN - 1);

		for (size_t k = 0; k < n; k++)
			line[k] = m->v[i][k] < ' ' || m->v[i][k] > '~' ? '?' : m->v[i][k];
		if (!n)
			line[0] = '?';
		wr_bytes(out, line, sizeof(line));
	}
	return stream_put_end(out, STREAM_VERDICT, e);
}
