/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A short list of lines for people: everything that is wrong, not only the first of it. Never
 * allocates; what does not fit is counted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LINES_MAX 32u
#define LINES_LEN 160u /* of one, with its end; a longer one is cut */

struct lines {
	uint32_t n;
	uint32_t lost; /* lines there was no room for */
	char v[LINES_MAX][LINES_LEN];
};

void lines_add(struct lines *l, const char *fmt, ...) printf_like(2, 3);
/* "first; second; and 3 more", as far as cap goes. */
void lines_join(const struct lines *l, char *out, size_t cap);
