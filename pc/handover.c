/* SPDX-License-Identifier: Apache-2.0 */
#include "pc/handover.h"

#include <stdbool.h>

#include "abi/firmware.h"
#include "base/gpa.h"
#include "base/rdwr.h"

static void span_put(struct wr *w, const struct pc_span *s)
{
	wr_le64(w, s->at);
	wr_le64(w, s->len);
}

size_t pc_handover_put(const struct pc_handover *h, uint8_t *out, size_t cap)
{
	struct wr w = wr_of(out, cap);

	wr_le64(&w, PC_HANDOVER_MAGIC);
	wr_le32(&w, PC_HANDOVER_VERSION);
	wr_le32(&w, 8 + 4 * 4 + 16 * (h->nram + 3));
	wr_le32(&w, h->cpus);
	wr_le32(&w, h->nram);
	for (uint32_t i = 0; i < h->nram; i++)
		span_put(&w, &h->ram[i]);
	span_put(&w, &h->kernel);
	span_put(&w, &h->initrd);
	span_put(&w, &h->cmdline);
	return wr_ok(&w) ? w.len : 0;
}

static void span_get(struct rd *in, struct pc_span *s)
{
	rd_le64(in, &s->at);
	rd_le64(in, &s->len);
}

/* Pages, in order, nothing above 2^52, the first MiB and a bit in the first of them, and the others
 * above the firmware: RAM over it would be given out while the firmware still serves. */
static const char *ram_check(const struct pc_handover *h)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < h->nram; i++) {
		const struct pc_span *r = &h->ram[i];

		if (r->at % PAGE_LEN || r->len % PAGE_LEN || r->len == 0 || r->at >> 52 ||
		    r->len >> 52)
			return "a RAM range that is none";
		if (r->at < end || (i == 0 ? r->at != 0 : r->at < FIRMWARE_TOP))
			return "RAM ranges out of order";
		end = r->at + r->len;
	}
	if (h->nram == 0 || h->ram[0].len < FIRMWARE_GHCB_AT + FIRMWARE_GHCB_LEN ||
	    h->ram[0].len > FIRMWARE_TOP - FIRMWARE_LEN_MAX)
		return "no RAM to start with";
	return NULL;
}

/* Page aligned, above what the firmware uses itself, within the first range. */
static bool file_fits(const struct pc_handover *h, const struct pc_span *f, uint64_t max)
{
	uint64_t end = h->ram[0].len;

	if (f->len == 0)
		return f->at == 0;
	return f->len <= max && f->at % PAGE_LEN == 0 &&
	       f->at >= FIRMWARE_GHCB_AT + FIRMWARE_GHCB_LEN && f->at < end &&
	       f->len <= end - f->at;
}

static bool files_meet(const struct pc_span *a, const struct pc_span *b)
{
	return a->len && b->len && a->at < b->at + b->len && b->at < a->at + a->len;
}

static const char *files_check(const struct pc_handover *h)
{
	if (!h->kernel.len || !file_fits(h, &h->kernel, PC_KERNEL_MAX))
		return "a kernel outside RAM";
	if (!file_fits(h, &h->initrd, PC_INITRD_MAX))
		return "an initial RAM disk outside RAM";
	if (!h->cmdline.len || !file_fits(h, &h->cmdline, PC_CMDLINE_MAX))
		return "a command line outside RAM, or too long";
	if (files_meet(&h->kernel, &h->initrd) || files_meet(&h->kernel, &h->cmdline) ||
	    files_meet(&h->initrd, &h->cmdline))
		return "files that lie on each other";
	return NULL;
}

const char *pc_handover_get(const uint8_t *p, size_t len, struct pc_handover *out)
{
	struct pc_handover h = { 0 };
	struct rd in = rd_of(p, len);
	uint32_t version = 0, total = 0;
	uint64_t magic = 0;
	const char *why;

	rd_le64(&in, &magic);
	rd_le32(&in, &version);
	rd_le32(&in, &total);
	if (!rd_ok(&in) || magic != PC_HANDOVER_MAGIC)
		return "no hand-over record";
	if (version != PC_HANDOVER_VERSION)
		return "a hand-over record of another version";
	rd_le32(&in, &h.cpus);
	rd_le32(&in, &h.nram);
	if (!rd_ok(&in) || h.cpus == 0 || h.cpus > PC_CPUS_MAX || h.nram > PC_HANDOVER_RAM_MAX ||
	    total != 8 + 4 * 4 + 16 * (h.nram + 3))
		return "a damaged hand-over record";
	for (uint32_t i = 0; i < h.nram; i++)
		span_get(&in, &h.ram[i]);
	span_get(&in, &h.kernel);
	span_get(&in, &h.initrd);
	span_get(&in, &h.cmdline);
	if (!rd_ok(&in))
		return "a hand-over record that is cut short";
	why = ram_check(&h);
	if (!why)
		why = files_check(&h);
	if (!why)
		*out = h;
	return why;
}
