/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/doorbell.h"
#include "abi/testguest.h"
#include "guest/guest.h"
#include "guest/vc.h"

#define PTE_TABLE 0x67ull /* present, writable, user, accessed, dirty */
#define PTE_2M 0xe7ull
#define PTE_4K 0x67ull
#define LEN_2M 0x200000ull
#define ENTRIES 512

/* Accessed and dirty bits are set from the start: the CPU then never writes to the tables, which
 * would show as dirty pages. */
static uint64_t pml4[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pdpt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pd[4][ENTRIES] __attribute__((aligned(4096)));
static uint64_t pool_pt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t image_pt[ENTRIES] __attribute__((aligned(4096)));

uint64_t mm_root(void)
{
	return (uintptr_t)pml4 | guest_info.cbit;
}

void mm_top_copy(uint64_t *to)
{
	memcpy(to, pml4, sizeof(pml4));
}

static uint64_t *pd_entry(uint64_t at)
{
	return &pd[at >> 30 & 3][at >> 21 & (ENTRIES - 1)];
}

static void split(uint64_t *pt, uint64_t at)
{
	uint64_t c = guest_info.cbit;

	for (unsigned i = 0; i < ENTRIES; i++)
		pt[i] = (at + i * TESTGUEST_PAGE) | PTE_4K | c;
	*pd_entry(at) = (uintptr_t)pt | PTE_TABLE | c;
}

/* The GHCB pages lie in the image, which then is mapped by 4 KiB pages. */
static void share_ghcbs(void)
{
	uint64_t *entry = &image_pt[vc_pages() >> 12 & (ENTRIES - 1)];

	split(image_pt, TESTGUEST_IMAGE);
	for (unsigned i = 0; i < GUEST_CPUS_MAX; i++)
		entry[i] &= ~guest_info.cbit;
}

/* Identity map of RAM, all of it private but GHCBs, the pool by 4 KiB pages. */
void mm_init(void)
{
	uint64_t c = guest_info.cbit;

	pml4[0] = (uintptr_t)pdpt | PTE_TABLE | c;
	for (unsigned i = 0; i < 4; i++)
		pdpt[i] = (uintptr_t)pd[i] | PTE_TABLE | c;
	for (uint64_t at = 0; at < guest_info.ram_end; at += LEN_2M) {
		if (at >= guest_info.hole && at < guest_info.hole_end)
			continue;
		*pd_entry(at) = at | PTE_2M | c;
	}
	split(pool_pt, TESTGUEST_POOL);
	if (vc_on())
		share_ghcbs();
	__asm__ volatile("mov %0, %%cr3" ::"r"(mm_root()) : "memory");
}

int64_t mm_declare(uint64_t gpa, uint64_t len, bool shared)
{
	if (!(guest_info.kvm_features & GUEST_KVM_MAP_GPA_RANGE))
		return 0;
	return guest_hypercall(DOORBELL_HC_MAP_GPA_RANGE, gpa, len / TESTGUEST_PAGE,
			       shared ? 0 : DOORBELL_MAP_ENCRYPTED);
}

static void mm_set(uint64_t *entry, uint64_t at, bool shared)
{
	uint64_t c = guest_info.cbit;

	*entry = shared ? *entry & ~c : *entry | c;
	__asm__ volatile("invlpg (%0)" ::"r"(at) : "memory");
}

/* As Linux does it: first the page tables, then the hypercall, and only then new content. */
int64_t mm_convert(uint64_t gpa, uint64_t len, bool shared)
{
	bool pool = gpa >= TESTGUEST_POOL && gpa + len <= TESTGUEST_POOL + LEN_2M;
	uint64_t step = pool ? TESTGUEST_PAGE : LEN_2M;

	for (uint64_t at = gpa; at < gpa + len; at += step)
		mm_set(pool ? &pool_pt[at >> 12 & (ENTRIES - 1)] : pd_entry(at), at, shared);
	return mm_declare(gpa, len, shared);
}
