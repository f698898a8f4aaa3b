/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ticks.h"

#include <string.h>

static bool starts(const char *line, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(line, with, n) == 0;
}

/* "tick N", to the end of the line or a space. */
static bool tick_get(const char *line, size_t len, uint64_t *out)
{
	static const char word[] = "tick ";
	size_t i = sizeof(word) - 1;
	uint64_t n = 0;

	if (!starts(line, len, word) || i == len)
		return false;
	for (; i < len && line[i] >= '0' && line[i] <= '9'; i++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(line[i] - '0'), &n))
			return false;
	*out = n;
	return n && (i == len || line[i] == ' ');
}

static void line_read(const char *line, size_t len, struct ticks *out)
{
	uint64_t n;

	if (starts(line, len, "CORRUPT") || starts(line, len, "TRAP"))
		out->broken = true;
	if (starts(line, len, "verify ok"))
		out->verified = true;
	if (!tick_get(line, len, &n))
		return;
	out->count++;
	if (n <= out->last) {
		out->repeated++;
		return;
	}
	out->missing += n - out->last - 1;
	out->last = n;
}

void ticks_read(const char *text, size_t len, struct ticks *out)
{
	*out = (struct ticks){ 0 };
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n;

		if (!end)
			return;
		n = (size_t)(end - text);
		line_read(text, n && text[n - 1] == '\r' ? n - 1 : n, out);
		len -= n + 1;
		text = end + 1;
	}
}
