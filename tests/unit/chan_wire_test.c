/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/chan_util.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan/frame.h"
#include "chan/wire.h"

#define PAD                                                                                        \
	70000 /* more than any length field with one bit of its three low bytes turned wants       \
	       */

/* Keys of end 0 or 1: what one sends with the other receives with. */
static struct chan_keys keys_of(unsigned end)
{
	struct chan_keys k;

	memset(&k.tx, end ? 0x51 : 0xa4, sizeof(k.tx));
	memset(&k.rx, end ? 0xa4 : 0x51, sizeof(k.rx));
	return k;
}

/* A channel on fd, which it takes. */
static struct chan *wire_on(int fd, bool sealed, unsigned end, uint64_t first_seq)
{
	struct chan_keys keys = keys_of(end);
	struct chan_wire_config cfg = { .keys = sealed ? &keys : NULL,
					.peer = "test",
					.first_seq = first_seq };
	struct chan_io io = CHAN_IO_NONE;
	struct chan *c = NULL;
	struct err e = { 0 };

	assert_int_equal(chan_io_init(&io, fd, false, &e), 0);
	assert_int_equal(chan_wire_new(&io, &cfg, &c, &e), 0);
	return c;
}

static void sockets(int s[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
}

static void pair(bool sealed, struct chan *c[2])
{
	int s[2];

	sockets(s);
	c[0] = wire_on(s[0], sealed, 0, 0);
	c[1] = wire_on(s[1], sealed, 1, 0);
}

/* A channel and the bare socket at its other end. */
static struct chan *half(bool sealed, unsigned end, int *raw)
{
	int s[2];

	sockets(s);
	*raw = s[1];
	return wire_on(s[0], sealed, end, 0);
}

static const char *const heads[] = { "the first head", "", "third" };
static const char *const bodies[] = { "and its body", "a body alone", "" };
#define N_TEXTS 3

/* What end 0 puts on the wire for the three texts; ends[i] is where the i-th stops. */
static size_t record(bool sealed, uint8_t *out, size_t cap, size_t ends[N_TEXTS])
{
	int raw;
	struct chan *c = half(sealed, 0, &raw);
	struct err e = { 0 };
	ssize_t n;

	for (uint32_t i = 0; i < N_TEXTS; i++) {
		assert_int_equal(send_text(c, i, heads[i], bodies[i], &e), 0);
		ends[i] = (size_t)c->bytes_sent;
	}
	n = recv(raw, out, cap, 0);
	assert_int_equal(n, ends[N_TEXTS - 1]);
	close(raw);
	chan_free(c);
	return (size_t)n;
}

/* End 1, which gets exactly these bytes and then the end. */
static struct chan *fed(bool sealed, const uint8_t *p, size_t len)
{
	int raw;
	struct chan *c = half(sealed, 1, &raw);

	if (len)
		assert_int_equal(send(raw, p, len, 0), len);
	close(raw);
	return c;
}

static void carries_all_sizes(void **state)
{
	(void)state;
	for (int sealed = 0; sealed < 2; sealed++) {
		struct chan *c[2];

		pair(sealed, c);
		round_trip(c[0], c[1]);
		round_trip(c[1], c[0]);
		chan_free(c[0]);
		expect_fails(c[1], -ECONNRESET);
		chan_free(c[1]);
	}
}

static void refuses_to_send_more_than_the_maxima(void **state)
{
	uint8_t *p = pattern_new(CHAN_BODY_MAX + 1, 1);
	struct chan_msg m = { 1, p, CHAN_HEAD_MAX + 1, NULL, 0 };
	struct err e = { 0 };
	struct chan *c[2];

	(void)state;
	pair(true, c);
	assert_int_equal(chan_send(c[0], &m, &e), -EMSGSIZE);
	m = (struct chan_msg){ 1, NULL, 0, p, CHAN_BODY_MAX + 1 };
	assert_int_equal(chan_send(c[0], &m, &e), -EMSGSIZE);
	assert_int_equal(send_text(c[0], 1, "still", "usable", &e), 0);
	expect_text(c[1], 1, "still", "usable");
	chan_free(c[0]);
	chan_free(c[1]);
	free(p);
}

/* Nothing follows the frame: an end that believed the length would wait for the rest. */
static void refuses_a_length_over_the_maxima_at_once(void **state)
{
	static const struct chan_frame bad[] = { { .head_len = CHAN_HEAD_MAX + 1 },
						 { .head_len = UINT32_MAX },
						 { .body_len = CHAN_BODY_MAX + 1 },
						 { .body_len = UINT32_MAX } };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		uint8_t raw[CHAN_FRAME_LEN];
		struct err e = { 0 };
		int fd;
		struct chan *c = half(i & 1, 1, &fd);

		chan_frame_put(raw, &bad[i / 2]);
		assert_int_equal(send(fd, raw, sizeof(raw), 0), sizeof(raw));
		expect_fails(c, -EPROTO);
		expect_fails(c, -EPROTO); /* and stays so */
		/* the other direction does not suffer: the reason can be told */
		assert_int_equal(send_text(c, 1, "why", "", &e), 0);
		chan_free(c);
		close(fd);
	}
}

static void ends_at_every_cut(void **state)
{
	(void)state;
	for (int sealed = 0; sealed < 2; sealed++) {
		size_t ends[N_TEXTS];
		uint8_t raw[4096];
		size_t len = record(sealed, raw, sizeof(raw), ends);

		for (size_t k = 0; k <= len; k++) {
			struct chan *c = fed(sealed, raw, k);

			for (uint32_t i = 0; i < N_TEXTS && ends[i] <= k; i++)
				expect_text(c, i, heads[i], bodies[i]);
			expect_fails(c, -ECONNRESET);
			expect_fails(c, -ECONNRESET);
			chan_free(c);
		}
	}
}

/* What a turned bit at offset k of the first sealed message must lead to; 0: delivered. */
static int tamper_code(size_t k)
{
	size_t head = strlen(heads[0]);

	if (k < 4 || (k >= 16 && k < CHAN_FRAME_LEN) || k == 11 || k == 15)
		return -EPROTO; /* magic, sequence number, a length far over its maximum */
	if (k < CHAN_FRAME_LEN + head + GCM_TAG_LEN)
		return -EBADMSG;
	return 0;
}

static void notices_every_turned_bit_outside_the_body(void **state)
{
	size_t ends[N_TEXTS];
	uint8_t *raw = calloc(1, 4096 + PAD);

	(void)state;
	assert_non_null(raw);
	record(true, raw, 4096, ends);
	for (size_t k = 0; k < ends[0]; k++) {
		struct chan *c;

		raw[k] ^= 1;
		c = fed(true, raw, ends[0] + PAD);
		raw[k] ^= 1;
		if (tamper_code(k)) {
			expect_fails(c, tamper_code(k));
		} else { /* the body is its maker's to authenticate, not the channel's */
			struct chan_msg m = { 0 };
			struct err e = { 0 };

			assert_int_equal(chan_recv(c, &m, WAIT_MS, &e), 0);
			assert_int_equal(m.body_len, strlen(bodies[0]));
			assert_memory_not_equal(m.body, bodies[0], m.body_len);
		}
		chan_free(c);
	}
	free(raw);
}

static void refuses_replayed_skipped_and_swapped_messages(void **state)
{
	static const unsigned orders[][2] = { { 0, 0 }, { 0, 2 }, { 1, 0 } };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		const unsigned *o = orders[i / 2];
		size_t ends[N_TEXTS], len = 0;
		uint8_t raw[4096], sent[4096];
		struct chan *c;

		record(i & 1, raw, sizeof(raw), ends);
		for (unsigned j = 0; j < 2; j++) {
			size_t from = o[j] ? ends[o[j] - 1] : 0;

			memcpy(sent + len, raw + from, ends[o[j]] - from);
			len += ends[o[j]] - from;
		}
		c = fed(i & 1, sent, len);
		if (o[0] == 0)
			expect_text(c, 0, heads[0], bodies[0]);
		expect_fails(c, -EPROTO);
		chan_free(c);
	}
}

/* A message sent back to its sender must not pass for the peer's. */
static void refuses_its_own_messages_reflected(void **state)
{
	size_t ends[N_TEXTS];
	uint8_t raw[4096];
	struct chan *c;
	int fd;

	(void)state;
	record(true, raw, sizeof(raw), ends);
	c = half(true, 0, &fd);
	assert_int_equal(send(fd, raw, ends[0], 0), ends[0]);
	expect_fails(c, -EBADMSG);
	chan_free(c);
	close(fd);
}

static void puts_the_body_on_the_wire_as_it_is_and_never_the_head(void **state)
{
	size_t ends[N_TEXTS];
	uint8_t raw[4096];
	size_t len = record(true, raw, sizeof(raw), ends);

	(void)state;
	assert_non_null(memmem(raw, len, bodies[0], strlen(bodies[0])));
	assert_null(memmem(raw, len, heads[0], 6));
	assert_null(memmem(raw, len, heads[2], strlen(heads[2])));
	len = record(false, raw, sizeof(raw), ends);
	assert_non_null(memmem(raw, len, heads[0], strlen(heads[0])));
}

/* doc/PROTOCOL.md, 7: opened by hand, so that both ends cannot change together unnoticed. */
static void seals_as_the_protocol_says(void **state)
{
	struct chan_keys keys = keys_of(0);
	struct crypto_gcm *gcm;
	size_t ends[N_TEXTS], len = strlen(heads[2]);
	uint8_t raw[4096], head[64];
	struct err e = { 0 };

	(void)state;
	record(true, raw, sizeof(raw), ends);
	keys.tx.nonce[GCM_NONCE_LEN - 1] ^= 2; /* the third message */
	assert_int_equal(crypto_gcm_new(keys.tx.key, &gcm, &e), 0);
	assert_int_equal(ends[2] - ends[1], CHAN_FRAME_LEN + len + GCM_TAG_LEN);
	assert_int_equal(crypto_gcm_open(gcm, keys.tx.nonce, raw + ends[1], CHAN_FRAME_LEN,
					 raw + ends[1] + CHAN_FRAME_LEN, len,
					 raw + ends[2] - GCM_TAG_LEN, head, &e),
			 0);
	assert_memory_equal(head, heads[2], len);
	crypto_gcm_free(gcm);
}

/* Equal messages do not look equal: the nonce moves on. */
static void never_uses_a_nonce_twice(void **state)
{
	uint8_t raw[2][CHAN_FRAME_LEN + 16 + GCM_TAG_LEN];
	struct err e = { 0 };
	int fd;
	struct chan *c = half(true, 0, &fd);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send_text(c, 1, "0123456789abcdef", "", &e), 0);
		assert_int_equal(recv(fd, raw[i], sizeof(raw[i]), 0), sizeof(raw[i]));
	}
	assert_memory_not_equal(raw[0] + CHAN_FRAME_LEN, raw[1] + CHAN_FRAME_LEN, 16);
	chan_free(c);
	close(fd);
}

static void ends_before_the_sequence_wraps(void **state)
{
	struct err e = { 0 };
	struct chan *a, *b;
	int s[2];

	(void)state;
	sockets(s);
	a = wire_on(s[0], true, 0, UINT64_MAX - 1);
	b = wire_on(s[1], true, 1, UINT64_MAX - 1);
	assert_int_equal(send_text(a, 1, "the last", "", &e), 0);
	expect_text(b, 1, "the last", "");
	assert_int_equal(send_text(a, 1, "one more", "", &e), -EOVERFLOW);
	assert_int_equal(send_text(a, 1, "one more", "", &e), -EOVERFLOW);
	expect_fails(b, -ECONNRESET);
	chan_free(a);
	chan_free(b);
}

static void a_time_limit_leaves_the_channel_usable(void **state)
{
	struct chan_msg m = { 0 };
	struct err e = { 0 };
	struct chan *c[2];

	(void)state;
	pair(true, c);
	assert_int_equal(chan_recv(c[1], &m, 0, &e), -ETIMEDOUT);
	assert_int_equal(chan_recv(c[1], &m, 5, &e), -ETIMEDOUT);
	assert_int_equal(chan_pending(c[1], 0, &e), 0);
	assert_int_equal(chan_pending(c[1], 5, &e), 0);
	assert_int_equal(send_text(c[0], 9, "late", "", &e), 0);
	assert_int_equal(chan_pending(c[1], WAIT_MS, &e), 1);
	expect_text(c[1], 9, "late", "");
	chan_free(c[0]);
	assert_int_equal(chan_pending(c[1], WAIT_MS, &e), 1);
	expect_fails(c[1], -ECONNRESET);
	chan_free(c[1]);
}

struct job {
	struct chan *c;
	pthread_barrier_t *start;
	bool send;
	int r;
};

static void *until_it_fails(void *arg)
{
	struct job *j = arg;
	uint8_t *body = pattern_new(CHAN_BODY_MAX, 1);
	struct chan_msg out = { 1, NULL, 0, body, CHAN_BODY_MAX }, in;
	struct err e = { 0 };

	pthread_barrier_wait(j->start);
	do
		j->r = j->send ? chan_send(j->c, &out, &e) : chan_recv(j->c, &in, -1, &e);
	while (j->r == 0);
	free(body);
	return NULL;
}

static void abort_breaks_a_blocked_send_or_recv(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		pthread_barrier_t start;
		struct job j = { .start = &start, .send = i & 1 };
		struct err e = { 0 };
		struct pollfd p = { .events = POLLIN };
		pthread_t t;

		j.c = half(i & 2, 0, &p.fd);
		pthread_barrier_init(&start, NULL, 2);
		assert_int_equal(pthread_create(&t, NULL, until_it_fails, &j), 0);
		pthread_barrier_wait(&start);
		if (j.send) /* it is at it, and nobody reads */
			assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		chan_abort(j.c);
		pthread_join(t, NULL);
		assert_int_equal(j.r, -ECANCELED);
		assert_int_equal(send_text(j.c, 1, "", "", &e), -ECANCELED);
		assert_int_equal(chan_pending(j.c, -1, &e), -ECANCELED);
		expect_fails(j.c, -ECANCELED);
		chan_free(j.c);
		close(p.fd);
		pthread_barrier_destroy(&start);
	}
}

static void what_a_peer_said_before_it_left_can_be_read(void **state)
{
	struct err e = { 0 };
	struct chan *c[2];
	int r;

	(void)state;
	pair(true, c);
	assert_int_equal(send_text(c[0], 1, "unread", "", &e), 0);
	assert_int_equal(send_text(c[1], 16, "no room here", "", &e), 0);
	chan_free(c[1]);
	do
		r = send_text(c[0], 2, "more", "", &e);
	while (r == 0);
	assert_int_equal(r, -ECONNRESET);
	expect_text(c[0], 16, "no room here", "");
	expect_fails(c[0], -ECONNRESET);
	chan_free(c[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_all_sizes),
		cmocka_unit_test(refuses_to_send_more_than_the_maxima),
		cmocka_unit_test(refuses_a_length_over_the_maxima_at_once),
		cmocka_unit_test(ends_at_every_cut),
		cmocka_unit_test(notices_every_turned_bit_outside_the_body),
		cmocka_unit_test(refuses_replayed_skipped_and_swapped_messages),
		cmocka_unit_test(refuses_its_own_messages_reflected),
		cmocka_unit_test(puts_the_body_on_the_wire_as_it_is_and_never_the_head),
		cmocka_unit_test(seals_as_the_protocol_says),
		cmocka_unit_test(never_uses_a_nonce_twice),
		cmocka_unit_test(ends_before_the_sequence_wraps),
		cmocka_unit_test(a_time_limit_leaves_the_channel_usable),
		cmocka_unit_test(abort_breaks_a_blocked_send_or_recv),
		cmocka_unit_test(what_a_peer_said_before_it_left_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
