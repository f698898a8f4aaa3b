/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/pages.h"

#include <errno.h>
#include <inttypes.h>

#define PRIVATE_ENTRY_LEN 64u
#define SHARED_ENTRY_LEN 16u
#define SHARED_ZERO 1u
#define PASS_FINAL 1u

_Static_assert(8 + 4 + STREAM_PACKET_HDR_LEN == PRIVATE_ENTRY_LEN, "see doc/PROTOCOL.md");
_Static_assert(16 + STREAM_BATCH_PAGES * (SHARED_ENTRY_LEN + PAGE_LEN) <= STREAM_HEAD_MAX,
	       "see doc/PROTOCOL.md");

/* The part that both kinds of page message begin with. */
static int batch_get(struct rd *in, uint32_t type, uint32_t *pass, uint32_t *count, struct err *e)
{
	int r = stream_prefix_get(in, type, e);

	if (r < 0)
		return r;
	rd_le32(in, pass);
	rd_le32(in, count);
	if (!rd_ok(in))
		return err_set(e, -EPROTO, "%s: short head", stream_type_name(type));
	if (*count == 0 || *count > STREAM_BATCH_PAGES)
		return err_set(e, -EPROTO, "%s: %" PRIu32 " pages", stream_type_name(type), *count);
	return 0;
}

/* Strictly ascending addresses also mean that no page comes twice in a message. */
static int page_check(uint64_t at, uint64_t *end, const struct stream_bounds *b, uint32_t type,
		      struct err *e)
{
	if (at % PAGE_LEN || at < *end)
		return err_set(e, -EPROTO, "%s: page %#" PRIx64 " is unaligned or out of order",
			       stream_type_name(type), at);
	if (!stream_bounds_have(b, at, PAGE_LEN))
		return err_set(e, -EPROTO, "%s: page %#" PRIx64 " is outside of RAM",
			       stream_type_name(type), at);
	*end = at + PAGE_LEN;
	return 0;
}

static int private_entry_get(struct rd *in, struct stream_private_entry *out)
{
	rd_le64(in, &out->at.v);
	rd_le32(in, &out->len);
	rd_bytes(in, out->hdr, sizeof(out->hdr));
	return rd_ok(in) ? 0 : -EPROTO;
}

static int private_check(const struct stream_private *m, const struct stream_bounds *b,
			 struct err *e)
{
	struct rd in = m->entries;
	uint64_t end = 0, packets = 0;

	for (uint32_t i = 0; i < m->count; i++) {
		struct stream_private_entry v = { 0 };
		int r;

		if (private_entry_get(&in, &v) < 0)
			return err_set(e, -EPROTO, "PRIVATE_PAGES: short head");
		r = page_check(v.at.v, &end, b, STREAM_PRIVATE_PAGES, e);
		if (r < 0)
			return r;
		if (v.len && v.len != PAGE_LEN)
			return err_set(e, -EPROTO,
				       "PRIVATE_PAGES: page %#" PRIx64 " has %" PRIu32 " bytes",
				       v.at.v, v.len);
		packets += v.len;
	}
	if (packets != m->packets.len)
		return err_set(e, -EPROTO, "PRIVATE_PAGES: %" PRIu32 " pages in %zu bytes",
			       m->count, m->packets.len);
	return 0;
}

int stream_private_get(const uint8_t *p, size_t len, const uint8_t *body, size_t body_len,
		       const struct stream_bounds *b, struct stream_private *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_private m = { 0 };
	const uint8_t *entries = NULL;
	int r = batch_get(&in, STREAM_PRIVATE_PAGES, &m.pass, &m.count, e);

	if (r < 0)
		return r;
	rd_span(&in, &entries, m.count * PRIVATE_ENTRY_LEN);
	r = stream_get_end(&in, STREAM_PRIVATE_PAGES, e);
	if (r < 0)
		return r;
	m.entries = rd_of(entries, m.count * PRIVATE_ENTRY_LEN);
	m.packets = rd_of(body, body_len);
	r = private_check(&m, b, e);
	if (r < 0)
		return r;
	*out = m;
	return 0;
}

int stream_private_put(struct wr *out, uint32_t pass, const struct stream_private_entry *v,
		       uint32_t n, struct err *e)
{
	stream_prefix_put(out, STREAM_PRIVATE_PAGES);
	wr_le32(out, pass);
	wr_le32(out, n);
	for (uint32_t i = 0; i < n; i++) {
		wr_le64(out, v[i].at.v);
		wr_le32(out, v[i].len);
		wr_bytes(out, v[i].hdr, sizeof(v[i].hdr));
	}
	return stream_put_end(out, STREAM_PRIVATE_PAGES, e);
}

bool stream_private_next(struct stream_private *m, struct stream_private_entry *out)
{
	if (m->entries.len == 0 || private_entry_get(&m->entries, out) < 0)
		return false;
	return rd_span(&m->packets, &out->packet, out->len) == 0;
}

static int shared_entry_get(struct rd *in, uint64_t *at, uint32_t *flags)
{
	uint32_t zero = 0;

	rd_le64(in, at);
	rd_le32(in, flags);
	rd_le32(in, &zero);
	return rd_ok(in) && !zero && !(*flags & ~SHARED_ZERO) ? 0 : -EPROTO;
}

static int shared_check(struct stream_shared *m, const struct stream_bounds *b, struct err *e)
{
	struct rd in = m->entries;
	uint64_t end = 0;

	for (uint32_t i = 0; i < m->count; i++) {
		uint64_t at = 0;
		uint32_t flags = 0;
		int r;

		if (shared_entry_get(&in, &at, &flags) < 0)
			return err_set(e, -EPROTO, "SHARED_PAGES: entry %" PRIu32 " is malformed",
				       i);
		r = page_check(at, &end, b, STREAM_SHARED_PAGES, e);
		if (r < 0)
			return r;
		if (at < b->private_below)
			return err_set(e, -EPROTO,
				       "SHARED_PAGES: page %#" PRIx64 " is always private", at);
		m->zeros += flags & SHARED_ZERO;
	}
	return 0;
}

int stream_shared_get(const uint8_t *p, size_t len, const struct stream_bounds *b,
		      struct stream_shared *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_shared m = { 0 };
	const uint8_t *entries = NULL;
	int r = batch_get(&in, STREAM_SHARED_PAGES, &m.pass, &m.count, e);

	if (r < 0)
		return r;
	if (rd_span(&in, &entries, m.count * SHARED_ENTRY_LEN) < 0)
		return err_set(e, -EPROTO, "SHARED_PAGES: short head");
	m.entries = rd_of(entries, m.count * SHARED_ENTRY_LEN);
	m.data = in;
	r = shared_check(&m, b, e);
	if (r < 0)
		return r;
	if (m.data.len != (size_t)(m.count - m.zeros) * PAGE_LEN)
		return err_set(e, -EPROTO, "SHARED_PAGES: %" PRIu32 " pages in %zu bytes",
			       m.count - m.zeros, m.data.len);
	*out = m;
	return 0;
}

int stream_shared_put(struct wr *out, uint32_t pass, const struct stream_shared_entry *v,
		      uint32_t n, struct err *e)
{
	stream_prefix_put(out, STREAM_SHARED_PAGES);
	wr_le32(out, pass);
	wr_le32(out, n);
	for (uint32_t i = 0; i < n; i++) {
		wr_le64(out, v[i].at.v);
		wr_le32(out, v[i].data ? 0 : SHARED_ZERO);
		wr_le32(out, 0);
	}
	for (uint32_t i = 0; i < n; i++)
		if (v[i].data)
			wr_bytes(out, v[i].data, PAGE_LEN);
	return stream_put_end(out, STREAM_SHARED_PAGES, e);
}

bool stream_shared_next(struct stream_shared *m, struct stream_shared_entry *out)
{
	uint32_t flags = 0;

	if (m->entries.len == 0 || shared_entry_get(&m->entries, &out->at.v, &flags) < 0)
		return false;
	out->data = NULL;
	return (flags & SHARED_ZERO) || rd_span(&m->data, &out->data, PAGE_LEN) == 0;
}

int stream_pass_get(const uint8_t *p, size_t len, struct stream_pass *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_pass m = { 0 };
	uint32_t flags = 0;
	uint64_t zero = 0;
	int r = stream_prefix_get(&in, STREAM_PASS, e);

	if (r < 0)
		return r;
	rd_le32(&in, &m.pass);
	rd_le32(&in, &flags);
	rd_le64(&in, &m.pages);
	rd_le64(&in, &m.private_sent);
	rd_le64(&in, &m.shared_sent);
	rd_le64(&in, &m.zero_sent);
	rd_le64(&in, &zero);
	r = stream_get_end(&in, STREAM_PASS, e);
	if (r < 0)
		return r;
	if (m.pass == 0 || (flags & ~PASS_FINAL) || zero)
		return err_set(e, -EPROTO, "PASS: number %" PRIu32 ", flags %#" PRIx32, m.pass,
			       flags);
	m.final = flags & PASS_FINAL;
	*out = m;
	return 0;
}

int stream_pass_put(struct wr *out, const struct stream_pass *m, struct err *e)
{
	stream_prefix_put(out, STREAM_PASS);
	wr_le32(out, m->pass);
	wr_le32(out, m->final ? PASS_FINAL : 0);
	wr_le64(out, m->pages);
	wr_le64(out, m->private_sent);
	wr_le64(out, m->shared_sent);
	wr_le64(out, m->zero_sent);
	wr_le64(out, 0);
	return stream_put_end(out, STREAM_PASS, e);
}
