/* SPDX-License-Identifier: Apache-2.0 */

/* SEV-ES guests: their vCPUs travel sealed, each once, in order, and nothing else passes for one.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sev/es.h"
#include "stream/vmsa.h"
#include "tests/unit/migrate_fake.h"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	fake_es_vcpus = 3;
	rig_init(&rig, fake_platform[0], fake_platform[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini(&rig);
	return 0;
}

static void assert_moved(void)
{
	if (rig.source_result < 0 || rig.target_result < 0)
		fail_msg("source: %s; target: %s", rig.source_err.msg, rig.target_err.msg);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_MOVED);
	assert_int_equal(rig.world.most, 1);
	fake_assert_same(rig.src, rig.dst);
}

static void assert_stayed(const char *why)
{
	assert_true(rig.source_result < 0);
	assert_int_equal(rig.source_stats.outcome, MIG_OUTCOME_STAYED);
	if (!strstr(rig.source_err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, rig.source_err.msg);
	assert_true(rig.src->running);
	assert_false(rig.dst->running);
	assert_int_equal(rig.world.most, 1);
}

/* The states differ, or that they arrive at the right place says nothing. */
static void assert_told_apart(void)
{
	for (uint32_t i = 1; i < rig.src->vcpus; i++)
		assert_memory_not_equal(fake_vcpu(rig.src, i - 1), fake_vcpu(rig.src, i),
					SEV_VMSA_PACKET_LEN);
}

static void vcpus_arrive_as_they_were_when_the_guest_stopped(void **state)
{
	static const uint32_t vcpus[] = { 1, 2, 3, 16, 64 };

	for (size_t i = 0; i < sizeof(vcpus) / sizeof(vcpus[0]); i++) {
		teardown(state);
		fake_es_vcpus = vcpus[i];
		rig_init(&rig, fake_platform[0], fake_platform[1]);
		assert_told_apart();
		rig_move(&rig);
		assert_moved();
	}
}

/* --- kernels that cannot --------------------------------------------------------------------- */

static void a_kernel_that_cannot_send_vcpus_is_named_before_the_first_page(void **state)
{
	(void)state;
	rig.src->mainline = true;
	rig_move(&rig);
	assert_stayed("this kernel has no KVM_SEV_SEND_UPDATE_VMSA: an SEV-ES guest cannot leave");
	assert_int_equal(rig.source_stats.pages_private, 0);
	assert_int_equal(rig.target_stats.pages_total, 0); /* no START */
}

static void a_kernel_that_cannot_receive_vcpus_is_named_before_the_first_page(void **state)
{
	(void)state;
	rig.dst->mainline = true;
	rig_move(&rig);
	assert_stayed(
		"this kernel has no KVM_SEV_RECEIVE_UPDATE_VMSA: an SEV-ES guest cannot come");
	assert_int_equal(rig.target_stats.pages_total, 0);
}

static void a_plain_guest_needs_neither(void **state)
{
	teardown(state);
	fake_es_vcpus = 0;
	rig_init(&rig, fake_platform[0], fake_platform[1]);
	rig.src->mainline = rig.dst->mainline = true;
	rig_move(&rig);
	assert_moved();
}

/* --- a channel that does things to vCPUs ----------------------------------------------------- */

struct packet {
	uint8_t head[128];
	uint8_t body[STREAM_VMSA_LEN];
	size_t head_len;
};

struct trick;
struct tricky {
	struct chan c;
	struct chan *inner;
	const struct trick *trick; /* NULL: keeps what passes in earlier[] */
	struct packet held;
	unsigned seen;
};

/* Sends the i-th packet, or does not, or others. */
typedef int play(struct tricky *t, struct packet *p, unsigned i, struct err *e);

static struct packet earlier[3]; /* of another session */

static int packet_send(struct tricky *t, const struct packet *p, struct err *e)
{
	const struct chan_msg m = { STREAM_VMSA, p->head, p->head_len, p->body, sizeof(p->body) };

	return chan_send(t->inner, &m, e);
}

static int both_send(struct tricky *t, const struct packet *p, const struct packet *q,
		     struct err *e)
{
	int r = packet_send(t, p, e);

	return r < 0 ? r : packet_send(t, q, e);
}

static int header_bit(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	p->head[40] ^= i == 1;
	return packet_send(t, p, e);
}

static int packet_bit(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	p->body[1000] ^= i == 1;
	return packet_send(t, p, e);
}

static int swap_messages(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	if (i == 0)
		t->held = *p;
	if (i == 1)
		return both_send(t, p, &t->held, e);
	return i == 0 ? 0 : packet_send(t, p, e);
}

static int swap_packets(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	if (i == 1) {
		p->head[8] = 0;
		t->held.head[8] = 1;
	}
	return swap_messages(t, p, i, e);
}

static int swap_bodies(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	if (i == 1) {
		struct packet first = t->held;

		memcpy(first.body, p->body, sizeof(p->body));
		memcpy(p->body, t->held.body, sizeof(p->body));
		return both_send(t, &first, p, e);
	}
	return swap_messages(t, p, i, e);
}

static int drop(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	return i == 1 ? 0 : packet_send(t, p, e);
}

static int drop_last(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	return i == 2 ? 0 : packet_send(t, p, e);
}

static int twice(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	return i == 1 ? both_send(t, p, p, e) : packet_send(t, p, e);
}

static int renumber(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	if (i == 1)
		t->held = *p;
	if (i != 2)
		return packet_send(t, p, e);
	t->held.head[8] = 2;
	return packet_send(t, &t->held, e);
}

static int replay(struct tricky *t, struct packet *p, unsigned i, struct err *e)
{
	return packet_send(t, i == 1 ? &earlier[1] : p, e);
}

/* An authentic packet is one to the Secure Processor, whichever vCPU's it is: that the digest
 * tells. */
#define DIGEST "what came is not what was sent (digest)"

static const struct trick {
	const char *name;
	play *play;
	const char *refusal;
} tricks[] = {
	{ "a bit of the header", header_bit, "BAD_MEASUREMENT" },
	{ "a bit of the packet", packet_bit, "BAD_MEASUREMENT" },
	{ "swapped messages", swap_messages, "VMSA: vCPU 1, expected 0" },
	{ "swapped packets, indexes set right", swap_packets, DIGEST },
	{ "swapped bodies", swap_bodies, "BAD_MEASUREMENT" },
	{ "one left out", drop, "VMSA: vCPU 2, expected 1" },
	{ "the last left out", drop_last, "SHARED_LIST is not due in state VCPUS" },
	{ "one twice", twice, "VMSA: vCPU 1, expected 2" },
	{ "one in another's place", renumber, DIGEST },
	{ "one of an earlier session", replay, "BAD_MEASUREMENT" },
};

static const struct trick *trick;

static int tricky_send(struct chan *c, const struct chan_msg *m, struct err *e)
{
	struct tricky *t = (struct tricky *)c;
	struct packet p = { .head_len = m->head_len };

	if (m->type != STREAM_VMSA)
		return chan_send(t->inner, m, e);
	assert_true(m->head_len <= sizeof(p.head) && m->body_len == sizeof(p.body));
	memcpy(p.head, m->head, m->head_len);
	memcpy(p.body, m->body, m->body_len);
	if (t->trick)
		return t->trick->play(t, &p, t->seen++, e);
	earlier[t->seen++] = p;
	return packet_send(t, &p, e);
}

static struct chan *inner_of(struct chan *c)
{
	return ((struct tricky *)c)->inner;
}

static int tricky_recv(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		       struct err *e)
{
	return chan_recv_into(inner_of(c), m, room, timeout_ms, e);
}

static int tricky_pending(struct chan *c, int timeout_ms, struct err *e)
{
	return chan_pending(inner_of(c), timeout_ms, e);
}

static void tricky_abort(struct chan *c)
{
	chan_abort(inner_of(c));
}

static void tricky_free(struct chan *c)
{
	chan_free(inner_of(c));
	free(c);
}

static const struct chan_ops tricky_ops = { tricky_send, tricky_recv, tricky_pending, tricky_abort,
					    tricky_free };

static struct chan *tricky_new(struct rig *r, struct chan *c, bool target)
{
	struct tricky *t = target ? NULL : calloc(1, sizeof(*t));

	(void)r;
	if (!t)
		return c;
	t->c.ops = &tricky_ops;
	t->inner = c;
	t->trick = trick;
	return &t->c;
}

static void whatever_is_done_to_a_vcpu_on_its_way_the_guest_stays(void **state)
{
	trick = NULL;
	rig.wrap = tricky_new;
	rig_move(&rig);
	assert_moved();
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		teardown(state);
		setup(state);
		trick = &tricks[i];
		rig.wrap = tricky_new;
		rig_move(&rig);
		if (!strstr(rig.source_err.msg, trick->refusal))
			fail_msg("%s: %s", trick->name, rig.source_err.msg);
		assert_stayed(trick->refusal);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vcpus_arrive_as_they_were_when_the_guest_stopped),
		T(a_kernel_that_cannot_send_vcpus_is_named_before_the_first_page),
		T(a_kernel_that_cannot_receive_vcpus_is_named_before_the_first_page),
		T(a_plain_guest_needs_neither),
		T(whatever_is_done_to_a_vcpu_on_its_way_the_guest_stays),
	};

	return cmocka_run_group_tests_name("migrate_vcpus", tests, fake_group_setup,
					   fake_group_teardown);
}
