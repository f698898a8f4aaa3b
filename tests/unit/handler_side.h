/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A migration handler over fake memory, driven by its mailbox as a host would. */

#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"

#define SIDE_RAM 0x1400000ull
#define SIDE_LOW 0x200000ull /* a page that may move */
#define SIDE_HIGH HANDLER_END

struct side {
	struct handler_env env;
	struct handler h;
	struct handler_worker w[2];
	uint8_t *ram, *window;
	uint32_t *epochs;
	uint8_t secret[HANDLER_SECRET_LEN];
	uint8_t mailbox[2][HANDLER_MAILBOX_LEN] __attribute__((aligned(8)));
};

/* The owner's entry as it lies in the secret page. */
struct side_owner {
	uint32_t flags;
	uint8_t guest, key;
	uint16_t min_version;
};

#define SIDE_ANY ((struct side_owner){ HANDLER_F_MAY_SEND | HANDLER_F_MAY_RECEIVE, 1, 1, 1 })

static inline void side_secret_put(struct side *s, struct side_owner o)
{
	static const uint8_t guids[2][16] = {
		{ 0x42, 0xf5, 0x74, 0x1e, 0xdd, 0x71, 0x66, 0x4d, 0x96, 0x3e, 0xef, 0x42, 0x87,
		  0xff, 0x17, 0x3b },
		{ 0x23, 0xc9, 0xb6, 0xbb, 0xcb, 0xff, 0xc6, 0x41, 0xa1, 0xd1, 0x6e, 0xf7, 0xc5,
		  0xac, 0xe2, 0x5f },
	};
	uint8_t *p = s->secret;

	memset(p, 0, sizeof(s->secret));
	memcpy(p, guids[0], 16);
	own_put32(p + 16, 20 + 20 + HANDLER_S_LEN);
	memcpy(p + 20, guids[1], 16);
	own_put32(p + 36, 20 + HANDLER_S_LEN);
	p += 40;
	p[HANDLER_S_VERSION] = 1;
	p[HANDLER_S_MIN_VERSION] = (uint8_t)o.min_version;
	own_put32(p + HANDLER_S_FLAGS, o.flags);
	memset(p + HANDLER_S_GUEST, o.guest, 16);
	memset(p + HANDLER_S_KEY, o.key, 32);
}

static inline uint8_t *side_page(void *ctx, uint64_t gpa)
{
	struct side *s = ctx;

	assert_true(gpa <= SIDE_RAM - HANDLER_PAGE);
	assert_true(gpa + HANDLER_PAGE <= HANDLER_BASE || gpa >= HANDLER_END);
	return s->ram + gpa;
}

/* Never the same twice in a test. */
static inline bool side_random(void *p, size_t len)
{
	static uint64_t count;

	memset(p, 0, len);
	count++;
	memcpy(p, &count, sizeof(count));
	return true;
}

/* clang 14's __builtin_cpu_supports() does not know vaes. */
static inline bool side_has_vaes(void)
{
	unsigned eax, ebx, ecx = 0, edx;

	return __builtin_cpu_supports("avx512vl") &&
	       __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ecx & bit_VAES);
}

static inline struct side *side_new(struct side_owner o)
{
	struct side *s = aligned_alloc(_Alignof(struct side), sizeof(*s));

	assert_non_null(s);
	memset(s, 0, sizeof(*s));
	s->ram = calloc(1, SIDE_RAM);
	s->window = calloc(1, HANDLER_WINDOW_LEN);
	s->epochs = calloc(SIDE_RAM / HANDLER_PAGE, sizeof(uint32_t));
	assert_true(s->ram && s->window && s->epochs);
	s->env = (struct handler_env){
		.nram = 1,
		.ram = { { 0, SIDE_RAM } },
		.secret = s->secret,
		.epochs = s->epochs,
		.window = s->window,
		.page = side_page,
		.random = side_random,
		.ctx = s,
		.cipher = side_has_vaes() ? HANDLER_CIPHER_VAES : HANDLER_CIPHER_SSE,
	};
	side_secret_put(s, o);
	handler_init(&s->h, &s->env);
	return s;
}

static inline void side_free(struct side *s)
{
	free(s->ram);
	free(s->window);
	free(s->epochs);
	free(s);
}

static inline void side_mail(struct side *s, unsigned vcpu, uint32_t command, uint32_t count,
			     const void *arg, size_t len)
{
	uint8_t *m = s->mailbox[vcpu];

	own_put32(m + HANDLER_M_MAGIC, HANDLER_MAGIC);
	own_put32(m + HANDLER_M_VERSION, HANDLER_VERSION | HANDLER_DESC_LEN << 16);
	own_put32(m + HANDLER_M_COMMAND, command);
	own_put32(m + HANDLER_M_COUNT, count);
	memset(m + HANDLER_M_ARG, 0, HANDLER_ARG_LEN);
	if (len)
		memcpy(m + HANDLER_M_ARG, arg, len);
}

static inline uint32_t side_call(struct side *s, uint32_t command, const void *arg, size_t len)
{
	side_mail(s, 0, command, 0, arg, len);
	handler_answer(&s->h, &s->w[0], s->mailbox[0]);
	return own_get32(s->mailbox[0] + HANDLER_M_STATUS);
}

static inline const uint8_t *side_result(const struct side *s)
{
	return s->mailbox[0] + HANDLER_M_RESULT;
}

static inline uint8_t *side_desc(struct side *s, uint32_t i)
{
	return s->mailbox[0] + HANDLER_M_DESC + (size_t)i * HANDLER_DESC_LEN;
}

static inline void side_ask(struct side *s, uint32_t i, uint64_t gpa)
{
	memset(side_desc(s, i), 0, HANDLER_DESC_LEN);
	own_put64(side_desc(s, i) + HANDLER_D_GPA, gpa);
	own_put32(side_desc(s, i) + HANDLER_D_OFFSET, i * HANDLER_PAGE);
}

static inline uint32_t side_pages(struct side *s, uint32_t command, uint32_t n)
{
	side_mail(s, 0, command, n, NULL, 0);
	handler_answer(&s->h, &s->w[0], s->mailbox[0]);
	return own_get32(s->mailbox[0] + HANDLER_M_STATUS);
}
