/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/guest.h"

/* What a compiler may call by itself. String instructions leave no data in registers. */

void *memcpy(void *to, const void *from, size_t len)
{
	void *ret = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len)::"memory");
	return ret;
}

void *memset(void *p, int v, size_t len)
{
	void *ret = p;

	__asm__ volatile("rep stosb" : "+D"(p), "+c"(len) : "a"(v) : "memory");
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
