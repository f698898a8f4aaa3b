/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/serial.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR
#define DLAB 0x80
#define LOOP 0x10

static struct line {
	bool irq;
	unsigned rooms;
	uint8_t out[256];
	size_t len;
} line;
static struct serial *port;

static void on_irq(void *ctx, bool level)
{
	((struct line *)ctx)->irq = level;
}

static void on_output(void *ctx, const uint8_t *p, size_t len)
{
	struct line *l = (struct line *)ctx;

	memcpy(l->out + l->len, p, len);
	l->len += len;
}

static void on_room(void *ctx)
{
	((struct line *)ctx)->rooms++;
}

static const struct serial_ops ops = { on_irq, on_output, on_room };

static struct serial *port_new(void)
{
	struct serial *s = NULL;
	struct err e = { 0 };

	assert_int_equal(vmm_serial_new(&ops, &line, &s, &e), 0);
	return s;
}

static int port_set(void **state)
{
	(void)state;
	memset(&line, 0, sizeof(line));
	port = port_new();
	return 0;
}

static int port_clear(void **state)
{
	(void)state;
	vmm_serial_free(port);
	return 0;
}

static void put(unsigned reg, uint8_t v)
{
	vmm_serial_write(port, reg, v);
}

static uint8_t get(unsigned reg)
{
	return vmm_serial_read(port, reg);
}

static size_t type(const char *text)
{
	return vmm_serial_input(port, (const uint8_t *)text, strlen(text));
}

static void sends_what_is_written(void **state)
{
	(void)state;
	put(DATA, 'h');
	put(DATA, 'i');
	assert_int_equal(line.len, 2);
	assert_memory_equal(line.out, "hi", 2);
	assert_int_equal(get(LSR), 0x60);
}

/* The steps of Linux's autoconfig() that tell a 16550A from its relatives. */
static void looks_like_a_16550a(void **state)
{
	(void)state;
	put(IER, 0);
	assert_int_equal(get(IER), 0);
	put(IER, 0xff);
	assert_int_equal(get(IER), 0x0f);
	put(IER, 0);
	put(MCR, LOOP | 0x0a);
	assert_int_equal(get(MSR) & 0xf0, 0x90);
	put(MCR, LOOP | 0x05);
	assert_int_equal(get(MSR) & 0xf0, 0x60);
	put(MCR, 0);
	assert_int_equal(get(MSR) & 0xf0, 0xb0);
	put(FCR, 0x01);
	assert_int_equal(get(IIR) >> 6, 3);
	put(FCR, 0x21);
	assert_int_equal(get(IIR) >> 5, 6);
	put(FCR, 0);
	assert_int_equal(get(IIR) >> 6, 0);
	put(SCR, 0xa5);
	assert_int_equal(get(SCR), 0xa5);
}

static void divisor_latch_covers_data_and_ier(void **state)
{
	(void)state;
	put(IER, 0x05);
	put(LCR, DLAB | 0x03);
	put(DATA, 1);
	put(IER, 2);
	assert_int_equal(get(DATA), 1);
	assert_int_equal(get(IER), 2);
	put(LCR, 0x03);
	assert_int_equal(get(LCR), 0x03);
	assert_int_equal(get(IER), 0x05);
	assert_int_equal(line.len, 0);
}

static void turning_on_the_transmit_interrupt_raises_it_again(void **state)
{
	(void)state;
	put(IER, 0x02);
	assert_true(line.irq);
	assert_int_equal(get(IIR), 0x02);
	assert_false(line.irq);
	assert_int_equal(get(IIR), 0x01);
	put(IER, 0);
	put(IER, 0x02);
	assert_true(line.irq);
	assert_int_equal(get(IIR), 0x02);
	put(DATA, 'x');
	assert_true(line.irq);
}

static void reception_interrupts_until_all_is_read(void **state)
{
	(void)state;
	put(FCR, 0x01);
	put(IER, 0x01);
	assert_int_equal(type("ab"), 2);
	assert_true(line.irq);
	assert_int_equal(get(IIR), 0xc4);
	assert_int_equal(get(LSR), 0x61);
	assert_int_equal(get(DATA), 'a');
	assert_true(line.irq);
	assert_int_equal(get(DATA), 'b');
	assert_false(line.irq);
	assert_int_equal(get(LSR), 0x60);
	assert_int_equal(get(DATA), 0);
}

static void fewer_bytes_than_the_trigger_level_time_out(void **state)
{
	(void)state;
	put(FCR, 0x81); /* 8 bytes */
	put(IER, 0x01);
	type("1234567");
	assert_int_equal(get(IIR), 0xcc);
	type("8");
	assert_int_equal(get(IIR), 0xc4);
}

static void nothing_typed_is_lost_behind_the_fifo(void **state)
{
	static uint8_t text[SERIAL_QUEUE + SERIAL_QUEUE];
	size_t sent, got = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	put(FCR, 0x01);
	sent = vmm_serial_input(port, text, sizeof(text));
	assert_in_range(sent, SERIAL_QUEUE, SERIAL_QUEUE + 16);
	while (got < sizeof(text)) {
		unsigned rooms = line.rooms;

		assert_int_equal(get(DATA), text[got]);
		got++;
		if (line.rooms != rooms)
			sent += vmm_serial_input(port, text + sent, sizeof(text) - sent);
	}
	assert_int_equal(get(LSR) & 3, 0);
	assert_true(line.rooms > 0);
}

static void without_fifo_one_byte_waits(void **state)
{
	(void)state;
	type("xy");
	assert_int_equal(get(LSR), 0x61);
	assert_int_equal(get(DATA), 'x');
	assert_int_equal(get(LSR), 0x61);
	assert_int_equal(get(DATA), 'y');
	assert_int_equal(get(LSR), 0x60);
}

static void loopback_keeps_bytes_off_the_line(void **state)
{
	(void)state;
	put(FCR, 0x01);
	put(MCR, LOOP);
	type("typed");
	for (unsigned i = 0; i < 17; i++)
		put(DATA, (uint8_t)('a' + i));
	assert_int_equal(line.len, 0);
	assert_int_equal(get(LSR), 0x63); /* the 17th overran */
	assert_int_equal(get(LSR), 0x61);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(get(DATA), 'a' + i);
	assert_int_equal(get(LSR), 0x60);
	put(MCR, 0);
	assert_int_equal(get(DATA), 't');
}

static void overrun_interrupts_until_the_line_status_is_read(void **state)
{
	(void)state;
	put(MCR, LOOP);
	put(IER, 0x04);
	put(DATA, 'a');
	assert_false(line.irq);
	put(DATA, 'b');
	assert_true(line.irq);
	assert_int_equal(get(IIR), 0x06);
	get(LSR);
	assert_false(line.irq);
}

static void modem_lines_that_change_interrupt(void **state)
{
	(void)state;
	put(IER, 0x08);
	assert_false(line.irq);
	put(MCR, LOOP);
	assert_true(line.irq);
	assert_int_equal(get(IIR), 0x00);
	assert_int_equal(get(MSR), 0x0b);
	assert_false(line.irq);
	put(MCR, LOOP | 0x04); /* the ring indicator counts only when it falls */
	assert_int_equal(get(MSR), 0x40);
	put(MCR, LOOP);
	assert_int_equal(get(MSR), 0x04);
}

static void clearing_the_fifo_keeps_the_queue(void **state)
{
	(void)state;
	put(FCR, 0x01);
	type("0123456789abcdefXYZ");
	put(FCR, 0x03);
	assert_int_equal(get(DATA), 'X');
}

/* --- state ---------------------------------------------------------------------------------- */

static void state_carries_registers_fifo_and_queue(void **state)
{
	auto_buf struct buf b = { 0 };
	struct serial *other = port_new();
	struct err e = { 0 };
	const char *text = "0123456789abcdef and the rest";

	(void)state;
	put(FCR, 0x41);
	put(IER, 0x01);
	put(SCR, 0x77);
	put(MCR, 0x0b);
	type(text);
	assert_int_equal(vmm_serial_state_save(port, &b, &e), 0);
	line.irq = false;
	assert_int_equal(vmm_serial_state_load(other, b.p, b.len, &e), 0);
	assert_true(line.irq);
	assert_int_equal(vmm_serial_read(other, IER), 0x01);
	assert_int_equal(vmm_serial_read(other, SCR), 0x77);
	assert_int_equal(vmm_serial_read(other, MCR), 0x0b);
	assert_int_equal(vmm_serial_read(other, IIR), 0xc4);
	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(vmm_serial_read(other, DATA), text[i]);
	assert_int_equal(vmm_serial_read(other, LSR), 0x60);
	vmm_serial_free(other);
}

static void state_of_a_wrapped_queue_is_in_order(void **state)
{
	static uint8_t fill[SERIAL_QUEUE];
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(vmm_serial_input(port, fill, SERIAL_QUEUE - 2), SERIAL_QUEUE - 2);
	for (size_t i = 0; i < SERIAL_QUEUE - 2; i++)
		get(DATA);
	type("abcdefgh");
	assert_int_equal(vmm_serial_state_save(port, &b, &e), 0);
	assert_int_equal(vmm_serial_state_load(port, b.p, b.len, &e), 0);
	for (const char *c = "abcdefgh"; *c; c++)
		assert_int_equal(get(DATA), *c);
}

static void load_refused(const uint8_t *p, size_t len)
{
	struct err e = { 0 };

	assert_int_equal(vmm_serial_state_load(port, p, len, &e), -EPROTO);
	assert_int_equal(get(SCR), 0x42);
}

static void refuses_states_that_are_cut_or_too_long(void **state)
{
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	put(SCR, 0x42);
	type("some input");
	assert_int_equal(vmm_serial_state_save(port, &b, &e), 0);
	for (size_t len = 0; len < b.len; len++)
		load_refused(b.p, len);
	assert_int_equal(buf_add(&b, "x", 1, &e), 0);
	load_refused(b.p, b.len);
}

static void refuses_states_no_port_can_be_in(void **state)
{
	static const struct {
		size_t at;
		uint8_t v;
	} bad[] = {
		{ 0, 2 },    /* version */
		{ 4, 0x10 }, /* IER */
		{ 5, 0x02 }, /* FCR */
		{ 7, 0x20 }, /* MCR */
		{ 11, 0 },   /* MSR: lines that MCR does not give */
		{ 12, 2 },   /* overrun */
		{ 13, 2 },   /* transmitter */
		{ 14, 2 },   /* two bytes without a FIFO */
		{ 14, 17 },  /* more than the FIFO holds */
		{ 33, 0xff } /* a queue longer than the state */
	};
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	put(SCR, 0x42);
	assert_int_equal(vmm_serial_state_save(port, &b, &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t was = b.p[bad[i].at];

		b.p[bad[i].at] = bad[i].v;
		load_refused(b.p, b.len);
		b.p[bad[i].at] = was;
	}
	assert_int_equal(vmm_serial_state_load(port, b.p, b.len, &e), 0);
}

#define port_test(f) cmocka_unit_test_setup_teardown(f, port_set, port_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		port_test(sends_what_is_written),
		port_test(looks_like_a_16550a),
		port_test(divisor_latch_covers_data_and_ier),
		port_test(turning_on_the_transmit_interrupt_raises_it_again),
		port_test(reception_interrupts_until_all_is_read),
		port_test(fewer_bytes_than_the_trigger_level_time_out),
		port_test(nothing_typed_is_lost_behind_the_fifo),
		port_test(without_fifo_one_byte_waits),
		port_test(loopback_keeps_bytes_off_the_line),
		port_test(overrun_interrupts_until_the_line_status_is_read),
		port_test(modem_lines_that_change_interrupt),
		port_test(clearing_the_fifo_keeps_the_queue),
		port_test(state_carries_registers_fifo_and_queue),
		port_test(state_of_a_wrapped_queue_is_in_order),
		port_test(refuses_states_that_are_cut_or_too_long),
		port_test(refuses_states_no_port_can_be_in),
	};

	return cmocka_run_group_tests_name("vmm_serial", tests, NULL, NULL);
}
