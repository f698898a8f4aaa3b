/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/mem.h"

#include <errno.h>

#include "abi/handler.h"
#include "migrate/bitmap.h"
#include "sev/sev.h"

_Static_assert(MIG_RAM_MAX == STREAM_RAM_MAX, "see doc/PROTOCOL.md");

int mig_mem_init(struct mig_mem *mem, struct mig_vm *vm, struct err *e)
{
	int r;

	*mem = (struct mig_mem){ .vm = vm };
	r = vm->ops->describe(vm, &mem->desc, e);
	if (r < 0)
		return err_wrap(e, r, "describing the VM");
	mem->bounds.nram = mem->desc.nram;
	for (uint32_t i = 0; i < mem->desc.nram && i < MIG_RAM_MAX; i++) {
		const struct mig_ram *ram = &mem->desc.ram[i];

		mem->bounds.ram[i] = (struct stream_span){ ram->at.v, ram->size };
		mem->pages += ram->size / PAGE_LEN;
		mem->nframes = (ram->at.v + ram->size) / PAGE_LEN;
	}
	mem->bounds.private_below = vm->sev->low_private_end.v;
	mem->low_frames = gpa_gfn(vm->sev->low_private_end);
	r = stream_bounds_check(&mem->bounds, e);
	return r < 0 ? err_wrap(e, -EINVAL, "describing the VM") : 0;
}

void mig_mem_keep_handler(struct mig_mem *mem)
{
	mem->own_start = gpa_gfn(gpa(HANDLER_BASE));
	mem->own_end = gpa_gfn(gpa(HANDLER_END));
}

bool mig_mem_moves(const struct mig_mem *mem, struct gpa at)
{
	return gpa_gfn(at) < mem->own_start || gpa_gfn(at) >= mem->own_end;
}

uint8_t *mig_mem_at(const struct mig_mem *mem, struct gpa at)
{
	for (uint32_t i = 0; i < mem->desc.nram; i++) {
		const struct mig_ram *ram = &mem->desc.ram[i];

		if (at.v >= ram->at.v && at.v - ram->at.v < ram->size)
			return ram->shared + (at.v - ram->at.v);
	}
	return NULL;
}

void mig_mem_populated(const struct mig_mem *mem, struct mig_bitmap *bm)
{
	mig_bitmap_clear(bm);
	for (uint32_t i = 0; i < mem->desc.nram; i++) {
		const struct mig_ram *ram = &mem->desc.ram[i];
		struct gpa at = ram->at, end = gpa(ram->at.v + ram->size);
		uint64_t len = 0;

		while (at.v < end.v && sev_vm_populated(mem->vm->sev, &at, end, &len) && len) {
			mig_bitmap_set(bm, gpa_gfn(at), len / PAGE_LEN);
			at.v += len;
		}
	}
	for (uint64_t f = mem->own_start; f < mem->own_end && f < bm->nbits; f++)
		bm->words[f / 64] &= ~(1ull << (f % 64));
}

uint64_t mig_status_run(struct mig_status *st, uint64_t frame, uint64_t n, bool *shared)
{
	const struct ranges *l = st->list;
	uint64_t end = frame + n;

	*shared = false;
	if (frame < st->mem->low_frames)
		return (end < st->mem->low_frames ? end : st->mem->low_frames) - frame;
	while (st->at < l->n && l->v[st->at].end <= frame)
		st->at++;
	if (st->at == l->n)
		return n;
	*shared = l->v[st->at].start <= frame;
	if (*shared)
		return (end < l->v[st->at].end ? end : l->v[st->at].end) - frame;
	return (end < l->v[st->at].start ? end : l->v[st->at].start) - frame;
}
