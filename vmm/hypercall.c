/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pages.h"

#include <errno.h>
#include <stdlib.h>

#include <linux/kvm_para.h>

#include "base/gpa.h"
#include "base/log.h"

/* KVM_HC_MAP_GPA_RANGE's attributes (Linux, Documentation/virt/kvm/x86/hypercalls.rst). The size
 * is a hint, the count is always in 4 KiB pages. */
#define MAP_SIZE_MASK 0xfu
#define MAP_SIZE_MAX 2u /* 4 KiB, 2 MiB, 1 GiB */
#define MAP_ENCRYPTED 0x10u
#define MAP_RESERVED (~0x1full)

int vmm_pages_init(struct vmm_pages *p, const struct mig_ram *ram, size_t nram, struct err *e)
{
	const struct mig_ram *last = &ram[nram - 1];

	*p = (struct vmm_pages){ .ram = ram, .nram = nram };
	p->nframes = (last->at.v + last->size) >> PAGE_SHIFT;
	p->converted = calloc((p->nframes + 63) / 64, sizeof(*p->converted));
	if (!p->converted)
		return err_set(e, -ENOMEM, "converted pages: %m");
	pthread_mutex_init(&p->edit, NULL);
	ranges_init(&p->shared);
	return 0;
}

void vmm_pages_fini(struct vmm_pages *p)
{
	if (!p->converted)
		return;
	ranges_fini(&p->shared);
	pthread_mutex_destroy(&p->edit);
	free(p->converted);
	p->converted = NULL;
}

void vmm_pages_converted(struct vmm_pages *p, struct mig_bitmap *bm)
{
	for (size_t w = 0; w < (p->nframes + 63) / 64; w++) {
		uint64_t bits;

		if (!__atomic_load_n(&p->converted[w], __ATOMIC_RELAXED))
			continue;
		/* Pairs with the release in pages_mark(): who has the mark sees the list. */
		bits = __atomic_exchange_n(&p->converted[w], 0, __ATOMIC_ACQ_REL);
		if (bm && w < bm->nbits / 64)
			bm->words[w] |= bits;
		else if (bm && w * 64 < bm->nbits)
			bm->words[w] |= bits & ((1ull << (bm->nbits % 64)) - 1);
	}
}

static void pages_mark(struct vmm_pages *p, uint64_t start, uint64_t end)
{
	for (uint64_t f = start; f < end; f++)
		__atomic_fetch_or(&p->converted[f / 64], 1ull << (f % 64), __ATOMIC_RELEASE);
}

void vmm_pages_wrote(struct vmm_pages *p, struct gpa at, uint64_t len)
{
	uint64_t end = at.v + len;

	if (len && end > at.v && gpa_gfn(gpa(end - 1)) < p->nframes)
		pages_mark(p, gpa_gfn(at), gpa_gfn(gpa(end - 1)) + 1);
}

void vmm_pages_keep_private(struct vmm_pages *p, struct gpa at, uint64_t len)
{
	p->private_start = gpa_gfn(at);
	p->private_end = p->private_start + (len >> PAGE_SHIFT);
}

static bool pages_can_share(const struct vmm_pages *p, uint64_t start, uint64_t end)
{
	return end <= p->private_start || start >= p->private_end;
}

/* Is [start, end) RAM throughout? Ranges may touch; a hole between them is not RAM. */
static bool pages_in_ram(const struct vmm_pages *p, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < p->nram && start < end; i++) {
		uint64_t from = gpa_gfn(p->ram[i].at);
		uint64_t to = from + (p->ram[i].size >> PAGE_SHIFT);

		if (start >= from && start < to)
			start = to;
	}
	return start >= end;
}

/* Mark the part of [start, end) whose status differs between what was and what is asked for. The
 * set is a copy nobody else holds, so its intervals are read without its lock. */
static void pages_mark_changed(struct vmm_pages *p, const struct ranges *was, uint64_t start,
			       uint64_t end, bool to_shared)
{
	uint64_t at = start;

	for (size_t i = 0; i < was->n && at < end; i++) {
		uint64_t from = was->v[i].start < end ? was->v[i].start : end;
		uint64_t to = was->v[i].end < end ? was->v[i].end : end;

		if (to <= at)
			continue;
		if (from < at)
			from = at;
		pages_mark(p, to_shared ? at : from, to_shared ? from : to);
		at = to;
	}
	if (to_shared)
		pages_mark(p, at, end);
}

static int pages_convert(struct vmm_pages *p, uint64_t start, uint64_t end, bool to_shared)
{
	struct err e = { 0 };
	struct ranges was;
	int r;

	ranges_init(&was);
	pthread_mutex_lock(&p->edit);
	r = ranges_copy(&was, &p->shared, &e);
	if (!r)
		r = to_shared ? ranges_add(&p->shared, start, end, &e)
			      : ranges_remove(&p->shared, start, end, &e);
	if (!r)
		pages_mark_changed(p, &was, start, end, to_shared);
	pthread_mutex_unlock(&p->edit);
	ranges_fini(&was);
	return r;
}

int vmm_pages_set(struct vmm_pages *p, struct ranges *from, struct err *e)
{
	for (size_t i = 0; i < from->n; i++)
		if (!pages_in_ram(p, from->v[i].start, from->v[i].end) ||
		    !pages_can_share(p, from->v[i].start, from->v[i].end))
			return err_set(
				e, -EPROTO,
				"shared pages %#llx-%#llx are not guest RAM that can be shared",
				(unsigned long long)from->v[i].start,
				(unsigned long long)from->v[i].end);
	return ranges_copy(&p->shared, from, e);
}

int64_t vmm_hypercall(struct vmm_pages *p, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	uint64_t end;

	if (nr != KVM_HC_MAP_GPA_RANGE)
		return -KVM_ENOSYS;
	if ((a2 & MAP_RESERVED) || (a2 & MAP_SIZE_MASK) > MAP_SIZE_MAX)
		return -KVM_EINVAL;
	if (a0 % PAGE_LEN || !a1 || __builtin_add_overflow(a0 >> PAGE_SHIFT, a1, &end))
		return -KVM_EINVAL;
	if (!pages_in_ram(p, a0 >> PAGE_SHIFT, end))
		return -KVM_EINVAL;
	if (!(a2 & MAP_ENCRYPTED) && !pages_can_share(p, a0 >> PAGE_SHIFT, end))
		return -KVM_EINVAL;
	if (pages_convert(p, a0 >> PAGE_SHIFT, end, !(a2 & MAP_ENCRYPTED))) {
		__atomic_store_n(&p->lost, true, __ATOMIC_RELAXED);
		return -KVM_EINVAL;
	}
	__atomic_fetch_add(&p->conversions, 1, __ATOMIC_RELAXED);
	log_debug("hypercall", "MAP_GPA_RANGE frames %#llx-%#llx %s",
		  (unsigned long long)(a0 >> PAGE_SHIFT), (unsigned long long)end,
		  a2 & MAP_ENCRYPTED ? "private" : "shared");
	return 0;
}
