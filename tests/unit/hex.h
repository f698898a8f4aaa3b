/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Vectors are written as published: in hexadecimal. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Returns the number of bytes; out must have room for strlen(s) / 2. */
static inline size_t hex_get(const char *s, uint8_t *out)
{
	size_t n = strlen(s) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned v = 0;

		if (sscanf(s + 2 * i, "%2x", &v) != 1)
			return 0;
		out[i] = (uint8_t)v;
	}
	return n;
}

#define assert_hex_equal(p, s)                                                                     \
	do {                                                                                       \
		uint8_t hex_want_[512];                                                            \
		size_t hex_n_ = hex_get(s, hex_want_);                                             \
		assert_true(hex_n_ > 0);                                                           \
		assert_memory_equal(p, hex_want_, hex_n_);                                         \
	} while (0)
