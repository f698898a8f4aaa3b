/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/testguest.h"
#include "guest/guest.h"

#define BATCH 256u /* pages between two looks at the clock */
#define LATE_MS 100u

/* Something due at regular times; what was missed by far (the guest was stopped) is not made up. */
struct timer {
	uint64_t next, interval; /* TSC; interval 0: never */
};

struct area {
	uint64_t at, pages, dirty_pages;
	uint32_t *generation;
	uint64_t written; /* sum of the generations, kept apart from them */
	bool shared;
};

static struct {
	struct options opt;
	uint64_t tsc_khz, rnd;
	struct area area[3]; /* private, shared, pool */
	uint8_t pool_shared[512];
	struct timer tick, dirty, flip, sweep;
	uint64_t ticks, flips, sweeps;
	uint64_t sweep_at; /* next page of the sweep under way, counted over all areas */
	bool sweeping;
} w;

enum { PRIVATE, SHARED, POOL };

static uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

static void die(const char *why)
{
	say("testguest: %s", why);
	guest_call(GUEST_CALL_HALT, 0, 0);
}

/* --- time ----------------------------------------------------------------------------------- */

static void timer_start(struct timer *t, uint64_t now, uint64_t interval)
{
	t->interval = interval;
	t->next = now + interval;
}

static bool timer_due(struct timer *t, uint64_t now)
{
	if (!t->interval || (int64_t)(now - t->next) < 0)
		return false;
	t->next += t->interval;
	if ((int64_t)(now - t->next) > (int64_t)(w.tsc_khz * LATE_MS))
		t->next = now;
	return true;
}

/* --- memory --------------------------------------------------------------------------------- */

static struct page area_page(struct area *a, uint64_t i)
{
	bool shared = a == &w.area[POOL] ? w.pool_shared[i] : a->shared;

	return (struct page){ a->at + i * TESTGUEST_PAGE, &a->generation[i], shared };
}

static void area_write(struct area *a, uint64_t i)
{
	struct page p = area_page(a, i);

	pages_write(&p);
	a->written++;
}

static void area_verify(struct area *a, uint64_t i)
{
	struct page p = area_page(a, i);

	pages_verify(&p);
}

/* The generations lie behind the data, in pages of their own. */
static void areas_place(void)
{
	struct options *o = &w.opt;
	struct area *a = w.area;
	uint64_t end;
	uint32_t *gen;

	a[POOL] = (struct area){ .at = TESTGUEST_POOL, .pages = o->pool };
	a[SHARED] = (struct area){ .at = TESTGUEST_SHARED,
				   .pages = o->shared_len / TESTGUEST_PAGE,
				   .shared = true };
	a[PRIVATE].at = TESTGUEST_SHARED + round_up(o->shared_len, TESTGUEST_AREA_ALIGN);
	a[PRIVATE].pages = o->private_len / TESTGUEST_PAGE;
	end = a[PRIVATE].at + a[PRIVATE].pages * TESTGUEST_PAGE;
	gen = (uint32_t *)end;
	for (unsigned i = 0; i < 3; i++) {
		a[i].generation = gen;
		a[i].dirty_pages = a[i].pages;
		gen += a[i].pages;
	}
	a[PRIVATE].dirty_pages = o->span / TESTGUEST_PAGE;
	if ((uintptr_t)gen > guest_info.ram_end) {
		say("testguest: needs %u KiB of RAM, has %u", (uintptr_t)gen >> 10,
		    guest_info.ram_end >> 10);
		guest_call(GUEST_CALL_POWEROFF, 0, 0);
	}
}

static void areas_fill(void)
{
	uint64_t share = w.area[PRIVATE].at - TESTGUEST_SHARED;

	if (share && guest_call(GUEST_CALL_CONVERT, TESTGUEST_SHARED | 1, share))
		die("sharing memory failed");
	for (unsigned i = 0; i < 3; i++) {
		memset(w.area[i].generation, 0, w.area[i].pages * sizeof(uint32_t));
		for (uint64_t k = 0; k < w.area[i].pages; k++)
			area_write(&w.area[i], k);
	}
}

static uint64_t random_below(uint64_t n)
{
	return testguest_next(&w.rnd) % n;
}

/* One page, chosen evenly among all that may be dirtied. */
static void dirty_one(void)
{
	uint64_t n = w.area[PRIVATE].dirty_pages + w.area[SHARED].dirty_pages, i;
	struct area *a;

	if (!n)
		return;
	i = random_below(n);
	a = &w.area[i < w.area[PRIVATE].dirty_pages ? PRIVATE : SHARED];
	i = a->shared ? i - w.area[PRIVATE].dirty_pages : i;
	area_verify(a, i);
	area_write(a, i);
}

static void dirty_some(uint64_t now)
{
	for (unsigned i = 0; i < BATCH && (w.opt.burst || timer_due(&w.dirty, now)); i++)
		dirty_one();
}

/* Lines of a page the CPU may still hold under its old encryption. */
static void page_flush(uint64_t at)
{
	for (uint64_t i = 0; i < TESTGUEST_PAGE; i += 64)
		__asm__ volatile("clflush (%0)" ::"r"(at + i) : "memory");
}

static void flip_one(void)
{
	struct area *a = &w.area[POOL];
	uint64_t i = w.flips++ % a->pages, at = a->at + i * TESTGUEST_PAGE;
	bool shared = !w.pool_shared[i];

	area_verify(a, i);
	page_flush(at);
	if (guest_call(GUEST_CALL_CONVERT, at | shared, TESTGUEST_PAGE))
		die("changing a page's state failed");
	w.pool_shared[i] = shared;
	area_write(a, i);
}

/* --- sweep ---------------------------------------------------------------------------------- */

static void sweep_end(void)
{
	for (unsigned i = 0; i < 3; i++) {
		struct area *a = &w.area[i];
		uint64_t sum = 0;

		for (uint64_t k = 0; k < a->pages; k++)
			sum += a->generation[k];
		if (sum != a->written) {
			say("CORRUPT generations at %x: sum is %u, should be %u",
			    (uintptr_t)a->generation, sum, a->written);
			guest_call(GUEST_CALL_HALT, 0, 0);
		}
	}
	w.sweeping = false;
	w.sweeps++;
	if (!w.opt.quiet)
		say("verify ok sweep %u", w.sweeps);
}

static void sweep_some(void)
{
	for (unsigned n = 0; n < BATCH; n++) {
		uint64_t i = w.sweep_at++;
		unsigned k = 0;

		while (k < 3 && i >= w.area[k].pages)
			i -= w.area[k++].pages;
		if (k == 3) {
			sweep_end();
			return;
		}
		area_verify(&w.area[k], i);
	}
}

/* --- console -------------------------------------------------------------------------------- */

static bool text_is(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static void line_handle(const char *line)
{
	say("echo: %s", line);
	if (text_is(line, "poweroff"))
		guest_call(GUEST_CALL_POWEROFF, 0, 0);
	if (text_is(line, "reset"))
		guest_call(GUEST_CALL_RESET, 0, 0);
}

static void work_once(void)
{
	const char *line = console_line();
	uint64_t now = rdtsc();

	if (line)
		line_handle(line);
	if (timer_due(&w.tick, now))
		say("tick %u", ++w.ticks);
	if (!w.opt.idle) {
		dirty_some(now);
		if (timer_due(&w.flip, now))
			flip_one();
		if (!w.sweeping && timer_due(&w.sweep, now)) {
			w.sweeping = true;
			w.sweep_at = 0;
		}
		if (w.sweeping)
			sweep_some();
	}
	if (!w.sweeping && (w.opt.idle || !w.opt.burst))
		guest_call(GUEST_CALL_IDLE, 0, 0);
}

static void timers_start(void)
{
	const struct options *o = &w.opt;
	uint64_t hz = w.tsc_khz * 1000, now = rdtsc();

	timer_start(&w.tick, now, w.tsc_khz * o->pace_us / 1000);
	timer_start(&w.sweep, now, w.tsc_khz * o->sweep_us / 1000);
	if (o->dirty >= TESTGUEST_PAGE)
		timer_start(&w.dirty, now, hz / (o->dirty / TESTGUEST_PAGE));
	if (o->flips && o->pool)
		timer_start(&w.flip, now, hz / o->flips);
}

static void ready_say(void)
{
	if (!w.opt.msr || !(guest_info.kvm_features & GUEST_KVM_MIGRATION_CONTROL))
		say("testguest: migration control not written");
	else if (guest_call(GUEST_CALL_READY, 0, 0))
		say("testguest: migration control refused");
	say("ready");
}

void workload_main(void)
{
	if (!options_parse(&w.opt, guest_info.cmdline))
		guest_call(GUEST_CALL_POWEROFF, 0, 0);
	w.tsc_khz = guest_info.tsc_khz;
	w.rnd = w.opt.seed;
	pages_init(&w.opt);
	say("testguest: C-bit mask %x, %u KiB of RAM, TSC %u kHz", guest_info.cbit,
	    guest_info.ram_end >> 10, w.tsc_khz);
	if (!w.opt.idle) {
		areas_place();
		areas_fill();
	}
	ready_say();
	timers_start();
	for (;;)
		work_once();
}
