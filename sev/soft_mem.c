/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Guest memory with two faces. The C-bit is an address bit, so a range of RAM is memslots at two
 * places, and the guest's own page tables choose:
 *
 *	GPA + 2^cbit	the private face: anonymous memory that only this file and psp/ touch
 *	GPA		the shared face: the caller's memory; below 1 MiB, and in ranges that are
 *			always private, the private face too, because with paging off an SEV
 *			guest's accesses are all private
 */

#include "sev/soft_vm.h"

#include <cpuid.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "base/auto.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define LOW_END 0x100000u
#define HUGE_LEN 0x200000u /* of a huge page: what one fault brings in one go */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* --- memslots -------------------------------------------------------------------------------- */

static int slot_set(int vm_fd, const struct soft_slot *s, bool log)
{
	struct kvm_userspace_memory_region m = {
		.slot = s->id,
		.flags = log ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = s->at,
		.memory_size = s->size,
		.userspace_addr = (uintptr_t)s->host,
	};

	if (vm_fd < 0)
		return 0;
	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &m) < 0 ? -errno : 0;
}

static void slot_delete(int vm_fd, struct soft_slot s)
{
	s.size = 0;
	(void)!slot_set(vm_fd, &s, false); /* the VM may be half torn down already */
}

static unsigned host_physical_bits(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;

	return __get_cpuid(0x80000008, &a, &b, &c, &d) ? a & 0xff : 36;
}

/* Is a page at 2^bit accepted? Under nested paging that depends on the host, not on the guest. */
static bool cbit_accepted(int vm_fd, uint32_t slot, unsigned bit, uint8_t *page)
{
	struct soft_slot s = { slot, 1ull << bit, PAGE_LEN, page };

	if (slot_set(vm_fd, &s, false) < 0)
		return false;
	slot_delete(vm_fd, s);
	return true;
}

int soft_mem_cbit(int vm_fd, unsigned *out, struct err *e)
{
	static const unsigned tries[] = { 47, 46, 45, 43, 40, 39, 38, 37, 36 };
	unsigned limit = host_physical_bits();
	/* The last slot KVM has is the one nobody took yet. */
	int slots = vm_fd < 0 ? 1 : ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	uint8_t *page =
		mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return err_set(e, -ENOMEM, "C-bit: no memory");
	*out = 0;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]) && !*out; i++) {
		if (tries[i] < limit &&
		    cbit_accepted(vm_fd, slots > 0 ? (uint32_t)slots - 1 : 31, tries[i], page))
			*out = tries[i];
	}
	munmap(page, PAGE_LEN);
	return *out ? 0
		    : err_set(e, -ENOTSUP,
			      "C-bit: KVM accepts memory at no position from 36 to 47 on this "
			      "host of %u physical address bits",
			      limit);
}

static void slot_plan(struct soft_ram *m, uint64_t at, uint64_t end, uint64_t cbit, uint8_t *face)
{
	uint64_t base = m->ram.at.v;

	if (at >= end)
		return;
	m->slot[m->nslots] = (struct soft_slot){
		.id = m->ram.first_slot + (uint32_t)m->nslots,
		.at = at | cbit,
		.size = end - at,
		.host = face + (at - base),
	};
	m->nslots++;
}

static void slots_remove(int vm_fd, const struct soft_ram *m)
{
	for (size_t i = 0; i < m->nslots; i++)
		slot_delete(vm_fd, m->slot[i]);
}

static int slots_make(int vm_fd, struct soft_ram *m, unsigned cbit, struct err *e)
{
	uint64_t at = m->ram.at.v, end = at + m->ram.size;
	uint64_t low_end = m->ram.always_private ? end : LOW_END;

	slot_plan(m, at, least(end, low_end), 0, m->priv);
	slot_plan(m, most(at, low_end), end, 0, m->ram.shared);
	slot_plan(m, at, end, 1ull << cbit, m->priv);
	for (size_t i = 0; i < m->nslots; i++) {
		int r = slot_set(vm_fd, &m->slot[i], false);

		if (r < 0) {
			m->nslots = i;
			slots_remove(vm_fd, m);
			errno = -r;
			return err_set(e, r, "memslot %u of %" PRIu64 " bytes at %#" PRIx64 ": %m",
				       m->ram.first_slot + (uint32_t)i, m->ram.size, m->ram.at.v);
		}
	}
	return 0;
}

int soft_mem_log_dirty(struct sev_vm *base, bool on, struct err *e)
{
	struct soft_vm *vm = (struct soft_vm *)base;

	for (size_t i = 0; i < vm->nram; i++) {
		for (size_t j = 0; j < vm->ram[i].nslots; j++) {
			int r = slot_set(vm->vm_fd, &vm->ram[i].slot[j], on);

			errno = -r;
			if (r < 0)
				return err_set(e, r, "dirty log of memslot %u: %m",
					       vm->ram[i].slot[j].id);
		}
	}
	return 0;
}

/* --- ranges ---------------------------------------------------------------------------------- */

static void ram_fini(struct soft_ram *m)
{
	if (m->priv && !m->borrowed)
		munmap(m->priv, m->ram.size);
	m->priv = NULL;
}

/* size bytes that start where a huge page may. */
static uint8_t *map_aligned(uint64_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)p & (HUGE_LEN - 1);
	if (before)
		munmap(p, before);
	munmap(p + before + size, HUGE_LEN - before);
	return p + before;
}

/* Small pages, unless prefault() knows better: a huge one would come whole for the first byte
 * written, and populated() could not tell what the guest never wrote. */
static int private_make(struct soft_ram *m, struct err *e)
{
	m->priv = map_aligned(m->ram.size);
	if (!m->priv)
		return err_set(e, -errno, "private memory: %m");
	if (madvise(m->priv, m->ram.size, MADV_DONTFORK) < 0)
		return err_set(e, -errno, "private memory: keeping it from children: %m");
	/* Best effort: a kernel without huge pages, or without core files, needs neither. */
	(void)!madvise(m->priv, m->ram.size, MADV_NOHUGEPAGE);
	(void)!madvise(m->priv, m->ram.size, MADV_DONTDUMP);
	return 0;
}

static int ram_check(const struct soft_vm *vm, const struct sev_ram *ram, struct err *e)
{
	uint64_t end = ram->at.v + ram->size;

	if (vm->nram == SOFT_RAM_MAX)
		return err_set(e, -ENOSPC, "more than %d ranges", SOFT_RAM_MAX);
	if (end > 1ull << vm->base.cbit)
		return err_set(e, -EINVAL, "reaches the C-bit, position %u", vm->base.cbit);
	for (size_t i = 0; i < vm->nram; i++) {
		const struct sev_ram *other = &vm->ram[i].ram;

		if (ram->at.v < other->at.v + other->size && other->at.v < end)
			return err_set(e, -EEXIST, "overlaps RAM at %#" PRIx64, other->at.v);
	}
	return 0;
}

/* Ascending order, so that populated() need not sort. */
static void ram_insert(struct soft_vm *vm, const struct soft_ram *m)
{
	size_t i = vm->nram++;

	for (; i && vm->ram[i - 1].ram.at.v > m->ram.at.v; i--)
		vm->ram[i] = vm->ram[i - 1];
	vm->ram[i] = *m;
}

/* mincore() takes a page in swap for one that was never there: it is believed where memory is
 * locked or nothing is ever swapped out. */
static bool host_swaps(void)
{
	struct sysinfo si;

	return sysinfo(&si) < 0 || si.totalswap;
}

static bool lock_both(const struct soft_ram *m)
{
	return mlock2(m->priv, m->ram.size, MLOCK_ONFAULT) == 0 &&
	       mlock2(m->ram.shared, m->ram.size, MLOCK_ONFAULT) == 0;
}

int soft_mem_add(struct sev_vm *base, const struct sev_ram *ram,
		 struct sev_slot slots[SEV_SLOTS_PER_RAM], size_t *n, struct err *e)
{
	struct soft_vm *vm = (struct soft_vm *)base;
	struct soft_ram m = { .ram = *ram };
	int r = ram_check(vm, ram, e);

	if (r < 0)
		return r;
	r = private_make(&m, e);
	if (r == 0)
		r = slots_make(vm->vm_fd, &m, base->cbit, e);
	if (r < 0) {
		ram_fini(&m);
		return r;
	}
	m.locked = host_swaps() && lock_both(&m);
	ram_insert(vm, &m);
	for (size_t i = 0; i < m.nslots; i++)
		slots[i] = (struct sev_slot){ m.slot[i].id,
					      gpa(m.slot[i].at & ((1ull << base->cbit) - 1)),
					      m.slot[i].size };
	*n = m.nslots;
	return 0;
}

int soft_mem_borrow(struct soft_vm *vm, const struct soft_vm *from, struct err *e)
{
	for (size_t i = 0; i < from->nram; i++) {
		struct soft_ram m = from->ram[i];
		int r;

		m.borrowed = true;
		m.locked = false;
		m.nslots = 0;
		r = slots_make(vm->vm_fd, &m, from->base.cbit, e);
		if (r < 0)
			return r;
		vm->ram[vm->nram++] = m;
	}
	return 0;
}

void soft_mem_fini(struct soft_vm *vm)
{
	for (size_t i = 0; i < vm->nram; i++) {
		slots_remove(vm->vm_fd, &vm->ram[i]);
		if (vm->ram[i].locked)
			munlock(vm->ram[i].ram.shared, vm->ram[i].ram.size);
		ram_fini(&vm->ram[i]);
	}
	vm->nram = 0;
}

uint8_t *soft_mem_private(struct soft_vm *vm, uint64_t uaddr, uint64_t len)
{
	for (size_t i = 0; i < vm->nram; i++) {
		const struct soft_ram *m = &vm->ram[i];
		uint64_t off = uaddr - (uintptr_t)m->ram.shared;

		if (off < m->ram.size && len <= m->ram.size - off)
			return m->priv + off;
	}
	return NULL;
}

void soft_mem_wipe_shared(uint64_t uaddr, uint64_t len)
{
	uint64_t end = uaddr + len;
	uint64_t first = (uaddr + PAGE_LEN - 1) & ~(uint64_t)(PAGE_LEN - 1);
	uint64_t last = end & ~(uint64_t)(PAGE_LEN - 1);

	/* Only shared mappings of memory files have holes to punch. */
	if (first < last && madvise((void *)(uintptr_t)first, last - first, MADV_REMOVE) == 0) {
		memset((void *)(uintptr_t)uaddr, 0, first - uaddr);
		memset((void *)(uintptr_t)last, 0, end - last);
		return;
	}
	memset((void *)(uintptr_t)uaddr, 0, len);
}

static struct soft_ram *ram_at(struct soft_vm *vm, struct gpa at, uint64_t len)
{
	for (size_t i = 0; i < vm->nram; i++) {
		const struct sev_ram *ram = &vm->ram[i].ram;
		uint64_t off = at.v - ram->at.v;

		if (at.v >= ram->at.v && off < ram->size && len <= ram->size - off)
			return &vm->ram[i];
	}
	return NULL;
}

bool soft_mem_two_faced(struct soft_vm *vm, struct gpa at)
{
	struct soft_ram *m = ram_at(vm, at, 1);

	return m && !m->ram.always_private && at.v >= LOW_END;
}

uint8_t *soft_mem_shared_at(struct soft_vm *vm, struct gpa at, uint64_t len)
{
	struct soft_ram *m = ram_at(vm, at, len);

	return m && soft_mem_two_faced(vm, at) ? m->ram.shared + (at.v - m->ram.at.v) : NULL;
}

uint8_t *soft_mem_private_at(struct soft_vm *vm, struct gpa at, uint64_t len)
{
	struct soft_ram *m = ram_at(vm, at, len);

	return m ? m->priv + (at.v - m->ram.at.v) : NULL;
}

int soft_mem_digest(struct sev_vm *base, struct gpa at, uint8_t out[32], struct err *e)
{
	struct soft_ram *m = ram_at((struct soft_vm *)base, at, PAGE_LEN);

	if (!m || at.v % PAGE_LEN)
		return err_set(e, -EINVAL, "page %#" PRIx64 ": not a page of RAM", at.v);
	return psp_debug_digest(m->priv + (at.v - m->ram.at.v), PAGE_LEN, out, e);
}

/* --- what was ever written ------------------------------------------------------------------- */

struct run {
	uint64_t start, end; /* offsets; start == end: nothing */
};

#define LOOK_PAGES 1024u

/* Which pages of either face are there? false: the kernel does not say. */
static bool look(const struct soft_ram *m, uint64_t at, uint64_t len, uint8_t there[LOOK_PAGES])
{
	uint8_t shared[LOOK_PAGES];

	if (mincore(m->priv + at, len, there) < 0 || mincore(m->ram.shared + at, len, shared) < 0)
		return false;
	for (uint64_t i = 0; i < len / PAGE_LEN; i++)
		there[i] = (there[i] | shared[i]) & 1;
	return true;
}

/* The first run of pages within [from, to) of which either face may hold data. */
static struct run populated_run(const struct soft_ram *m, uint64_t from, uint64_t to)
{
	uint8_t there[LOOK_PAGES];
	struct run run = { to, to };

	if (!m->locked && host_swaps())
		return (struct run){ from, to };
	for (uint64_t at = from; at < to;) {
		uint64_t len = least(to - at, LOOK_PAGES * PAGE_LEN);

		if (!look(m, at, len, there))
			return (struct run){ least(run.start, at), to };
		for (uint64_t i = 0; i < len / PAGE_LEN; i++) {
			if (there[i] && run.start == to)
				run.start = at + i * PAGE_LEN;
			if (!there[i] && run.start != to)
				return (struct run){ run.start, at + i * PAGE_LEN };
		}
		at += len;
	}
	return run;
}

bool soft_mem_populated(struct sev_vm *base, struct gpa *at, struct gpa end, uint64_t *len)
{
	struct soft_vm *vm = (struct soft_vm *)base;
	uint64_t from = at->v & ~(uint64_t)(PAGE_LEN - 1);

	for (size_t i = 0; i < vm->nram; i++) {
		const struct soft_ram *m = &vm->ram[i];
		uint64_t a = most(from, m->ram.at.v) - m->ram.at.v;
		uint64_t b = end.v > m->ram.at.v ? least(end.v - m->ram.at.v, m->ram.size) : 0;
		struct run p;

		b = (b + PAGE_LEN - 1) & ~(uint64_t)(PAGE_LEN - 1);
		if (a >= b)
			continue;
		p = populated_run(m, a, b);
		if (p.start == p.end)
			continue;
		at->v = m->ram.at.v + p.start;
		*len = p.end - p.start;
		return true;
	}
	return false;
}

/* All of it is going to be written, so what lies in whole huge pages may be huge: that is several
 * times cheaper to fault in. Only a hint. */
static void hint_huge(uint8_t *p, uint64_t len)
{
	uintptr_t start = ((uintptr_t)p + HUGE_LEN - 1) & ~(uintptr_t)(HUGE_LEN - 1);
	uintptr_t end = ((uintptr_t)p + len) & ~(uintptr_t)(HUGE_LEN - 1);

	if (start < end)
		(void)!madvise((void *)start, end - start, MADV_HUGEPAGE);
}

static int populate(uint8_t *p, uint64_t len)
{
	if (madvise(p, len, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* A kernel before 5.14: write every page without changing it. */
	for (uint64_t off = 0; off < len; off += PAGE_LEN)
		__atomic_fetch_or(p + off, 0, __ATOMIC_RELAXED);
	return 0;
}

int soft_mem_prefault(struct sev_vm *base, struct gpa at, uint64_t len, bool is_private,
		      struct err *e)
{
	struct soft_ram *m = ram_at((struct soft_vm *)base, at, len);
	uint64_t off;
	int r;

	if (!m || at.v % PAGE_LEN || len % PAGE_LEN)
		return err_set(e, -EINVAL, "%#" PRIx64 " to %#" PRIx64 ": not pages of RAM", at.v,
			       at.v + len);
	off = at.v - m->ram.at.v;
	if (is_private)
		hint_huge(m->priv + off, len);
	r = populate((is_private ? m->priv : m->ram.shared) + off, len);
	errno = -r;
	return r < 0 ? err_set(e, r, "faulting in %" PRIu64 " bytes: %m", len) : 0;
}
