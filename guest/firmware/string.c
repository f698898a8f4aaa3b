/* SPDX-License-Identifier: Apache-2.0 */

/* What compilers and BearSSL call. String instructions leave no data in registers. */

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *p, int v, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *__memcpy_chk(void *to, const void *from, size_t len, size_t room);
void __stack_chk_fail(void) __attribute__((noreturn));

void *memcpy(void *to, const void *from, size_t len)
{
	void *ret = to;
	size_t words = len / 8;

	len %= 8;
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len)::"memory");
	return ret;
}

void *memmove(void *to, const void *from, size_t len)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (t <= f || t >= f + len)
		return memcpy(to, from, len);
	while (len--)
		t[len] = f[len];
	return to;
}

void *memset(void *p, int v, size_t len)
{
	uint64_t word = (uint8_t)v * 0x0101010101010101ull;
	size_t words = len / 8;
	void *ret = p;

	len %= 8;
	__asm__ volatile("rep stosq" : "+D"(p), "+c"(words) : "a"(word) : "memory");
	__asm__ volatile("rep stosb" : "+D"(p), "+c"(len) : "a"(word) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

/* The library is built with its distribution's hardening; both ends of a failed check are here. */
void __stack_chk_fail(void)
{
	for (;;)
		__asm__ volatile("ud2");
}

void *__memcpy_chk(void *to, const void *from, size_t len, size_t room)
{
	if (len > room)
		__stack_chk_fail();
	return memcpy(to, from, len);
}
