/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "guest/firmware/firmware.h"

#define UART 0x3f8
#define UART_LCR 3
#define UART_LSR 5
#define LCR_8N1 0x03
#define LSR_ROOM 0x20

uint8_t fw_in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

void fw_out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

void fw_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

void fw_cpuid(uint32_t leaf, struct fw_cpuid *out)
{
	__asm__ volatile("cpuid"
			 : "=a"(out->eax), "=b"(out->ebx), "=c"(out->ecx), "=d"(out->edx)
			 : "0"(leaf), "2"(0));
}

static void put_char(char c)
{
	while (!(fw_in8(UART + UART_LSR) & LSR_ROOM))
		;
	fw_out8(UART, (uint8_t)c);
}

static void put_text(const char *s)
{
	while (*s)
		put_char(*s++);
}

static void put_number(uint64_t v, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put_char(digits[--n]);
}

static void say(const char *fmt, va_list args)
{
	fw_out8(UART + UART_LCR, LCR_8N1);
	put_text("firmware: ");
	for (; *fmt; fmt++) {
		if (*fmt != '%')
			put_char(*fmt);
		else if (*++fmt == 's')
			put_text(va_arg(args, const char *));
		else
			put_number(va_arg(args, uint64_t), *fmt == 'x' ? 16 : 10);
	}
	put_text("\r\n");
}

void fw_say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
}

/* A triple fault: whoever runs the guest learns that it did not end well. */
static void __attribute__((noreturn)) fall(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0 };

	__asm__ volatile("lidt %0" ::"m"(none));
	for (;;)
		__asm__ volatile("ud2");
}

void fw_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	if (fw_vc_on())
		fw_vc_terminate();
	fall();
}
