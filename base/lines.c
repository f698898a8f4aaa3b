/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lines.h"

#include <stdarg.h>
#include <stdio.h>

/* What "; and 4294967295 more" takes. */
#define LINES_MORE_LEN 24u

void lines_add(struct lines *l, const char *fmt, ...)
{
	va_list ap;

	if (l->n == LINES_MAX) {
		l->lost++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(l->v[l->n++], LINES_LEN, fmt, ap);
	va_end(ap);
}

void lines_join(const struct lines *l, char *out, size_t cap)
{
	size_t len = 0;
	uint32_t i = 0;

	*out = '\0';
	/* The first is cut if it must be; of the others only whole ones. */
	for (; i < l->n; i++) {
		int n = snprintf(NULL, 0, "%s%s", i ? "; " : "", l->v[i]);

		if (i && len + (size_t)n + LINES_MORE_LEN > cap)
			break;
		snprintf(out + len, cap - len, "%s%s", i ? "; " : "", l->v[i]);
		len = len + (size_t)n < cap ? len + (size_t)n : cap - 1;
	}
	if (l->n - i + l->lost)
		snprintf(out + len, cap - len, "; and %u more", l->n - i + l->lost);
}
