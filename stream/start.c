/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/start.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PREFAULT_PRIVATE 1u
#define VCPUS_MAX 4096u
#define FIXED_LEN 2308u /* up to the RAM ranges */

_Static_assert(STREAM_PREFIX_LEN + 6 * 4 + STREAM_NAME_LEN + STREAM_SESSION_LEN + STREAM_CERT_LEN ==
		       FIXED_LEN,
	       "see doc/PROTOCOL.md");
_Static_assert(FIXED_LEN + STREAM_RAM_MAX * 16 + STREAM_MACHINE_MAX +
			       STREAM_PREFAULT_MAX * STREAM_PREFAULT_LEN <=
		       STREAM_HEAD_MAX,
	       "see doc/PROTOCOL.md");

static int name_check(const char name[STREAM_NAME_LEN], struct err *e)
{
	size_t n = strnlen(name, STREAM_NAME_LEN);

	if (n == STREAM_NAME_LEN)
		return err_set(e, -EPROTO, "START: the name has no end");
	for (size_t i = 0; i < STREAM_NAME_LEN; i++)
		if (i < n ? name[i] < 0x20 || name[i] > 0x7e : name[i] != 0)
			return err_set(e, -EPROTO, "START: the name is not printable");
	return 0;
}

static int numbers_check(const struct stream_start *m, struct err *e)
{
	if (m->vcpus == 0 || m->vcpus > VCPUS_MAX)
		return err_set(e, -EPROTO, "START: %" PRIu32 " vCPUs", m->vcpus);
	if (m->cbit < PAGE_SHIFT || m->cbit > 62)
		return err_set(e, -EPROTO, "START: C-bit %" PRIu32, m->cbit);
	if (m->ram.nram == 0 || m->ram.nram > STREAM_RAM_MAX)
		return err_set(e, -EPROTO, "START: %" PRIu32 " RAM ranges", m->ram.nram);
	if (m->machine_len > STREAM_MACHINE_MAX)
		return err_set(e, -EPROTO, "START: machine of %" PRIu32 " bytes", m->machine_len);
	if (m->nprefault > STREAM_PREFAULT_MAX)
		return err_set(e, -EPROTO, "START: %" PRIu32 " ranges to come", m->nprefault);
	return 0;
}

static int prefault_get(struct rd *in, struct stream_prefault *out)
{
	uint32_t flags = 0;

	rd_le64(in, &out->at);
	rd_le32(in, &out->pages);
	rd_le32(in, &flags);
	out->is_private = flags & PREFAULT_PRIVATE;
	return rd_ok(in) && !(flags & ~PREFAULT_PRIVATE) ? 0 : -EPROTO;
}

static int prefault_check(const struct stream_start *m, struct err *e)
{
	struct rd in = m->prefault;
	uint64_t end = 0;

	for (uint32_t i = 0; i < m->nprefault; i++) {
		struct stream_prefault f = { 0 };
		uint64_t len;

		if (prefault_get(&in, &f) < 0 || f.at % PAGE_LEN || f.pages == 0)
			return err_set(e, -EPROTO, "START: range %" PRIu32 " to come is malformed",
				       i);
		len = (uint64_t)f.pages * PAGE_LEN;
		if (f.at < end || !stream_bounds_have(&m->ram, f.at, len))
			return err_set(e, -EPROTO,
				       "START: range %#" PRIx64 "+%#" PRIx64
				       " to come is out of order or of RAM",
				       f.at, len);
		end = f.at + len;
	}
	return 0;
}

static int ram_get(struct rd *in, struct stream_start *m, struct err *e)
{
	for (uint32_t i = 0; i < m->ram.nram; i++) {
		rd_le64(in, &m->ram.ram[i].at);
		rd_le64(in, &m->ram.ram[i].size);
	}
	if (!rd_ok(in))
		return err_set(e, -EPROTO, "START: short head");
	return stream_bounds_check(&m->ram, e) < 0 ? err_wrap(e, -EPROTO, "START") : 0;
}

int stream_start_get(const uint8_t *p, size_t len, struct stream_start *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_start m = { 0 };
	const uint8_t *prefault = NULL;
	int r = stream_prefix_get(&in, STREAM_START, e);

	if (r < 0)
		return r;
	rd_le32(&in, &m.policy);
	rd_le32(&in, &m.vcpus);
	rd_le32(&in, &m.cbit);
	rd_le32(&in, &m.ram.nram);
	rd_le32(&in, &m.machine_len);
	rd_le32(&in, &m.nprefault);
	rd_bytes(&in, m.name, sizeof(m.name));
	rd_span(&in, &m.session, STREAM_SESSION_LEN);
	rd_span(&in, &m.pdh, STREAM_CERT_LEN);
	if (!rd_ok(&in))
		return err_set(e, -EPROTO, "START: short head");
	if ((r = numbers_check(&m, e)) < 0 || (r = name_check(m.name, e)) < 0 ||
	    (r = ram_get(&in, &m, e)) < 0)
		return r;
	rd_span(&in, &m.machine, m.machine_len);
	rd_span(&in, &prefault, m.nprefault * STREAM_PREFAULT_LEN);
	if ((r = stream_get_end(&in, STREAM_START, e)) < 0)
		return r;
	m.prefault = rd_of(prefault, m.nprefault * STREAM_PREFAULT_LEN);
	if ((r = prefault_check(&m, e)) < 0)
		return r;
	*out = m;
	return 0;
}

int stream_start_put(struct wr *out, const struct stream_start *m, struct err *e)
{
	char name[STREAM_NAME_LEN] = { 0 };

	memcpy(name, m->name, strnlen(m->name, STREAM_NAME_LEN - 1));
	stream_prefix_put(out, STREAM_START);
	wr_le32(out, m->policy);
	wr_le32(out, m->vcpus);
	wr_le32(out, m->cbit);
	wr_le32(out, m->ram.nram);
	wr_le32(out, m->machine_len);
	wr_le32(out, m->nprefault);
	wr_bytes(out, name, sizeof(name));
	wr_bytes(out, m->session, STREAM_SESSION_LEN);
	wr_bytes(out, m->pdh, STREAM_CERT_LEN);
	for (uint32_t i = 0; i < m->ram.nram && i < STREAM_RAM_MAX; i++) {
		wr_le64(out, m->ram.ram[i].at);
		wr_le64(out, m->ram.ram[i].size);
	}
	wr_bytes(out, m->machine, m->machine_len);
	wr_bytes(out, m->prefault.p, m->prefault.len);
	return stream_put_end(out, STREAM_START, e);
}

int stream_prefault_put(struct wr *out, const struct stream_prefault *f, struct err *e)
{
	wr_le64(out, f->at);
	wr_le32(out, f->pages);
	wr_le32(out, f->is_private ? PREFAULT_PRIVATE : 0);
	return stream_put_end(out, STREAM_START, e);
}

bool stream_prefault_next(struct stream_start *m, struct stream_prefault *out)
{
	return m->prefault.len >= STREAM_PREFAULT_LEN && prefault_get(&m->prefault, out) == 0;
}
