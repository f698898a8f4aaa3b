/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/workload.h"

#include "abi/testguest.h"

#define BATCH 256u /* pages between two looks at the clock */
#define LATE_MS 100u
#define HOLD_MS 2u     /* as long as the registers hold canaries without a look at what is due */
#define OTHERS_PACE 4u /* other processors' ticks are that much rarer than the first one's */

/* Something due at regular times; what was missed by far (the guest was stopped) is not made up. */
struct timer {
	uint64_t next, interval; /* TSC; interval 0: never */
};

struct worker {
	unsigned cpu;
	uint64_t rnd;
	struct area area[AREA_COUNT];
	struct timer tick, dirty, flip;
	uint64_t ticks, flips;
	uint64_t sweep_at; /* next page of the sweep under way, counted over all areas */
	bool sweeping;
	volatile uint64_t sweeps; /* ended */
	volatile bool ready;
};

static struct options opt;
static struct worker workers[GUEST_CPUS_MAX];

/* Of all processors, kept by the first. */
static struct timer sweep_timer;
static volatile uint64_t sweep_wanted;
static uint64_t sweep_said;

void die(const char *why)
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
	if ((int64_t)(now - t->next) > (int64_t)(guest_info.tsc_khz * LATE_MS))
		t->next = now;
	return true;
}

/* --- memory --------------------------------------------------------------------------------- */

static uint64_t random_below(struct worker *w, uint64_t n)
{
	return testguest_next(&w->rnd) % n;
}

/* One page, chosen evenly among all that may be dirtied. */
static void dirty_one(struct worker *w)
{
	struct area *a = &w->area[AREA_PRIVATE];
	uint64_t n = a->dirty_pages + w->area[AREA_SHARED].dirty_pages, i;

	if (!n)
		return;
	i = random_below(w, n);
	if (i >= a->dirty_pages) {
		i -= a->dirty_pages;
		a = &w->area[AREA_SHARED];
	}
	area_verify(a, i);
	area_write(a, i);
}

static void dirty_some(struct worker *w, uint64_t now)
{
	for (unsigned i = 0; i < BATCH && (opt.burst || timer_due(&w->dirty, now)); i++)
		dirty_one(w);
}

static void flip_one(struct worker *w)
{
	struct area *a = &w->area[AREA_POOL];

	if (a->pages)
		area_flip(a, w->flips++ % a->pages);
}

/* --- sweep ---------------------------------------------------------------------------------- */

static void sweep_end(struct worker *w)
{
	for (unsigned i = 0; i < AREA_COUNT; i++)
		area_sum_verify(&w->area[i]);
	w->sweeping = false;
	w->sweeps++;
}

static void sweep_some(struct worker *w)
{
	for (unsigned n = 0; n < BATCH; n++) {
		uint64_t i = w->sweep_at++;
		unsigned k = 0;

		while (k < AREA_COUNT && i >= w->area[k].pages)
			i -= w->area[k++].pages;
		if (k == AREA_COUNT) {
			sweep_end(w);
			return;
		}
		area_verify(&w->area[k], i);
	}
}

/* The first processor says when the next sweep begins, and when all have ended it. */
static void sweep_lead(uint64_t now)
{
	for (unsigned i = 0; i < guest_info.cpus; i++) {
		if (workers[i].sweeps != sweep_wanted)
			return;
	}
	if (sweep_said != sweep_wanted && !opt.quiet)
		say("verify ok sweep %u", sweep_wanted);
	sweep_said = sweep_wanted;
	if (timer_due(&sweep_timer, now))
		sweep_wanted++;
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

static void tick_say(struct worker *w)
{
	w->ticks++;
	if (w->cpu)
		say("cpu %u tick %u", (uint64_t)w->cpu, w->ticks);
	else
		say("tick %u", w->ticks);
}

/* --- all of it ------------------------------------------------------------------------------ */

static void data_work(struct worker *w, uint64_t now)
{
	dirty_some(w, now);
	if (timer_due(&w->flip, now))
		flip_one(w);
	if (!w->cpu)
		sweep_lead(now);
	if (!w->sweeping && w->sweeps != sweep_wanted) {
		w->sweeping = true;
		w->sweep_at = 0;
	}
	if (w->sweeping)
		sweep_some(w);
}

/* Nothing to do. */
static void rest(const struct worker *w)
{
	uint64_t v[TESTGUEST_REGCANARIES];

	if (!opt.regcanary) {
		guest_call(GUEST_CALL_IDLE, 0, 0);
		return;
	}
	for (unsigned i = 0; i < TESTGUEST_REGCANARIES; i++)
		v[i] = testguest_regcanary(opt.regcanary, w->cpu, i);
	canary_hold(v, rdtsc() + guest_info.tsc_khz * HOLD_MS);
}

static void work_once(struct worker *w)
{
	const char *line = w->cpu ? NULL : console_line();
	uint64_t now = rdtsc();

	if (line)
		line_handle(line);
	if (timer_due(&w->tick, now))
		tick_say(w);
	if (!opt.idle)
		data_work(w, now);
	if (!w->sweeping && (opt.idle || !opt.burst))
		rest(w);
}

static void timers_start(struct worker *w)
{
	uint64_t hz = guest_info.tsc_khz * 1000, now = rdtsc(), n = guest_info.cpus;
	uint64_t pace = guest_info.tsc_khz * opt.pace_us / 1000;

	timer_start(&w->tick, now, w->cpu ? pace * OTHERS_PACE : pace);
	if (opt.dirty >= TESTGUEST_PAGE)
		timer_start(&w->dirty, now, hz * n / (opt.dirty / TESTGUEST_PAGE));
	if (opt.flips && opt.pool)
		timer_start(&w->flip, now, hz * n / opt.flips);
}

static void worker_init(struct worker *w, unsigned cpu)
{
	w->cpu = cpu;
	w->rnd = opt.seed + cpu;
	if (!opt.idle)
		areas_take(w->area, cpu, guest_info.cpus);
	w->ready = true;
}

static void worker_run(struct worker *w)
{
	timers_start(w);
	for (;;)
		work_once(w);
}

static void other_main(uint64_t cpu)
{
	worker_init(&workers[cpu], (unsigned)cpu);
	worker_run(&workers[cpu]);
}

static void others_start(void)
{
	for (uint64_t cpu = 1; cpu < guest_info.cpus; cpu++) {
		if (guest_call(GUEST_CALL_START, cpu, (uintptr_t)other_main))
			die("a processor did not start");
	}
	if (guest_info.cpus > 1)
		say("testguest: %u processors, %u by the AP jump table", (uint64_t)guest_info.cpus,
		    (uint64_t)guest_info.jumped);
}

static void others_wait(void)
{
	for (unsigned cpu = 1; cpu < guest_info.cpus; cpu++) {
		while (!workers[cpu].ready)
			__asm__ volatile("pause");
	}
}

static void ready_say(void)
{
	if (!opt.msr || !(guest_info.kvm_features & GUEST_KVM_MIGRATION_CONTROL))
		say("testguest: migration control not written");
	else if (guest_call(GUEST_CALL_READY, 0, 0))
		say("testguest: migration control refused");
	say("ready");
}

void workload_main(uint64_t cpu)
{
	if (!options_parse(&opt, guest_info.cmdline))
		guest_call(GUEST_CALL_POWEROFF, 0, 0);
	pages_init(&opt);
	say("testguest: C-bit mask %x, %u KiB of RAM, TSC %u kHz", guest_info.cbit,
	    guest_info.ram_end >> 10, guest_info.tsc_khz);
	if (guest_info.ghcb)
		say("testguest: SEV-ES, GHCB protocol %u", (uint64_t)guest_info.ghcb);
	if (!opt.idle) {
		areas_place(&opt);
		areas_share();
	}
	others_start();
	worker_init(&workers[cpu], (unsigned)cpu);
	others_wait();
	ready_say();
	timer_start(&sweep_timer, rdtsc(), guest_info.tsc_khz * opt.sweep_us / 1000);
	worker_run(&workers[cpu]);
}
