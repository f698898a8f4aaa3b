/* SPDX-License-Identifier: Apache-2.0 */
#include "pc/kernel.h"

#include <stdbool.h>

#include "abi/firmware.h"
#include "base/rdwr.h"

#define HEAD_LEN 24u
#define SEGMENT_LEN 24u

_Static_assert(HEAD_LEN + PC_KERNEL_SEGMENTS_MAX * SEGMENT_LEN <= PC_SETUP_AT,
	       "the segments end before the setup header");

void pc_kernel_put(const struct pc_kernel *k, uint8_t *out)
{
	struct wr w = wr_of(out, PC_KERNEL_HEAD_LEN);

	wr_le64(&w, PC_KERNEL_MAGIC);
	wr_le64(&w, k->entry);
	wr_le32(&w, PC_KERNEL_VERSION);
	wr_le32(&w, k->nseg);
	for (uint32_t i = 0; i < k->nseg; i++) {
		wr_le64(&w, k->seg[i].at);
		wr_le64(&w, k->seg[i].memsz);
		wr_le64(&w, k->seg[i].filesz);
	}
	wr_zero(&w, PC_SETUP_AT - w.len);
	wr_bytes(&w, k->setup, sizeof(k->setup));
	wr_zero(&w, PC_KERNEL_HEAD_LEN - w.len);
}

static bool entered(const struct pc_kernel *k)
{
	for (uint32_t i = 0; i < k->nseg; i++)
		if (k->entry >= k->seg[i].at && k->entry - k->seg[i].at < k->seg[i].filesz)
			return true;
	return false;
}

/* Ascending, disjoint, below 4 GiB, and together as many bytes as there are. */
static const char *segments_check(const struct pc_kernel *k, uint64_t len)
{
	uint64_t end = 0, file = PC_KERNEL_HEAD_LEN;

	for (uint32_t i = 0; i < k->nseg; i++) {
		const struct pc_segment *s = &k->seg[i];

		if (s->at >= FIRMWARE_TOP || s->memsz == 0 || s->memsz > FIRMWARE_TOP - s->at ||
		    s->filesz > s->memsz || s->at < end)
			return "a kernel with a segment that cannot be";
		end = s->at + s->memsz;
		file += s->filesz;
	}
	if (file != len)
		return "a kernel of another length";
	return entered(k) ? NULL : "a kernel without an entry";
}

const char *pc_kernel_get(const uint8_t *head, uint64_t len, struct pc_kernel *out)
{
	struct rd in = rd_of(head, PC_KERNEL_HEAD_LEN);
	uint64_t magic = 0;
	uint32_t version = 0;
	struct pc_kernel k = { 0 };
	const char *why;

	rd_le64(&in, &magic);
	rd_le64(&in, &k.entry);
	rd_le32(&in, &version);
	rd_le32(&in, &k.nseg);
	if (magic != PC_KERNEL_MAGIC || version != PC_KERNEL_VERSION)
		return "a kernel in another form";
	if (k.nseg == 0 || k.nseg > PC_KERNEL_SEGMENTS_MAX)
		return "a kernel without segments, or with too many";
	for (uint32_t i = 0; i < k.nseg; i++) {
		rd_le64(&in, &k.seg[i].at);
		rd_le64(&in, &k.seg[i].memsz);
		rd_le64(&in, &k.seg[i].filesz);
	}
	in = rd_of(head + PC_SETUP_AT, PC_SETUP_LEN);
	rd_bytes(&in, k.setup, sizeof(k.setup));
	why = segments_check(&k, len);
	if (!why)
		*out = k;
	return why;
}

uint64_t pc_kernel_end(const struct pc_kernel *k)
{
	return k->seg[k->nseg - 1].at + k->seg[k->nseg - 1].memsz;
}

static bool meets(const struct pc_segment *s, const struct pc_span *f)
{
	return f->len && s->at < f->at + f->len && f->at < s->at + s->memsz;
}

const char *pc_kernel_fits(const struct pc_kernel *k, const struct pc_handover *h)
{
	if (k->seg[0].at < FIRMWARE_GHCB_AT + FIRMWARE_GHCB_LEN)
		return "a kernel that is linked too low";
	if (pc_kernel_end(k) > h->ram[0].len)
		return "a kernel that ends outside RAM";
	for (uint32_t i = 0; i < k->nseg; i++)
		if (meets(&k->seg[i], &h->kernel) || meets(&k->seg[i], &h->initrd) ||
		    meets(&k->seg[i], &h->cmdline))
			return "a kernel that would be loaded over what is handed over";
	return NULL;
}
