/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/chan_util.h"

#include <sys/socket.h>

#include "chan/wire.h"

static void carries_all_sizes_both_ways(void **state)
{
	struct chan *a, *b;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_mem_pair(&a, &b, &e), 0);
	round_trip(a, b);
	round_trip(b, a);
	chan_free(a);
	expect_fails(b, -ECONNRESET);
	assert_int_equal(send_text(b, 1, "", "", &e), -ECONNRESET);
	chan_free(b);
}

static void delivers_what_was_sent_before_the_end(void **state)
{
	struct chan *a, *b;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_mem_pair(&a, &b, &e), 0);
	assert_int_equal(send_text(a, 1, "x", "y", &e), 0);
	chan_free(a);
	assert_int_equal(chan_pending(b, 0, &e), 1);
	expect_text(b, 1, "x", "y");
	assert_int_equal(chan_pending(b, 0, &e), 1); /* the end */
	expect_fails(b, -ECONNRESET);
	chan_free(b);
}

static void waits_no_longer_than_told(void **state)
{
	struct chan_msg m;
	struct chan *a, *b;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_mem_pair(&a, &b, &e), 0);
	assert_int_equal(chan_recv(b, &m, 0, &e), -ETIMEDOUT);
	assert_int_equal(chan_recv(b, &m, 5, &e), -ETIMEDOUT);
	assert_int_equal(chan_pending(b, 5, &e), 0);
	chan_free(a);
	chan_free(b);
}

struct job {
	struct chan *c;
	bool send;
	int r;
};

static void *until_it_fails(void *arg)
{
	struct job *j = arg;
	struct chan_msg in;
	struct err e = { 0 };

	do
		j->r = j->send ? send_text(j->c, 1, "h", "b", &e) : chan_recv(j->c, &in, -1, &e);
	while (j->r == 0);
	return NULL;
}

static void abort_breaks_a_full_queue_and_an_empty_one(void **state)
{
	(void)state;
	for (int send = 0; send < 2; send++) {
		struct job j = { .send = send };
		struct chan *b;
		struct err e = { 0 };
		pthread_t t;

		assert_int_equal(chan_mem_pair(&j.c, &b, &e), 0);
		assert_int_equal(pthread_create(&t, NULL, until_it_fails, &j), 0);
		if (send)
			assert_int_equal(chan_pending(b, WAIT_MS, &e), 1);
		chan_abort(j.c);
		pthread_join(t, NULL);
		assert_int_equal(j.r, -ECANCELED);
		assert_int_equal(chan_pending(j.c, 0, &e), -ECANCELED);
		assert_int_equal(send_text(b, 1, "", "", &e), -ECONNRESET);
		chan_free(b);
		chan_free(j.c);
	}
}

/* --- faults --------------------------------------------------------------------------------- */

static void make_pair(bool bytes, struct chan **a, struct chan **b)
{
	struct chan_wire_config cfg = { .peer = "test" };
	struct chan_io io = CHAN_IO_NONE;
	struct err e = { 0 };
	int s[2];

	if (!bytes) {
		assert_int_equal(chan_mem_pair(a, b, &e), 0);
		return;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(chan_io_init(&io, s[0], false, &e), 0);
	assert_int_equal(chan_wire_new(&io, &cfg, a, &e), 0);
	assert_int_equal(chan_io_init(&io, s[1], false, &e), 0);
	assert_int_equal(chan_wire_new(&io, &cfg, b, &e), 0);
}

/* In the room if it fits there, whatever wraps the channel; else in the channel's own memory. */
static void a_body_that_fits_is_received_where_the_receiver_says(void **state)
{
	static uint8_t here[64];

	(void)state;
	for (int bytes = 0; bytes < 2; bytes++) {
		struct chan *a, *b;
		struct err e = { 0 };

		make_pair(bytes, &a, &b);
		b = chan_fault_wrap(chan_rate_wrap(b, 0), 100, CHAN_FAULT_BEFORE);
		assert_non_null(b);
		for (uint32_t len = 0; len <= sizeof(here) + 1; len++) {
			const struct chan_room room = { here, sizeof(here) };
			uint8_t *body = pattern_new(len, len);
			const struct chan_msg m = { len, (const uint8_t *)"head", 4, body, len };
			struct chan_msg got;

			memset(here, 0, sizeof(here));
			assert_int_equal(chan_send(a, &m, &e), 0);
			assert_int_equal(chan_recv_into(b, &got, room, WAIT_MS, &e), 0);
			assert_int_equal(got.body_len, len);
			if (len) {
				assert_memory_equal(got.body, body, len);
				assert_int_equal(got.body == here, len <= sizeof(here));
			}
			for (size_t i = got.body == here ? len : 0; i < sizeof(here); i++)
				assert_int_equal(here[i], 0);
			free(body);
		}
		chan_free(a);
		chan_free(b);
	}
}

#define EXCHANGE 5u

static int exchange_send(struct chan *c, struct err *e)
{
	for (uint32_t i = 0; i < EXCHANGE; i++) {
		int r = send_text(c, i, "head", "body", e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Walk k over all sends: how many arrive depends on k and at, nothing else. */
static unsigned walk(bool bytes, enum chan_fault_at at)
{
	for (unsigned k = 0;; k++) {
		struct chan *a, *b;
		struct chan_msg m;
		struct err e = { 0 };
		uint32_t arrived = 0;
		int r;

		make_pair(bytes, &a, &b);
		a = chan_fault_wrap(a, k, at);
		assert_non_null(a);
		r = exchange_send(a, &e);
		if (r == 0) {
			chan_free(a);
			chan_free(b);
			return k;
		}
		assert_int_equal(r, -ECONNRESET);
		while (chan_recv(b, &m, WAIT_MS, &e) == 0)
			assert_int_equal(m.type, arrived++);
		assert_int_equal(e.code, -ECONNRESET);
		assert_int_equal(arrived, k + (at == CHAN_FAULT_AFTER));
		assert_true(!!strstr(e.msg, "in the middle") == (bytes && at == CHAN_FAULT_MIDDLE));
		assert_int_equal(send_text(a, 1, "", "", &e), -ECONNRESET);
		expect_fails(a, -ECONNRESET);
		assert_int_equal(chan_pending(a, 0, &e), 1);
		chan_free(a);
		chan_free(b);
	}
}

static void breaks_each_send_where_it_was_told(void **state)
{
	(void)state;
	for (int bytes = 0; bytes < 2; bytes++) {
		assert_int_equal(walk(bytes, CHAN_FAULT_BEFORE), EXCHANGE);
		assert_int_equal(walk(bytes, CHAN_FAULT_MIDDLE), EXCHANGE);
		assert_int_equal(walk(bytes, CHAN_FAULT_AFTER), EXCHANGE);
	}
}

static void a_fault_wakes_the_receiving_thread(void **state)
{
	struct job j = { .send = false };
	struct chan *b;
	struct err e = { 0 };
	pthread_t t;

	(void)state;
	make_pair(false, &j.c, &b);
	j.c = chan_fault_wrap(j.c, 0, CHAN_FAULT_BEFORE);
	assert_non_null(j.c);
	assert_int_equal(pthread_create(&t, NULL, until_it_fails, &j), 0);
	assert_int_equal(send_text(j.c, 1, "", "", &e), -ECONNRESET);
	pthread_join(t, NULL);
	assert_int_equal(j.r, -ECONNRESET);
	chan_free(j.c);
	chan_free(b);
}

static void an_abort_shows_through_the_wrappers(void **state)
{
	struct chan *a, *b;
	struct err e = { 0 };

	(void)state;
	make_pair(true, &a, &b);
	a = chan_rate_wrap(chan_fault_wrap(a, 100, CHAN_FAULT_BEFORE), 0);
	assert_non_null(a);
	round_trip(a, b);
	chan_abort(a);
	assert_int_equal(send_text(a, 1, "", "", &e), -ECANCELED);
	expect_fails(a, -ECANCELED);
	chan_free(a);
	chan_free(b);
}

/* --- rate ----------------------------------------------------------------------------------- */

static void sends_no_faster_than_the_rate(void **state)
{
	const uint64_t rate = 4u << 20; /* 1 MiB takes a quarter of a second */
	uint8_t *body = pattern_new(64u << 10, 3);
	struct chan_msg m = { 1, NULL, 0, body, 64u << 10 }, in;
	struct chan *a, *b;
	struct err e = { 0 };
	int64_t start = chan_io_now();

	(void)state;
	make_pair(false, &a, &b);
	a = chan_rate_wrap(a, rate);
	assert_non_null(a);
	for (unsigned i = 0; i < 17; i++) { /* the first goes at once */
		assert_int_equal(chan_send(a, &m, &e), 0);
		assert_int_equal(chan_recv(b, &in, 0, &e), 0);
	}
	/* 1 MiB, less what a pause had saved up */
	assert_true(chan_io_now() - start >= 230 * 1000000ll);
	assert_true(a->bytes_sent == b->bytes_received);
	chan_free(a);
	chan_free(b);
	free(body);
}

static void abort_breaks_a_send_that_waits_its_turn(void **state)
{
	struct job j = { .send = true };
	struct chan *b;
	struct err e = { 0 };
	pthread_t t;

	(void)state;
	make_pair(false, &j.c, &b);
	j.c = chan_rate_wrap(j.c, 1); /* the second waits for most of a minute */
	assert_non_null(j.c);
	assert_int_equal(pthread_create(&t, NULL, until_it_fails, &j), 0);
	assert_int_equal(chan_pending(b, WAIT_MS, &e), 1);
	chan_abort(j.c);
	pthread_join(t, NULL);
	assert_int_equal(j.r, -ECANCELED);
	chan_free(j.c);
	chan_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_all_sizes_both_ways),
		cmocka_unit_test(delivers_what_was_sent_before_the_end),
		cmocka_unit_test(waits_no_longer_than_told),
		cmocka_unit_test(abort_breaks_a_full_queue_and_an_empty_one),
		cmocka_unit_test(a_body_that_fits_is_received_where_the_receiver_says),
		cmocka_unit_test(breaks_each_send_where_it_was_told),
		cmocka_unit_test(a_fault_wakes_the_receiving_thread),
		cmocka_unit_test(an_abort_shows_through_the_wrappers),
		cmocka_unit_test(sends_no_faster_than_the_rate),
		cmocka_unit_test(abort_breaks_a_send_that_waits_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
