/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of chan/ have in common. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chan/chan.h"

#define WAIT_MS 20000 /* for what must come: only a broken test waits so long */

/* A fresh folder; the caller frees the text. */
static inline char *folder_new(void)
{
	char *p = strdup("/tmp/sevmig-chan-XXXXXX");

	assert_non_null(p);
	assert_non_null(mkdtemp(p));
	return p;
}

static inline void folder_free(char *p)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", p);
	assert_int_equal(system(cmd), 0);
	free(p);
}

static inline uint8_t *pattern_new(size_t len, unsigned seed)
{
	uint8_t *p = malloc(len + 1);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((i * 31 + (i >> 8) + seed) ^ (i >> 16));
	return p;
}

struct sizes {
	size_t head, body;
};

static const struct sizes all_sizes[] = {
	{ 0, 0 },
	{ 1, 0 },
	{ 0, 1 },
	{ 13, 4096 },
	{ 4097, 65536 },
	{ CHAN_HEAD_MAX, 0 },
	{ 0, CHAN_BODY_MAX },
	{ CHAN_HEAD_MAX, CHAN_BODY_MAX },
	{ 7, 7 },
};
#define N_SIZES (sizeof(all_sizes) / sizeof(*all_sizes))

struct sender {
	struct chan *c;
	int r;
	struct err e;
};

/* A thread's: sends one message of each size; asserts nothing, cmocka is the main thread's. */
static inline void *send_all_sizes(void *arg)
{
	struct sender *s = arg;

	for (size_t i = 0; i < N_SIZES && s->r == 0; i++) {
		uint8_t *head = pattern_new(all_sizes[i].head, (unsigned)i);
		uint8_t *body = pattern_new(all_sizes[i].body, (unsigned)i + 100);
		struct chan_msg m = { (uint32_t)i, head, all_sizes[i].head, body,
				      all_sizes[i].body };

		s->r = chan_send(s->c, &m, &s->e);
		free(head);
		free(body);
	}
	return NULL;
}

static inline void recv_all_sizes(struct chan *c)
{
	struct err e = { 0 };

	for (size_t i = 0; i < N_SIZES; i++) {
		uint8_t *head = pattern_new(all_sizes[i].head, (unsigned)i);
		uint8_t *body = pattern_new(all_sizes[i].body, (unsigned)i + 100);
		struct chan_msg m = { 0 };

		if (chan_recv(c, &m, WAIT_MS, &e) < 0)
			fail_msg("message %zu: %s", i, e.msg);
		assert_int_equal(m.type, i);
		assert_int_equal(m.head_len, all_sizes[i].head);
		assert_int_equal(m.body_len, all_sizes[i].body);
		assert_true(!m.head_len || memcmp(m.head, head, m.head_len) == 0);
		assert_true(!m.body_len || memcmp(m.body, body, m.body_len) == 0);
		free(head);
		free(body);
	}
}

/* All sizes from a to b, in step. */
static inline void round_trip(struct chan *a, struct chan *b)
{
	struct sender s = { .c = a };
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, send_all_sizes, &s), 0);
	recv_all_sizes(b);
	pthread_join(t, NULL);
	if (s.r < 0)
		fail_msg("%s", s.e.msg);
	assert_true(a->bytes_sent == b->bytes_received && b->bytes_received > CHAN_BODY_MAX);
}

static inline int send_text(struct chan *c, uint32_t type, const char *head, const char *body,
			    struct err *e)
{
	struct chan_msg m = { type, (const uint8_t *)head, strlen(head), (const uint8_t *)body,
			      strlen(body) };

	return chan_send(c, &m, e);
}

static inline void expect_text(struct chan *c, uint32_t type, const char *head, const char *body)
{
	struct chan_msg m = { 0 };
	struct err e = { 0 };

	if (chan_recv(c, &m, WAIT_MS, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(m.type, type);
	assert_int_equal(m.head_len, strlen(head));
	assert_true(!m.head_len || memcmp(m.head, head, m.head_len) == 0);
	assert_int_equal(m.body_len, strlen(body));
	assert_true(!m.body_len || memcmp(m.body, body, m.body_len) == 0);
}

static inline void expect_fails(struct chan *c, int code)
{
	struct chan_msg m = { 0 };
	struct err e = { 0 };

	assert_int_equal(chan_recv(c, &m, WAIT_MS, &e), code);
	assert_int_equal(e.code, code);
	assert_true(e.msg[0] != '\0');
}
