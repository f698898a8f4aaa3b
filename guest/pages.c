/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/testguest.h"
#include "guest/guest.h"

static const struct options *opt;

void pages_init(const struct options *o)
{
	opt = o;
}

static uint64_t page_magic(const struct page *p)
{
	return p->shared ? TESTGUEST_MAGIC_SHARED : TESTGUEST_MAGIC;
}

void pages_write(const struct page *p)
{
	uint64_t generation = ++*p->generation;
	uint64_t *w = (uint64_t *)p->gpa;
	uint64_t x = testguest_start(opt->seed, p->gpa, generation);

	w[TESTGUEST_W_MAGIC] = page_magic(p);
	w[TESTGUEST_W_GPA] = p->gpa;
	w[TESTGUEST_W_GENERATION] = generation;
	w[TESTGUEST_W_SEED] = opt->seed;
	for (unsigned i = TESTGUEST_W_FILL; i < TESTGUEST_W_CANARY; i++)
		w[i] = testguest_next(&x);
	memcpy(w + TESTGUEST_W_CANARY, opt->canary[p->shared], TESTGUEST_CANARY_MAX);
}

static void page_corrupt(const struct page *p, const char *what, uint64_t is, uint64_t should)
{
	say("CORRUPT page %x (%s) generation %u: %s is %x, should be %x", p->gpa,
	    p->shared ? "shared" : "private", (uint64_t)*p->generation, what, is, should);
	guest_call(GUEST_CALL_HALT, 0, 0);
}

void pages_verify(const struct page *p)
{
	static const char *const names[] = { "magic", "address", "generation", "seed" };
	const uint64_t *w = (const uint64_t *)p->gpa;
	const uint64_t head[] = { page_magic(p), p->gpa, *p->generation, opt->seed };
	uint64_t x = testguest_start(opt->seed, p->gpa, *p->generation);

	for (unsigned i = 0; i < TESTGUEST_W_FILL; i++) {
		if (w[i] != head[i])
			page_corrupt(p, names[i], w[i], head[i]);
	}
	for (unsigned i = TESTGUEST_W_FILL; i < TESTGUEST_W_CANARY; i++) {
		uint64_t v = testguest_next(&x);

		if (w[i] != v)
			page_corrupt(p, "fill", w[i], v);
	}
	if (memcmp(w + TESTGUEST_W_CANARY, opt->canary[p->shared], TESTGUEST_CANARY_MAX))
		page_corrupt(p, "canary", w[TESTGUEST_W_CANARY], 0);
}
