/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/hello.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

_Static_assert(sizeof(STREAM_MAGIC) == STREAM_MAGIC_LEN + 1, "see doc/PROTOCOL.md");
_Static_assert(STREAM_PLAT_LEN == 6252 && STREAM_AMD_NAPLES_LEN == 1664 &&
		       STREAM_AMD_NAPLES_BARE_LEN == 1408 && STREAM_AMD_LEN == 3200,
	       "see doc/PROTOCOL.md");

static int magic_get(struct rd *in, const char *what, struct err *e)
{
	uint8_t magic[STREAM_MAGIC_LEN];

	if (rd_bytes(in, magic, sizeof(magic)) < 0 || memcmp(magic, STREAM_MAGIC, sizeof(magic)))
		return err_set(e, -EPROTO, "%s: the peer does not speak this protocol", what);
	return 0;
}

/* What follows the known fields is a later version's and ignored; hence no stream_get_end(). */
int stream_hello_get(const uint8_t *p, size_t len, struct stream_hello *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_hello m = { 0 };
	int r = stream_prefix_get(&in, STREAM_HELLO, e);

	if (r < 0 || (r = magic_get(&in, "HELLO", e)) < 0)
		return r;
	rd_le16(&in, &m.version_min);
	rd_le16(&in, &m.version_max);
	rd_le32(&in, &m.role);
	rd_le64(&in, &m.capabilities);
	rd_bytes(&in, m.id, sizeof(m.id));
	rd_skip(&in, 8);
	if (!rd_ok(&in))
		return err_set(e, -EPROTO, "HELLO: short head");
	if (m.version_min == 0 || m.version_min > m.version_max)
		return err_set(e, -EPROTO, "HELLO: versions %u to %u", m.version_min,
			       m.version_max);
	if (m.role < STREAM_ROLE_NEW || m.role > STREAM_ROLE_ASK)
		return err_set(e, -EPROTO, "HELLO: role %" PRIu32, m.role);
	*out = m;
	return 0;
}

int stream_hello_put(struct wr *out, const struct stream_hello *m, struct err *e)
{
	stream_prefix_put(out, STREAM_HELLO);
	wr_bytes(out, STREAM_MAGIC, STREAM_MAGIC_LEN);
	wr_le16(out, m->version_min);
	wr_le16(out, m->version_max);
	wr_le32(out, m->role);
	wr_le64(out, m->capabilities);
	wr_bytes(out, m->id, sizeof(m->id));
	wr_zero(out, 8);
	return stream_put_end(out, STREAM_HELLO, e);
}

static int chain_get(struct rd *in, const uint32_t len[3], struct stream_hello_reply *m,
		     struct err *e)
{
	if (len[0] == 0 && len[1] == 0 && len[2] == 0)
		return 0;
	if (len[0] != STREAM_CERT_LEN || len[1] != STREAM_PLAT_LEN ||
	    (len[2] != STREAM_AMD_LEN && len[2] != STREAM_AMD_NAPLES_LEN &&
	     len[2] != STREAM_AMD_NAPLES_BARE_LEN))
		return err_set(e, -EPROTO,
			       "HELLO_REPLY: certificates of %" PRIu32 ", %" PRIu32 ", %" PRIu32
			       " bytes",
			       len[0], len[1], len[2]);
	rd_span(in, &m->pdh, len[0]);
	rd_span(in, &m->plat, len[1]);
	rd_span(in, &m->amd, len[2]);
	m->amd_len = len[2];
	return rd_ok(in) ? 0 : err_set(e, -EPROTO, "HELLO_REPLY: short head");
}

int stream_hello_reply_get(const uint8_t *p, size_t len, struct stream_hello_reply *out,
			   struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_hello_reply m = { 0 };
	uint32_t chain[3] = { 0 };
	int r = stream_prefix_get(&in, STREAM_HELLO_REPLY, e);

	if (r < 0 || (r = magic_get(&in, "HELLO_REPLY", e)) < 0)
		return r;
	rd_le16(&in, &m.version);
	rd_u8(&in, &m.api_major);
	rd_u8(&in, &m.api_minor);
	rd_le32(&in, &m.build);
	rd_le64(&in, &m.capabilities);
	for (unsigned i = 0; i < 3; i++)
		rd_le32(&in, &chain[i]);
	rd_skip(&in, 4);
	if (!rd_ok(&in))
		return err_set(e, -EPROTO, "HELLO_REPLY: short head");
	if (m.version < STREAM_VERSION_MIN || m.version > STREAM_VERSION_MAX)
		return err_set(e, -EPROTO, "HELLO_REPLY: version %u was not offered", m.version);
	r = chain_get(&in, chain, &m, e);
	if (r < 0)
		return r;
	if ((m.capabilities & STREAM_CAP_HANDLER) && rd_span(&in, &m.nonce, STREAM_NONCE_LEN) < 0)
		return err_set(e, -EPROTO, "HELLO_REPLY: short head");
	*out = m;
	return 0;
}

int stream_hello_reply_put(struct wr *out, const struct stream_hello_reply *m, struct err *e)
{
	bool chain = m->pdh && m->plat && m->amd;

	stream_prefix_put(out, STREAM_HELLO_REPLY);
	wr_bytes(out, STREAM_MAGIC, STREAM_MAGIC_LEN);
	wr_le16(out, m->version);
	wr_u8(out, m->api_major);
	wr_u8(out, m->api_minor);
	wr_le32(out, m->build);
	wr_le64(out, m->capabilities | (m->nonce ? STREAM_CAP_HANDLER : 0));
	wr_le32(out, chain ? STREAM_CERT_LEN : 0);
	wr_le32(out, chain ? STREAM_PLAT_LEN : 0);
	wr_le32(out, chain ? m->amd_len : 0);
	wr_zero(out, 4);
	if (chain) {
		wr_bytes(out, m->pdh, STREAM_CERT_LEN);
		wr_bytes(out, m->plat, STREAM_PLAT_LEN);
		wr_bytes(out, m->amd, m->amd_len);
	}
	if (m->nonce)
		wr_bytes(out, m->nonce, STREAM_NONCE_LEN);
	return stream_put_end(out, STREAM_HELLO_REPLY, e);
}

uint16_t stream_version_choose(const struct stream_hello *m)
{
	uint16_t top = m->version_max < STREAM_VERSION_MAX ? m->version_max : STREAM_VERSION_MAX;

	return top >= m->version_min && top >= STREAM_VERSION_MIN ? top : 0;
}
