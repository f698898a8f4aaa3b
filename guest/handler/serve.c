/* SPDX-License-Identifier: Apache-2.0 */

/* User mode: one command after another, for as long as the monitor enters this vCPU. */

#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"
#include "guest/handler/image.h"

#define RANDOM_TRIES 100u

#define ECX1_RDRAND (1u << 30)
#define ECX1_OSXSAVE (1u << 27)
#define EBX7_BMI2 (1u << 8)
#define EBX7_AVX512 (1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31) /* F DQ CD BW VL */
#define ECX7_VAES (1u << 9)
#define ECX7_VPCLMULQDQ (1u << 10)
#define XCR0_AVX512 0xe6u

enum { NOBODY, SOMEBODY, DONE };

static unsigned set_up;
static struct handler_env env;
static struct handler handler;
static struct handler_worker workers[HANDLER_VCPUS_MAX];

struct regs {
	uint32_t a, b, c, d;
};

static struct regs cpuid(uint32_t leaf)
{
	struct regs r;

	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "0"(leaf), "2"(0));
	return r;
}

static enum handler_cipher cipher_choose(void)
{
	struct regs seven = cpuid(7);
	uint32_t low, high;

	if (!(cpuid(1).c & ECX1_OSXSAVE))
		return HANDLER_CIPHER_SSE;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if ((low & XCR0_AVX512) != XCR0_AVX512 || (seven.b & EBX7_AVX512) != EBX7_AVX512 ||
	    !(seven.b & EBX7_BMI2) || !(seven.c & ECX7_VAES) || !(seven.c & ECX7_VPCLMULQDQ))
		return HANDLER_CIPHER_SSE;
	return HANDLER_CIPHER_VAES;
}

static bool random_word(uint64_t *out)
{
	for (unsigned i = 0; i < RANDOM_TRIES; i++) {
		uint8_t ok;

		__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok)::"cc");
		if (ok)
			return true;
	}
	return false;
}

/* len: a multiple of 8. Two words alike are a broken source. */
static bool random_fill(void *p, size_t len)
{
	uint64_t last = 0;

	if (!(cpuid(1).c & ECX1_RDRAND))
		return false;
	for (size_t i = 0; i < len; i += sizeof(last)) {
		uint64_t v = 0;

		if (!random_word(&v) || v == last)
			return false;
		own_put64((uint8_t *)p + i, last = v);
	}
	return true;
}

static uint8_t *page_at(void *ctx, uint64_t gpa)
{
	(void)ctx;
	return (uint8_t *)(gpa ? gpa : HANDLER_PAGE0);
}

/* Measured, so not the host's; but whoever launched it may have erred. */
static bool config_get(struct handler_env *out)
{
	const uint8_t *p = (const uint8_t *)HANDLER_CONFIG;
	uint64_t last = 0;

	out->nram = own_get32(p + HANDLER_C_NRAM);
	if (own_get32(p + HANDLER_C_VERSION) != HANDLER_VERSION || !out->nram ||
	    out->nram > HANDLER_RAM_RANGES)
		return false;
	for (uint32_t i = 0; i < out->nram; i++) {
		struct handler_range *r = &out->ram[i];

		r->start = own_get64(p + HANDLER_C_RAM + i * 16);
		r->end = own_get64(p + HANDLER_C_RAM + i * 16 + 8);
		if (r->start < last || r->end <= r->start || r->end > HANDLER_RAM_MAX ||
		    (r->start | r->end) % HANDLER_PAGE)
			return false;
		last = r->end;
	}
	return true;
}

/* Once in the life of the guest: what the handler knows outlasts a migration. */
static void once(void)
{
	unsigned nobody = NOBODY;

	if (!__atomic_compare_exchange_n(&set_up, &nobody, SOMEBODY, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(&set_up, __ATOMIC_ACQUIRE) != DONE)
			__builtin_ia32_pause();
		return;
	}
	if (!config_get(&env))
		__builtin_trap();
	env.secret = (const uint8_t *)HANDLER_SECRET;
	env.epochs = (uint32_t *)HANDLER_EPOCHS;
	env.window = (uint8_t *)HANDLER_WINDOW;
	env.page = page_at;
	env.random = random_fill;
	env.cipher = cipher_choose();
	handler_init(&handler, &env);
	__atomic_store_n(&set_up, DONE, __ATOMIC_RELEASE);
}

void image_serve(unsigned vcpu)
{
	uint8_t *mailbox = (uint8_t *)(HANDLER_MAILBOX + (uint64_t)vcpu * HANDLER_MAILBOX_LEN);

	once();
	for (;;) {
		handler_answer(&handler, &workers[vcpu], mailbox);
		__asm__ volatile("outl %0, %w1" ::"a"(0), "d"(HANDLER_PORT) : "memory");
	}
}
