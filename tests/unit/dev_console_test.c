/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev_driver.h"

#include <stdio.h>

#define SLOT 1u
#define IN 0u
#define QUEUE 65536u

static unsigned rooms;

static void on_output(void *ctx, const uint8_t *p, size_t len)
{
	(void)ctx;
	(void)p;
	(void)len;
}

static void on_room(void *ctx)
{
	(void)ctx;
	rooms++;
}

static struct dev_virtio *console(void)
{
	static const struct dev_console_ops ops = { on_output, on_room };
	struct dev_virtio *dev;
	struct err e = { 0 };

	rooms = 0;
	assert_int_equal(dev_console_new(&ops, NULL, &dev, &e), 0);
	return dev;
}

static void type(struct dev_virtio *dev, const char *text)
{
	assert_int_equal(dev_console_input(dev, (const uint8_t *)text, strlen(text)), strlen(text));
}

static void buffer(struct util_guest *g, unsigned i, uint32_t len)
{
	util_desc(g, IN, i, UTIL_DATA + 0x100 * i, len, D_WRITE, 0);
	util_offer(g, IN, (uint16_t)i);
}

static void what_is_typed_waits_for_buffers(void **state)
{
	struct dev_virtio *dev = console();
	struct util_guest *g = util_guest_new(&dev, 1);

	(void)state;
	type(dev, "early ");
	util_drive(g, SLOT, 2, 0);
	type(dev, "bird");
	util_step(g, SLOT);
	assert_int_equal(util_used(g, IN), 0);
	buffer(g, 0, 7);
	buffer(g, 1, 64);
	util_step(g, SLOT);
	assert_int_equal(util_used(g, IN), 2);
	assert_int_equal(util_used_len(g, IN, 0), 7);
	assert_int_equal(util_used_len(g, IN, 1), 3);
	assert_memory_equal(util_at(g, UTIL_DATA, 7), "early b", 7);
	assert_memory_equal(util_at(g, UTIL_DATA + 0x100, 3), "ird", 3);
	util_guest_free(g);
}

static void full_queue_says_when_there_is_room(void **state)
{
	static uint8_t much[QUEUE];
	struct dev_virtio *dev = console();
	struct util_guest *g = util_guest_new(&dev, 1);

	(void)state;
	util_drive(g, SLOT, 2, 0);
	assert_int_equal(dev_console_input(dev, much, QUEUE - 10), QUEUE - 10);
	assert_int_equal(dev_console_input(dev, much, 20), 10);
	assert_int_equal(dev_console_input(dev, much, 0), 0); /* another's, who does not wait */
	util_step(g, SLOT);
	assert_int_equal(rooms, 0);
	buffer(g, 0, 64);
	util_step(g, SLOT);
	assert_int_equal(rooms, 1);
	assert_int_equal(dev_console_input(dev, much, 100), 64);
	util_guest_free(g);
}

static void what_was_typed_moves(void **state)
{
	struct dev_virtio *dev = console();
	struct util_guest *g = util_guest_new(&dev, 1), *to;
	struct dev_virtio *there = console();

	(void)state;
	util_drive(g, SLOT, 2, 0);
	for (unsigned i = 0; i < 9; i++) { /* once around the queue */
		static uint8_t filler[QUEUE / 8];

		dev_console_input(dev, filler, sizeof(filler));
		for (unsigned k = 0; k < sizeof(filler) / 128; k++) {
			buffer(g, 0, 128);
			util_write(g, SLOT, UTIL_NOTIFY, 2, 0);
			dev_bus_step(g->bus);
		}
	}
	type(dev, "hello");
	to = util_move(g, &there, 1);
	buffer(to, 0, 64);
	util_step(to, SLOT);
	assert_memory_equal(util_at(to, UTIL_DATA, 5), "hello", 5);
	util_guest_free(g);
	util_guest_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_typed_waits_for_buffers),
		cmocka_unit_test(full_queue_says_when_there_is_room),
		cmocka_unit_test(what_was_typed_moves),
	};

	return cmocka_run_group_tests_name("dev_console", tests, NULL, NULL);
}
