/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/testguest.h"
#include "guest/workload.h"

/* All processors' pages of an area. */
struct whole {
	uint64_t at, pages, dirty_pages;
	uint32_t *generation;
};

static struct whole whole[AREA_COUNT];
static bool pool_shared[512];

static uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

/* There, or behind the hole. */
static uint64_t place(uint64_t at, uint64_t len)
{
	bool clear = at + len <= guest_info.hole || at >= guest_info.hole_end;

	return clear ? at : round_up(guest_info.hole_end, TESTGUEST_AREA_ALIGN);
}

/* The generations lie behind the data, in pages of their own. */
void areas_place(const struct options *o)
{
	struct whole *a = whole;
	uint64_t shared = round_up(o->shared_len, TESTGUEST_AREA_ALIGN), pages;
	uint32_t *gen;

	a[AREA_POOL] = (struct whole){ .at = TESTGUEST_POOL, .pages = o->pool };
	a[AREA_SHARED] = (struct whole){ .at = place(TESTGUEST_SHARED, shared),
					 .pages = o->shared_len / TESTGUEST_PAGE };
	a[AREA_PRIVATE].pages = o->private_len / TESTGUEST_PAGE;
	pages = a[AREA_POOL].pages + a[AREA_SHARED].pages + a[AREA_PRIVATE].pages;
	a[AREA_PRIVATE].at =
		place(a[AREA_SHARED].at + shared, o->private_len + pages * sizeof(uint32_t));
	gen = (uint32_t *)(a[AREA_PRIVATE].at + a[AREA_PRIVATE].pages * TESTGUEST_PAGE);
	for (unsigned i = 0; i < AREA_COUNT; i++) {
		a[i].generation = gen;
		a[i].dirty_pages = a[i].pages;
		gen += a[i].pages;
	}
	a[AREA_PRIVATE].dirty_pages = o->span / TESTGUEST_PAGE;
	if ((uintptr_t)gen > guest_info.ram_end) {
		say("testguest: needs %u KiB of RAM, has %u", (uintptr_t)gen >> 10,
		    guest_info.ram_end >> 10);
		guest_call(GUEST_CALL_POWEROFF, 0, 0);
	}
}

void areas_share(void)
{
	const struct whole *w = &whole[AREA_SHARED];
	uint64_t len = round_up(w->pages * TESTGUEST_PAGE, TESTGUEST_AREA_ALIGN);

	if (len && guest_call(GUEST_CALL_CONVERT, w->at | 1, len))
		die("sharing memory failed");
}

/* Of n pages dealt out to cpus processors, how many are cpu's. */
static uint64_t dealt(uint64_t n, unsigned cpu, unsigned cpus)
{
	return (n + cpus - 1 - cpu) / cpus;
}

void areas_take(struct area area[AREA_COUNT], unsigned cpu, unsigned n)
{
	for (unsigned i = 0; i < AREA_COUNT; i++) {
		const struct whole *w = &whole[i];
		struct area *a = &area[i];

		*a = (struct area){ .at = w->at + cpu * TESTGUEST_PAGE,
				    .pages = dealt(w->pages, cpu, n),
				    .dirty_pages = dealt(w->dirty_pages, cpu, n),
				    .step = n,
				    .generation = w->generation + cpu,
				    .pool = i == AREA_POOL ? pool_shared + cpu : NULL,
				    .shared = i == AREA_SHARED };
		for (uint64_t k = 0; k < a->pages; k++) {
			a->generation[k * n] = 0;
			area_write(a, k);
		}
	}
}

static struct page area_page(struct area *a, uint64_t i)
{
	bool shared = a->pool ? a->pool[i * a->step] : a->shared;

	return (struct page){ a->at + i * a->step * TESTGUEST_PAGE, &a->generation[i * a->step],
			      shared };
}

void area_write(struct area *a, uint64_t i)
{
	struct page p = area_page(a, i);

	pages_write(&p);
	a->written++;
}

void area_verify(struct area *a, uint64_t i)
{
	struct page p = area_page(a, i);

	pages_verify(&p);
}

/* Lines of a page the CPU may still hold under its old encryption. */
static void page_flush(uint64_t at)
{
	for (uint64_t i = 0; i < TESTGUEST_PAGE; i += 64)
		__asm__ volatile("clflush (%0)" ::"r"(at + i) : "memory");
}

void area_flip(struct area *a, uint64_t i)
{
	struct page p = area_page(a, i);

	pages_verify(&p);
	page_flush(p.gpa);
	if (guest_call(GUEST_CALL_CONVERT, p.gpa | !p.shared, TESTGUEST_PAGE))
		die("changing a page's state failed");
	a->pool[i * a->step] = !p.shared;
	area_write(a, i);
}

void area_sum_verify(const struct area *a)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < a->pages; i++)
		sum += a->generation[i * a->step];
	if (sum == a->written)
		return;
	say("CORRUPT generations at %x: sum is %u, should be %u", (uintptr_t)a->generation, sum,
	    a->written);
	guest_call(GUEST_CALL_HALT, 0, 0);
}
