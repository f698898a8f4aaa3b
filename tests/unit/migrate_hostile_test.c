/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A peer that says anything at any time. Whatever it is, this side answers with an error and
 * nothing else: no crash, no guest that runs where it must not, no guest lost.
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

#include "chan/digest.h"
#include "migrate/pump.h"
#include "tests/unit/migrate_fake.h"
#include "sev/sev.h"
#include "stream/end.h"
#include "stream/hello.h"
#include "stream/list.h"
#include "stream/pages.h"
#include "stream/state.h"

#define MESSAGES_MAX 64
#define WAIT_MS 10000 /* only a broken test waits so long */

struct message {
	struct chan_msg m;
	uint8_t *memory;
};

/* What a real source said, up to and including COMMIT. A session is good for its platform, not for
 * one VM, so it can be said again to another target there. */
static struct message said[MESSAGES_MAX];
static unsigned nsaid;

/* --- recording ------------------------------------------------------------------------------- */

struct recorder {
	struct chan c;
	struct chan *inner;
};

static struct chan *inner_of(struct chan *c)
{
	return ((struct recorder *)c)->inner;
}

static int record_send(struct chan *c, const struct chan_msg *m, struct err *e)
{
	struct message *to = &said[nsaid];

	if (m->type != STREAM_DONE && nsaid < MESSAGES_MAX) {
		to->memory = malloc(m->head_len + m->body_len + 1);
		if (!to->memory)
			return err_set(e, -ENOMEM, "no memory");
		memcpy(to->memory, m->head, m->head_len);
		if (m->body_len)
			memcpy(to->memory + m->head_len, m->body, m->body_len);
		to->m = (struct chan_msg){ m->type, to->memory, m->head_len,
					   to->memory + m->head_len, m->body_len };
		nsaid++;
	}
	return inner_of(c)->ops->send(inner_of(c), m, e);
}

static int record_recv(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		       struct err *e)
{
	return chan_recv_into(inner_of(c), m, room, timeout_ms, e);
}

static int record_pending(struct chan *c, int timeout_ms, struct err *e)
{
	return inner_of(c)->ops->pending(inner_of(c), timeout_ms, e);
}

static void record_abort(struct chan *c)
{
	chan_abort(inner_of(c));
}

static void record_free(struct chan *c)
{
	chan_free(inner_of(c));
	free(c);
}

static const struct chan_ops record_ops = { record_send, record_recv, record_pending, record_abort,
					    record_free };

static struct chan *record(struct rig *rig, struct chan *c, bool target)
{
	struct recorder *rec = target ? NULL : calloc(1, sizeof(*rec));

	(void)rig;
	if (!rec)
		return c;
	rec->c.ops = &record_ops;
	rec->inner = c;
	return &rec->c;
}

static int group_setup(void **state)
{
	struct rig rig;

	fake_group_setup(state);
	fake_es_vcpus = 2; /* so that every message there is is said */
	rig_init(&rig, fake_platform[0], fake_platform[1]);
	rig.src->frozen = true;
	rig.wrap = record;
	rig_move(&rig);
	assert_int_equal(rig.source_result, 0);
	assert_true(nsaid > 8 && said[nsaid - 1].m.type == STREAM_COMMIT);
	rig_fini(&rig);
	return 0;
}

static int group_teardown(void **state)
{
	for (unsigned i = 0; i < nsaid; i++)
		free(said[i].memory);
	return fake_group_teardown(state);
}

/* --- a hostile source ------------------------------------------------------------------------ */

/* Say said[0..upto), then one more; then listen until the target hangs up or aborts. Without one
 * more, until it is ready. */
static void say(struct rig *rig, unsigned upto, const struct chan_msg *more)
{
	struct chan *c = NULL;
	struct chan_msg m;
	struct err e;
	int r, wait_ms = WAIT_MS;

	if (more && more->type != STREAM_COMMIT)
		wait_ms = 500; /* it may be one that nothing answers */
	rig_init(rig, fake_platform[0], fake_platform[1]);
	rig->target_params.linger_ms = 20;
	rig_target_start(rig);
	assert_int_equal(rig_connect(rig, &c, &e), 0);
	for (unsigned i = 0; i < upto; i++)
		if (chan_send(c, &said[i].m, &e) < 0)
			break;
	r = more ? chan_send(c, more, &e) : 0;
	while (r == 0) {
		r = chan_recv(c, &m, wait_ms, &e);
		if (r == 0 && (m.type == STREAM_ABORT || m.type == STREAM_RUNNING ||
			       (!more && m.type == STREAM_READY)))
			break;
	}
	chan_free(c);
}

static void give_up(struct rig *rig)
{
	struct mig_stats st;

	for (;;) {
		mig_target_cancel(rig->target);
		mig_target_stats(rig->target, &st);
		if (st.phase == MIG_PHASE_DONE)
			break;
	}
	rig_target_join(rig);
}

static void assert_nothing_ran(struct rig *rig, const char *what, unsigned i, uint64_t j)
{
	give_up(rig);
	if (rig->dst->running || rig->target_result == 0)
		fail_msg("%s %u, %lu: the target runs it", what, i, j);
	if (rig->target_err.msg[0] == 0)
		fail_msg("%s %u, %lu: no reason", what, i, j);
	rig_fini(rig);
}

static void what_was_recorded_moves_the_guest(void **state)
{
	struct rig rig;

	(void)state;
	say(&rig, nsaid - 1, &said[nsaid - 1].m);
	rig_target_join(&rig);
	assert_int_equal(rig.target_result, 0);
	assert_true(rig.dst->running);
	rig_fini(&rig);
}

static const struct chan_msg *sample(uint32_t type)
{
	static uint8_t space[1024];
	static struct chan_msg m;
	struct wr head = wr_of(space, sizeof(space));
	const struct stream_hello_reply reply = { .version = 1 };
	const struct stream_ready ready = { { 0 } };
	const struct stream_answer answer = { .phase = STREAM_PHASE_READY };
	const struct stream_id id = { { 0 } };
	struct err e;
	int r = 0;

	for (unsigned i = 0; i < nsaid; i++)
		if (said[i].m.type == type)
			return &said[i].m;
	if (type == STREAM_HELLO_REPLY)
		r = stream_hello_reply_put(&head, &reply, &e);
	else if (type == STREAM_READY)
		r = stream_ready_put(&head, &ready, &e);
	else if (type == STREAM_ANSWER)
		r = stream_answer_put(&head, &answer, &e);
	else if (type == STREAM_ABORT)
		r = stream_abort_put(&head, STREAM_ABORT_FAILED, "hostile", &e);
	else if (type < STREAM_TYPES && type)
		r = stream_id_put(&head, type, &id, &e);
	assert_int_equal(r, 0);
	m = (struct chan_msg){ .type = type, .head = space, .head_len = head.len };
	return &m;
}

/* After READY what is due is due; so up to END. */
static void any_message_in_any_state_of_the_target_is_an_error(void **state)
{
	(void)state;
	for (unsigned upto = 0; upto < nsaid - 1; upto++) {
		for (uint32_t type = 0; type <= STREAM_TYPES; type++) {
			struct rig rig;

			if (type == said[upto].m.type && sample(type) == &said[upto].m)
				continue; /* the very next one */
			say(&rig, upto, sample(type));
			assert_nothing_ran(&rig, "after message", upto, type);
		}
	}
}

static uint64_t rnd_state = 0x2545f4914f6cdd1dull;

static uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (rnd_state >> 11) % below;
}

/* One bit of one message. HELLO is left out: what a later version may put there is ignored. */
static void flip_and_say(unsigned i, uint64_t bit)
{
	struct message *v = &said[i];
	struct rig rig;

	v->memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
	say(&rig, nsaid - 1, &said[nsaid - 1].m);
	v->memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
	assert_nothing_ran(&rig, "message, bit", i, bit);
}

static void any_flipped_bit_is_found_before_the_guest_runs(void **state)
{
	(void)state;
	for (unsigned i = 1; i < nsaid; i++) {
		uint64_t bits = (said[i].m.head_len + said[i].m.body_len) * 8;

		for (unsigned k = 0; k < 12; k++) {
			uint64_t bit = k < 6 ? rnd(bits < 512 ? bits : 512) : rnd(bits);

			flip_and_say(i, bit);
		}
	}
}

static void a_message_left_out_or_said_twice_is_found(void **state)
{
	(void)state;
	for (unsigned i = 1; i < nsaid - 1; i++) {
		struct message kept = said[i];
		struct rig rig;

		if (kept.m.type == STREAM_QUERY) /* it asks, and changes nothing */
			continue;
		memmove(&said[i], &said[i + 1], (nsaid - i - 1) * sizeof(said[0]));
		say(&rig, nsaid - 2, &said[nsaid - 2].m);
		memmove(&said[i + 1], &said[i], (nsaid - i - 1) * sizeof(said[0]));
		said[i] = kept;
		assert_nothing_ran(&rig, "without message", i, 0);
		memmove(&said[i + 1], &said[i], (nsaid - i) * sizeof(said[0]));
		say(&rig, nsaid, &said[nsaid].m);
		memmove(&said[i], &said[i + 1], (nsaid - i) * sizeof(said[0]));
		assert_nothing_ran(&rig, "twice message", i, 0);
	}
}

static void a_stranger_gets_nothing_from_a_held_guest(void **state)
{
	struct stream_hello hello = { 1, 1, STREAM_ROLE_RESUME, 0, { 1 } };
	struct stream_abort why;
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	struct chan_msg m = { .type = STREAM_HELLO, .head = space };
	struct chan *c = NULL;
	struct rig rig;
	struct err e;

	(void)state;
	say(&rig, nsaid - 1, NULL); /* all but COMMIT, then gone */
	assert_int_equal(stream_hello_put(&head, &hello, &e), 0);
	m.head_len = head.len;
	assert_int_equal(rig_connect(&rig, &c, &e), 0);
	assert_int_equal(chan_send(c, &m, &e), 0);
	assert_int_equal(chan_recv(c, &m, WAIT_MS, &e), 0);
	assert_int_equal(m.type, STREAM_ABORT);
	assert_int_equal(stream_abort_get(m.head, m.head_len, &why, &e), 0);
	assert_int_equal(why.code, STREAM_ABORT_UNKNOWN_ID);
	chan_free(c);
	assert_nothing_ran(&rig, "stranger", 0, 0);
}

/* --- a source that comes back ---------------------------------------------------------------- */

static void send_head(struct chan *c, uint32_t type, const struct wr *head)
{
	const struct chan_msg m = { .type = type, .head = head->p, .head_len = head->len };
	struct err e = { 0 };

	if (chan_send(c, &m, &e) < 0)
		fail_msg("%s", e.msg);
}

static void send_id(struct chan *c, uint32_t type)
{
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_hello hello;
	struct stream_id id;
	struct err e;

	assert_int_equal(stream_hello_get(said[0].m.head, said[0].m.head_len, &hello, &e), 0);
	memcpy(id.id, hello.id, sizeof(id.id));
	assert_int_equal(stream_id_put(&head, type, &id, &e), 0);
	send_head(c, type, &head);
}

static void expect(struct chan *c, uint32_t type, uint32_t phase)
{
	struct stream_answer answer;
	struct chan_msg m;
	struct err e = { 0 };

	if (chan_recv(c, &m, WAIT_MS, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(m.type, type);
	if (type == STREAM_ANSWER) {
		assert_int_equal(stream_answer_get(m.head, m.head_len, &answer, &e), 0);
		assert_int_equal(answer.phase, phase);
	}
}

static struct chan *come_back(struct rig *rig)
{
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_hello hello;
	struct chan *c = NULL;
	struct err e;

	assert_int_equal(stream_hello_get(said[0].m.head, said[0].m.head_len, &hello, &e), 0);
	hello.role = STREAM_ROLE_RESUME;
	assert_int_equal(stream_hello_put(&head, &hello, &e), 0);
	assert_int_equal(rig_connect(rig, &c, &e), 0);
	send_head(c, STREAM_HELLO, &head);
	expect(c, STREAM_HELLO_REPLY, 0);
	return c;
}

/* Its source may have given the guest up by then: no ABORT, and the guest is still there. */
static void nonsense_does_not_end_a_guest_that_is_held(void **state)
{
	struct chan *c = NULL;
	struct chan_msg m;
	struct rig rig;
	struct err e;

	(void)state;
	say(&rig, nsaid - 1, NULL);
	c = come_back(&rig);
	assert_int_equal(chan_send(c, sample(STREAM_PASS), &e), 0);
	assert_int_equal(chan_recv(c, &m, WAIT_MS, &e), -ECONNRESET);
	chan_free(c);
	assert_false(rig.dst->running);
	c = come_back(&rig);
	send_id(c, STREAM_QUERY);
	expect(c, STREAM_ANSWER, STREAM_PHASE_READY);
	send_id(c, STREAM_COMMIT);
	expect(c, STREAM_RUNNING, 0);
	chan_free(c);
	rig_target_join(&rig);
	assert_int_equal(rig.target_result, 0);
	assert_true(rig.dst->running);
	rig_fini(&rig);
}

static void a_target_that_runs_says_so_as_often_as_it_is_asked(void **state)
{
	struct chan *c = NULL;
	struct rig rig;

	(void)state;
	say(&rig, nsaid - 1, NULL);
	c = come_back(&rig);
	for (unsigned i = 0; i < 3; i++) {
		send_id(c, STREAM_COMMIT);
		expect(c, STREAM_RUNNING, 0);
		send_id(c, STREAM_QUERY);
		expect(c, STREAM_ANSWER, STREAM_PHASE_RUNNING);
	}
	send_id(c, STREAM_DONE);
	rig_target_join(&rig);
	chan_free(c);
	assert_int_equal(rig.target_result, 0);
	assert_true(rig.dst->running);
	rig_fini(&rig);
}

/* --- a hostile target ------------------------------------------------------------------------ */

struct hostile {
	struct chan *c;
	uint32_t at;   /* when this type arrives ... */
	uint32_t type; /* ... say that ... */
	bool garbage;  /* ... or that type with random bytes */
	struct chan_digest *digest;
	uint64_t seed;
};

static void hostile_send(struct hostile *h, uint32_t type, const struct wr *head)
{
	const struct chan_msg m = { .type = type, .head = head->p, .head_len = head->len };
	struct err ignored;

	if (chan_send(h->c, &m, &ignored) < 0)
		return;
}

static void hostile_word(struct hostile *h)
{
	uint8_t space[256];
	struct wr head = wr_of(space, sizeof(space));
	const struct chan_msg *m = sample(h->type);
	struct err ignored;

	if (h->garbage) {
		stream_prefix_put(&head, h->type);
		while (head.len < 40)
			wr_u8(&head, (uint8_t)(h->seed = h->seed * 6364136223846793005ull + 1));
		hostile_send(h, h->type, &head);
	} else if (chan_send(h->c, m, &ignored) < 0) {
		return;
	}
}

static void hostile_answer(struct hostile *h, const struct chan_msg *m)
{
	uint8_t space[16384];
	struct wr head = wr_of(space, sizeof(space));
	struct sev_peer_certs certs;
	struct stream_ready ready;
	struct err e;

	if (m->type == STREAM_HELLO && sev_certs_export(fake_platform[1], &certs, &e) == 0) {
		const struct stream_hello_reply reply = { .version = 1,
							  .pdh = certs.pdh,
							  .plat = certs.plat,
							  .amd = certs.amd,
							  .amd_len = certs.amd_len };

		if (stream_hello_reply_put(&head, &reply, &e) == 0)
			hostile_send(h, STREAM_HELLO_REPLY, &head);
	}
	if (m->type == STREAM_QUERY) {
		struct stream_answer answer = { .phase = STREAM_PHASE_PASSES };
		struct stream_id id;

		if (stream_id_get(m->head, m->head_len, STREAM_QUERY, &id, &e) == 0)
			memcpy(answer.id, id.id, sizeof(answer.id));
		if (stream_answer_put(&head, &answer, &e) == 0)
			hostile_send(h, STREAM_ANSWER, &head);
	}
	if (m->type == STREAM_END && chan_digest_get(h->digest, ready.digest, &e) == 0 &&
	    stream_ready_put(&head, &ready, &e) == 0)
		hostile_send(h, STREAM_READY, &head);
}

static void *hostile_main(void *arg)
{
	struct hostile *h = arg;
	struct chan_msg m;
	struct err e;

	while (chan_recv(h->c, &m, WAIT_MS, &e) == 0) {
		if (mig_hashed(m.type) && chan_digest_add(h->digest, &m, &e) < 0)
			break;
		if (m.type == h->at) {
			hostile_word(h);
			h->at = STREAM_NONE;
			if (m.type == STREAM_COMMIT)
				break;
		} else {
			hostile_answer(h, &m);
		}
	}
	chan_free(h->c);
	h->c = NULL;
	return NULL;
}

/* committed: SEND_FINISH was done, so the guest is gone from here for good. */
static void hostile_run(uint32_t at, uint32_t type, bool garbage)
{
	struct hostile h = { .at = at, .type = type, .garbage = garbage, .seed = at * 77 + type };
	bool committed = at == STREAM_COMMIT;
	struct chan *c = NULL;
	struct rig rig;
	pthread_t t;
	struct err e;

	rig_init(&rig, fake_platform[0], fake_platform[1]);
	rig.no_reconnect = true;
	rig.source_params.commit_wait_ms = 1;
	assert_int_equal(chan_digest_new(&h.digest, &e), 0);
	assert_int_equal(chan_mem_pair(&c, &h.c, &e), 0);
	assert_int_equal(pthread_create(&t, NULL, hostile_main, &h), 0);
	rig_source_run(&rig, c);
	pthread_join(t, NULL);
	if (rig.source_stats.outcome != (committed ? MIG_OUTCOME_UNKNOWN : MIG_OUTCOME_STAYED) ||
	    rig.src->running == committed || rig.source_result == 0)
		fail_msg("%s%s at %s: %s: %s", garbage ? "garbled " : "",
			 stream_type_name(type) ? stream_type_name(type) : "nonsense",
			 stream_type_name(at), mig_outcome_name(rig.source_stats.outcome),
			 rig.source_err.msg);
	chan_digest_free(h.digest);
	rig_fini(&rig);
}

static void any_message_in_any_state_of_the_source_is_an_error(void **state)
{
	static const uint32_t at[] = { STREAM_HELLO, STREAM_START, STREAM_PASS, STREAM_QUERY,
				       STREAM_VMSA,  STREAM_STATE, STREAM_END,  STREAM_COMMIT };

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		for (uint32_t type = 0; type <= STREAM_TYPES; type++) {
			hostile_run(at[i], type, false);
			if (type && type < STREAM_TYPES && type != STREAM_ABORT)
				hostile_run(at[i], type, true);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_recorded_moves_the_guest),
		cmocka_unit_test(any_message_in_any_state_of_the_target_is_an_error),
		cmocka_unit_test(any_flipped_bit_is_found_before_the_guest_runs),
		cmocka_unit_test(a_message_left_out_or_said_twice_is_found),
		cmocka_unit_test(a_stranger_gets_nothing_from_a_held_guest),
		cmocka_unit_test(nonsense_does_not_end_a_guest_that_is_held),
		cmocka_unit_test(a_target_that_runs_says_so_as_often_as_it_is_asked),
		cmocka_unit_test(any_message_in_any_state_of_the_source_is_an_error),
	};

	return cmocka_run_group_tests_name("migrate_hostile", tests, group_setup, group_teardown);
}
