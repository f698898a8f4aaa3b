/* SPDX-License-Identifier: Apache-2.0 */

/* What the compiler and the libraries call by themselves. */

#include "guest/handler/image.h"

int imb_errno;
int imb_errno_types[1]; /* its first is "no error", which is what gets copied */

void *memcpy(void *to, const void *from, size_t len)
{
	void *ret = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len)::"memory");
	return ret;
}

void *memmove(void *to, const void *from, size_t len)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if ((uintptr_t)to - (uintptr_t)from >= len)
		return memcpy(to, from, len);
	while (len--)
		d[len] = s[len];
	return to;
}

void *memset(void *p, int v, size_t len)
{
	void *ret = p;

	__asm__ volatile("rep stosb" : "+D"(p), "+c"(len) : "a"(v) : "memory");
	return ret;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

void *__memcpy_chk(void *to, const void *from, size_t len, size_t room)
{
	if (len > room)
		__builtin_trap();
	return memcpy(to, from, len);
}

void *__memset_chk(void *p, int v, size_t len, size_t room)
{
	if (len > room)
		__builtin_trap();
	return memset(p, v, len);
}

void __stack_chk_fail(void)
{
	__builtin_trap();
}
