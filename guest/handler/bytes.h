/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading and writing little-endian fields: the host's memory, each access exactly once, and our
 * own. */

#include <stdint.h>

static inline uint32_t host_get32(const uint8_t *p)
{
	return *(const volatile uint32_t *)(const volatile void *)p;
}

static inline uint64_t host_get64(const uint8_t *p)
{
	return *(const volatile uint64_t *)(const volatile void *)p;
}

static inline void host_put32(uint8_t *p, uint32_t v)
{
	*(volatile uint32_t *)(volatile void *)p = v;
}

static inline void host_put64(uint8_t *p, uint64_t v)
{
	*(volatile uint64_t *)(volatile void *)p = v;
}

/* len: a multiple of 8. */
static inline void host_get(uint8_t *to, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v = host_get64(p + i);

		__builtin_memcpy(to + i, &v, sizeof(v));
	}
}

static inline void host_put(uint8_t *p, const uint8_t *from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v;

		__builtin_memcpy(&v, from + i, sizeof(v));
		host_put64(p + i, v);
	}
}

static inline uint16_t own_get16(const uint8_t *p)
{
	uint16_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t own_get32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t own_get64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline void own_put32(uint8_t *p, uint32_t v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void own_put64(uint8_t *p, uint64_t v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

/* The time it takes does not depend on where they differ. */
static inline int own_equal(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint8_t differ = 0;

	for (uint32_t i = 0; i < len; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

static inline void own_wipe(void *p, uint64_t len)
{
	__builtin_memset(p, 0, len);
	__asm__ volatile("" ::"r"(p) : "memory");
}
