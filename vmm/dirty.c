/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which pages were written: KVM's log of every memslot, of the private alias as well as of the
 * shared face, and the pages whose status changed. All are ORed into one bitmap by frame number.
 */

#include "vmm/impl.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* What one KVM_CLEAR_DIRTY_LOG takes: it holds the MMU's lock, which guest page faults need. */
#define DIRTY_CLEAR_PAGES (64u << 10)

/* bits of a slot into bm, whose frame 0 is guest frame 0. */
static void dirty_or(struct mig_bitmap *bm, const uint64_t *bits, uint64_t first, uint64_t n)
{
	for (uint64_t w = 0; w < (n + 63) / 64; w++) {
		uint64_t v = bits[w];

		for (; v; v &= v - 1) {
			uint64_t f = first + w * 64 + (unsigned)__builtin_ctzll(v);

			if (f < bm->nbits && f < first + n)
				bm->words[f / 64] |= 1ull << (f % 64);
		}
	}
}

/* Protect again what was found, so that the next write is seen. */
static int dirty_clear(struct vm *vm, const struct sev_slot *s, uint64_t *bits, struct err *e)
{
	uint64_t pages = s->size >> PAGE_SHIFT;

	for (uint64_t at = 0; at < pages; at += DIRTY_CLEAR_PAGES) {
		uint64_t n = pages - at < DIRTY_CLEAR_PAGES ? pages - at : DIRTY_CLEAR_PAGES;
		struct kvm_clear_dirty_log c = { .slot = s->id,
						 .num_pages = (uint32_t)n,
						 .first_page = at,
						 .dirty_bitmap = bits + at / 64 };
		bool any = false;

		for (uint64_t w = at / 64; !any && w < (at + n + 63) / 64; w++)
			any = bits[w];
		if (any && ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &c) < 0)
			return err_set(e, -errno, "KVM_CLEAR_DIRTY_LOG of slot %u: %m", s->id);
	}
	return 0;
}

static int dirty_slot(struct vm *vm, const struct sev_slot *s, struct mig_bitmap *bm, struct err *e)
{
	uint64_t pages = s->size >> PAGE_SHIFT;
	size_t len = (size_t)((pages + 63) / 64 * 8);
	struct kvm_dirty_log log = { .slot = s->id };
	uint64_t *bits;
	int r;

	buf_reset(&vm->dirty_words);
	r = buf_reserve(&vm->dirty_words, len, e);
	if (r < 0)
		return r;
	memset(vm->dirty_words.p, 0, len);
	bits = (uint64_t *)(void *)vm->dirty_words.p;
	log.dirty_bitmap = bits;
	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0)
		return err_set(e, -errno, "KVM_GET_DIRTY_LOG of slot %u: %m", s->id);
	if (bm)
		dirty_or(bm, bits, gpa_gfn(s->at), pages);
	return vm->manual_dirty ? dirty_clear(vm, s, bits, e) : 0;
}

static int dirty_sync(struct vm *vm, struct mig_bitmap *bm, struct err *e)
{
	int r = 0;

	if (!vm->dirty_on)
		return err_set(e, -EINVAL, "the dirty log is off");
	for (size_t i = 0; !r && i < vm->mem.nslot; i++)
		r = dirty_slot(vm, &vm->mem.slot[i], bm, e);
	if (!r)
		vmm_pages_converted(&vm->pages, bm);
	return r;
}

static int dirty_turn(struct vm *vm, bool on, struct err *e)
{
	int r;

	if (on)
		vmm_pages_converted(&vm->pages, NULL);
	r = sev_vm_log_dirty(vm->mig.sev, on, e);
	vm->dirty_on = on && !r;
	return r;
}

int vmm_dirty(struct vm *vm, enum mig_dirty what, struct mig_bitmap *bm, struct err *e)
{
	switch (what) {
	case MIG_DIRTY_START:
		return dirty_turn(vm, true, e);
	case MIG_DIRTY_SYNC:
		return dirty_sync(vm, bm, e);
	case MIG_DIRTY_STOP:
		return dirty_turn(vm, false, e);
	}
	return err_set(e, -EINVAL, "dirty log: unknown request %d", (int)what);
}
