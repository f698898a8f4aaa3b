/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "abi/doorbell.h"
#include "vmm/ports.h"

static struct seen {
	unsigned resets, poweroffs, bells;
	const char *why;
	void *vcpu;
	uint8_t out[16];
	size_t len;
} seen;
#define PCI_FOUND 0x80000800u /* slot 1 */

static struct ports *ports;
static struct serial *serial;
static int vcpu;
static char pci_seen[64];

static void on_reset(void *ctx, void *v, const char *why)
{
	struct seen *s = (struct seen *)ctx;

	s->resets++;
	s->vcpu = v;
	s->why = why;
}

static void on_poweroff(void *ctx, void *v, const char *why)
{
	struct seen *s = (struct seen *)ctx;

	s->poweroffs++;
	s->vcpu = v;
	s->why = why;
}

static uint32_t on_doorbell(void *ctx, void *v)
{
	struct seen *s = (struct seen *)ctx;

	s->bells++;
	s->vcpu = v;
	return 0xfffffc18;
}

static void on_pci(void *ctx, uint32_t address, unsigned at, unsigned size, bool write, uint32_t *v)
{
	(void)ctx;
	if (address != PCI_FOUND)
		return;
	if (!write)
		*v = 0x11223344u >> 8 * at;
	snprintf(pci_seen, sizeof(pci_seen), "%s %u of %u: %#x", write ? "write" : "read", size, at,
		 *v);
}

static int64_t on_now(void *ctx)
{
	(void)ctx;
	return 1709210096; /* Thursday, 29 February 2024, 12:34:56 UTC */
}

static void no_irq(void *ctx, bool level)
{
	(void)ctx;
	(void)level;
}

static void on_output(void *ctx, const uint8_t *p, size_t len)
{
	struct seen *s = (struct seen *)ctx;

	memcpy(s->out + s->len, p, len);
	s->len += len;
}

static void no_room(void *ctx)
{
	(void)ctx;
}

static struct ports *ports_make(void)
{
	static const struct ports_ops ops = { on_reset, on_poweroff, on_doorbell, on_now, on_pci };
	struct ports *p = NULL;
	struct err e = { 0 };

	assert_int_equal(vmm_ports_new(&ops, &seen, serial, &p, &e), 0);
	return p;
}

static int ports_set(void **state)
{
	static const struct serial_ops ops = { no_irq, on_output, no_room };
	struct err e = { 0 };

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(vmm_serial_new(&ops, &seen, &serial, &e), 0);
	ports = ports_make();
	return 0;
}

static int ports_clear(void **state)
{
	(void)state;
	vmm_ports_free(ports);
	vmm_serial_free(serial);
	return 0;
}

static void out(uint16_t port, unsigned size, uint32_t v)
{
	vmm_ports_io(ports, &vcpu, false, port, size, 1, (uint8_t *)&v);
}

static uint32_t in(uint16_t port, unsigned size)
{
	uint32_t v = 0;

	vmm_ports_io(ports, &vcpu, true, port, size, 1, (uint8_t *)&v);
	return v;
}

static void unknown_ports_read_all_ones(void **state)
{
	(void)state;
	assert_int_equal(in(0x300, 1), 0xff);
	assert_int_equal(in(0x300, 2), 0xffff);
	assert_int_equal(in(0x300, 4), 0xffffffff);
	out(0x300, 4, 1);
	out(0x80, 1, 0x55);
}

static void a_read_writes_no_more_than_its_size(void **state)
{
	uint8_t data[4] = { 1, 2, 3, 4 };

	(void)state;
	vmm_ports_io(ports, &vcpu, true, 0x300, 1, 2, data);
	assert_memory_equal(data, "\xff\xff\x03\x04", 4);
}

static void strings_reach_the_serial_port(void **state)
{
	uint8_t text[] = "hello", status = 0;

	(void)state;
	vmm_ports_io(ports, &vcpu, false, SERIAL_PORT, 1, 5, text);
	assert_int_equal(seen.len, 5);
	assert_memory_equal(seen.out, "hello", 5);
	vmm_ports_io(ports, &vcpu, true, SERIAL_PORT + 5, 1, 1, &status);
	assert_int_equal(status, 0x60);
}

static void each_way_to_reset_resets(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t v;
		const char *why;
	} ways[] = { { 0x64, 0xfe, "keyboard controller" },
		     { 0xcf9, 0x06, "port 0xcf9" },
		     { 0xcf9, 0x0e, "port 0xcf9" },
		     { 0x92, 0x01, "port 0x92" } };

	(void)state;
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		out(ways[i].port, 1, ways[i].v);
		assert_int_equal(seen.resets, i + 1);
		assert_string_equal(seen.why, ways[i].why);
		assert_ptr_equal(seen.vcpu, &vcpu);
	}
}

static void what_only_looks_like_a_reset_does_not(void **state)
{
	(void)state;
	out(0x60, 1, 0xfe);
	out(0x64, 1, 0xd1);
	out(0xcf9, 1, 0x02);
	out(0xcf8, 4, 0x80000600);
	out(0x92, 1, 0x02);
	out(0x604, 2, 0x2001);
	out(0x604, 4, 0x2000);
	in(0x64, 1);
	in(0xcf9, 1);
	in(0x604, 2);
	assert_int_equal(seen.resets + seen.poweroffs, 0);
}

static void power_off_port_powers_off(void **state)
{
	(void)state;
	out(PORTS_POWEROFF, 2, PORTS_POWEROFF_VALUE);
	assert_int_equal(seen.poweroffs, 1);
	assert_ptr_equal(seen.vcpu, &vcpu);
}

static void only_a_four_byte_read_rings_the_doorbell(void **state)
{
	(void)state;
	assert_int_equal(in(DOORBELL_PORT, 1), 0xff);
	assert_int_equal(in(DOORBELL_PORT, 2), 0xffff);
	out(DOORBELL_PORT, 4, 12);
	assert_int_equal(seen.bells, 0);
	assert_int_equal(in(DOORBELL_PORT, 4), 0xfffffc18);
	assert_int_equal(seen.bells, 1);
	assert_ptr_equal(seen.vcpu, &vcpu);
}

static void keyboard_controller_is_ready_and_empty(void **state)
{
	(void)state;
	assert_int_equal(in(0x64, 1), 0);
	assert_int_equal(in(0x60, 1), 0);
}

static void clock_tells_the_time_in_bcd(void **state)
{
	static const uint8_t regs[][2] = { { 0x00, 0x56 }, { 0x02, 0x34 }, { 0x04, 0x12 },
					   { 0x06, 0x05 }, { 0x07, 0x29 }, { 0x08, 0x02 },
					   { 0x09, 0x24 }, { 0x32, 0x20 }, { 0x0a, 0x26 },
					   { 0x0b, 0x02 }, { 0x0d, 0x80 }, { 0x40, 0x00 } };

	(void)state;
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		out(0x70, 1, regs[i][0] | 0x80); /* the top bit masks NMI */
		assert_int_equal(in(0x71, 1), regs[i][1]);
	}
}

static void pci_accesses_go_where_the_latch_says(void **state)
{
	(void)state;
	out(0xcf8, 4, PCI_FOUND);
	assert_int_equal(in(0xcfc, 4), 0x11223344);
	assert_int_equal(in(0xcfe, 2), 0x1122);
	assert_string_equal(pci_seen, "read 2 of 2: 0x1122");
	out(0xcff, 1, 0x55);
	assert_string_equal(pci_seen, "write 1 of 3: 0x55");
}

static void pci_has_nothing_elsewhere(void **state)
{
	(void)state;
	out(0xcf8, 4, 0x80001234);
	assert_int_equal(in(0xcf8, 4), 0x80001234);
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
	assert_int_equal(in(0xcfe, 2), 0xffff);
	assert_int_equal(in(0xcff, 1), 0xff);
}

static void speaker_port_keeps_its_gates(void **state)
{
	(void)state;
	out(0x61, 1, 0xff);
	assert_int_equal(in(0x61, 1), 0x23);
	out(0x61, 1, 0);
	assert_int_equal(in(0x61, 1), 0x20);
}

static void state_carries_the_latches(void **state)
{
	auto_buf struct buf b = { 0 };
	struct ports *first = ports;
	struct err e = { 0 };

	(void)state;
	out(0xcf8, 4, 0x80005678);
	out(0x70, 1, 0x09);
	out(0x61, 1, 0x01);
	assert_int_equal(vmm_ports_state_save(ports, &b, &e), 0);
	ports = ports_make();
	vmm_ports_free(first);
	assert_int_equal(vmm_ports_state_load(ports, b.p, b.len, &e), 0);
	assert_int_equal(in(0xcf8, 4), 0x80005678);
	assert_int_equal(in(0x71, 1), 0x24);
	assert_int_equal(in(0x61, 1), 0x21);
}

static void refuses_malformed_state(void **state)
{
	static const struct {
		size_t at;
		uint8_t v;
	} bad[] = { { 0, 2 }, { 8, 0x80 }, { 9, 0x04 } };
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	out(0xcf8, 4, 0x80005678);
	assert_int_equal(vmm_ports_state_save(ports, &b, &e), 0);
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(vmm_ports_state_load(ports, b.p, len, &e), -EPROTO);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t was = b.p[bad[i].at];

		b.p[bad[i].at] = bad[i].v;
		assert_int_equal(vmm_ports_state_load(ports, b.p, b.len, &e), -EPROTO);
		b.p[bad[i].at] = was;
	}
	assert_int_equal(buf_add(&b, "", 1, &e), 0);
	assert_int_equal(vmm_ports_state_load(ports, b.p, b.len, &e), -EPROTO);
	assert_int_equal(in(0xcf8, 4), 0x80005678);
}

#define ports_test(f) cmocka_unit_test_setup_teardown(f, ports_set, ports_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ports_test(unknown_ports_read_all_ones),
		ports_test(a_read_writes_no_more_than_its_size),
		ports_test(strings_reach_the_serial_port),
		ports_test(each_way_to_reset_resets),
		ports_test(what_only_looks_like_a_reset_does_not),
		ports_test(power_off_port_powers_off),
		ports_test(only_a_four_byte_read_rings_the_doorbell),
		ports_test(keyboard_controller_is_ready_and_empty),
		ports_test(clock_tells_the_time_in_bcd),
		ports_test(pci_accesses_go_where_the_latch_says),
		ports_test(pci_has_nothing_elsewhere),
		ports_test(speaker_port_keeps_its_gates),
		ports_test(state_carries_the_latches),
		ports_test(refuses_malformed_state),
	};

	return cmocka_run_group_tests_name("vmm_ports", tests, NULL, NULL);
}
