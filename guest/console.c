/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "guest/guest.h"

#define LINE_MAX_LEN 512

struct line {
	char text[LINE_MAX_LEN];
	size_t len;
};

static void put_char(struct line *l, char c)
{
	if (l->len < LINE_MAX_LEN)
		l->text[l->len++] = c;
}

static void put_number(struct line *l, uint64_t v, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put_char(l, digits[--n]);
}

static void put_text(struct line *l, const char *s)
{
	while (*s)
		put_char(l, *s++);
}

void say(const char *fmt, ...)
{
	struct line l;
	va_list args;

	l.len = 0;
	va_start(args, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put_char(&l, *fmt);
			continue;
		}
		fmt++;
		if (*fmt == 's')
			put_text(&l, va_arg(args, const char *));
		else
			put_number(&l, va_arg(args, uint64_t), *fmt == 'x' ? 16 : 10);
	}
	va_end(args);
	if (l.len > LINE_MAX_LEN - 1)
		l.len = LINE_MAX_LEN - 1;
	l.text[l.len++] = '\n';
	guest_call(GUEST_CALL_WRITE, (uintptr_t)l.text, l.len);
}

const char *console_line(void)
{
	static char text[256];
	static unsigned len;

	while (guest_info.rx_tail != guest_info.rx_head) {
		char c = (char)guest_info.rx[guest_info.rx_tail % GUEST_RX_RING];

		guest_info.rx_tail++;
		if (c == '\r')
			continue;
		if (c == '\n') {
			text[len] = 0;
			len = 0;
			return text;
		}
		if (len < sizeof(text) - 1)
			text[len++] = c;
	}
	return NULL;
}
