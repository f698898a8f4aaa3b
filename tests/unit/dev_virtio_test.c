/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev_driver.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#define SLOT 1u
#define OUT 1u /* the console's queue for output; 0 is for input */

/* A console: it reads what the guest writes, and writes what was typed. */
static char printed[4096];
static size_t nprinted;

static void on_output(void *ctx, const uint8_t *p, size_t len)
{
	(void)ctx;
	for (size_t i = 0; i < len && nprinted < sizeof(printed) - 1; i++)
		printed[nprinted++] = (char)p[i];
}

static void on_room(void *ctx)
{
	(void)ctx;
}

static struct dev_virtio *console(void)
{
	static const struct dev_console_ops ops = { on_output, on_room };
	struct dev_virtio *dev;
	struct err e = { 0 };

	nprinted = 0;
	memset(printed, 0, sizeof(printed));
	assert_int_equal(dev_console_new(&ops, NULL, &dev, &e), 0);
	return dev;
}

static struct util_guest *one(uint64_t extra)
{
	struct dev_virtio *dev = console();
	struct util_guest *g = util_guest_new(&dev, 1);

	util_drive(g, SLOT, 2, extra);
	return g;
}

static void say(struct util_guest *g, unsigned i, const char *text)
{
	memcpy(util_at(g, UTIL_DATA + 64 * i, strlen(text)), text, strlen(text));
	util_desc(g, OUT, i, UTIL_DATA + 64 * i, (uint32_t)strlen(text), 0, 0);
	util_offer(g, OUT, (uint16_t)i);
}

static void driver_must_take_the_platforms_rules(void **state)
{
	static const struct {
		uint64_t features;
		bool ok;
	} tries[] = {
		{ UTIL_NEEDED, true },
		{ UTIL_NEEDED | 1ull << VIRTIO_RING_F_EVENT_IDX, true },
		{ 1ull << VIRTIO_F_VERSION_1, false },
		{ 1ull << VIRTIO_F_ACCESS_PLATFORM, false },
		{ UTIL_NEEDED | 1ull << VIRTIO_RING_F_INDIRECT_DESC, false },
		{ UTIL_NEEDED | 1ull << 63, false },
	};
	struct util_guest *g = one(0);

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		util_accept(g, SLOT, tries[i].features);
		assert_int_equal(!!(util_status(g, SLOT) & VIRTIO_CONFIG_S_FEATURES_OK),
				 tries[i].ok);
		util_status_set(g, SLOT, VIRTIO_CONFIG_S_DRIVER_OK);
		assert_int_equal(!!(util_status(g, SLOT) & VIRTIO_CONFIG_S_DRIVER_OK), tries[i].ok);
	}
	util_guest_free(g);
}

static void status_keeps_no_bit_that_means_nothing(void **state)
{
	struct util_guest *g = one(0);
	uint8_t before = util_status(g, SLOT);

	(void)state;
	util_status_set(g, SLOT, before | 0x30 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(util_status(g, SLOT), before);
	util_guest_free(g);
}

static void requests_are_done_in_order_and_told(void **state)
{
	struct util_guest *g = one(0);

	(void)state;
	say(g, 3, "first ");
	say(g, 5, "second ");
	util_step(g, SLOT);
	assert_string_equal(printed, "first second ");
	assert_int_equal(util_used(g, OUT), 2);
	assert_int_equal(util_word(g, UTIL_DEVICE(OUT) + 4), 3);
	assert_int_equal(util_word(g, UTIL_DEVICE(OUT) + 12), 5);
	assert_int_equal(g->nmsi, 1); /* once for both */
	assert_int_equal(g->msi[0].data, 0x42);
	util_guest_free(g);
}

static void guest_that_polls_is_not_interrupted(void **state)
{
	struct util_guest *g = one(0);

	(void)state;
	util_word_set(g, UTIL_DRIVER(OUT), VRING_AVAIL_F_NO_INTERRUPT);
	say(g, 0, "x");
	util_step(g, SLOT);
	assert_int_equal(util_used(g, OUT), 1);
	assert_int_equal(g->nmsi, 0);
	util_guest_free(g);
}

static void events_are_told_at_the_index_the_guest_names(void **state)
{
	struct util_guest *g = one(1ull << VIRTIO_RING_F_EVENT_IDX);

	(void)state;
	util_word_set(g, UTIL_DRIVER(OUT) + 4 + 2 * UTIL_SIZE, 1); /* not before the second */
	say(g, 0, "a");
	util_step(g, SLOT);
	assert_int_equal(g->nmsi, 0);
	/* and it wants to be rung for the next one */
	assert_int_equal(util_word(g, UTIL_DEVICE(OUT) + 4 + 8 * UTIL_SIZE), 1);
	say(g, 1, "b");
	util_step(g, SLOT);
	assert_int_equal(g->nmsi, 1);
	assert_string_equal(printed, "ab");
	util_guest_free(g);
}

/* --- hostile rings -------------------------------------------------------------------------- */

enum hostile {
	LOOP,
	SELF_LOOP,
	HEAD_OUTSIDE,
	NEXT_OUTSIDE,
	INDIRECT,
	BUFFER_BELOW,
	BUFFER_ABOVE,
	BUFFER_HUGE,
	BUFFER_WRAPS,
	READ_AFTER_WRITE,
	INDEX_JUMPS,
	INDEX_BACK,
	HOSTILES
};

static void hostile_do(struct util_guest *g, enum hostile what)
{
	util_desc(g, OUT, 0, UTIL_DATA, 8, D_NEXT, 1);
	util_desc(g, OUT, 1, UTIL_DATA, 8, 0, 0);
	util_offer(g, OUT, what == HEAD_OUTSIDE ? UTIL_SIZE : 0);
	if (what == LOOP)
		util_desc(g, OUT, 1, UTIL_DATA, 8, D_NEXT, 0);
	if (what == SELF_LOOP)
		util_desc(g, OUT, 0, UTIL_DATA, 0, D_NEXT, 0);
	if (what == NEXT_OUTSIDE)
		util_desc(g, OUT, 0, UTIL_DATA, 8, D_NEXT, UTIL_SIZE);
	if (what == INDIRECT)
		util_desc(g, OUT, 0, UTIL_DATA, 16, VRING_DESC_F_INDIRECT, 0);
	if (what == BUFFER_BELOW) /* the first MiB is private, always */
		util_desc(g, OUT, 1, UTIL_RAM - 8, 8, 0, 0);
	if (what == BUFFER_ABOVE)
		util_desc(g, OUT, 1, UTIL_RAM + UTIL_LEN - 7, 8, 0, 0);
	if (what == BUFFER_HUGE)
		util_desc(g, OUT, 1, UTIL_DATA, UINT32_MAX, 0, 0);
	if (what == BUFFER_WRAPS)
		util_desc(g, OUT, 1, UINT64_MAX - 3, 8, 0, 0);
	if (what == READ_AFTER_WRITE)
		util_desc(g, OUT, 0, UTIL_DATA, 8, D_NEXT | D_WRITE, 1);
	if (what == INDEX_JUMPS)
		util_word_set(g, UTIL_DRIVER(OUT) + 2, UTIL_SIZE + 1);
	if (what == INDEX_BACK)
		util_word_set(g, UTIL_DRIVER(OUT) + 2, 0xffff);
}

static void broken_rule_stops_the_device_until_it_is_reset(void **state)
{
	(void)state;
	for (enum hostile what = 0; what < HOSTILES; what++) {
		struct util_guest *g = one(0);

		hostile_do(g, what);
		util_step(g, SLOT);
		if (!util_broken(g, SLOT) || g->nmsi != 1 || g->msi[0].data != 0x40)
			fail_msg("hostile %d: status %#x, %u interrupts", what,
				 util_status(g, SLOT), g->nmsi);
		assert_int_equal(util_used(g, OUT), 0);
		util_step(g, SLOT);
		assert_int_equal(g->nmsi, 1); /* it stays where it is */
		memset(util_at(g, UTIL_RAM, 0x10000), 0, 0x10000);
		util_drive(g, SLOT, 2, 0);
		say(g, 0, "again");
		util_step(g, SLOT);
		assert_string_equal(printed, "again");
		util_guest_free(g);
	}
}

static void rings_outside_memory_break_the_device(void **state)
{
	static const uint32_t regs[] = { VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO,
					 VIRTIO_PCI_COMMON_Q_USEDLO };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct dev_virtio *dev = console();
		struct util_guest *g = util_guest_new(&dev, 1);

		util_pci_on(g, SLOT);
		util_accept(g, SLOT, UTIL_NEEDED);
		util_queue(g, SLOT, 0);
		util_queue(g, SLOT, OUT);
		/* A queue that is on keeps its addresses, so this one is not yet. */
		util_status_set(g, SLOT, 0);
		util_accept(g, SLOT, UTIL_NEEDED);
		util_write(g, SLOT, VIRTIO_PCI_COMMON_Q_SELECT, 2, OUT);
		util_write(g, SLOT, VIRTIO_PCI_COMMON_Q_SIZE, 2, UTIL_SIZE);
		util_write(g, SLOT, VIRTIO_PCI_COMMON_Q_DESCLO, 4, UTIL_DESC(OUT));
		util_write(g, SLOT, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, UTIL_DRIVER(OUT));
		util_write(g, SLOT, VIRTIO_PCI_COMMON_Q_USEDLO, 4, UTIL_DEVICE(OUT));
		util_write(g, SLOT, regs[i], 4, 0xfffff000);
		util_write(g, SLOT, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		util_status_set(g, SLOT, VIRTIO_CONFIG_S_DRIVER_OK);
		say(g, 0, "x");
		util_step(g, SLOT);
		assert_true(util_broken(g, SLOT));
		util_guest_free(g);
	}
}

static void ring_of_a_wrong_size_or_place_is_not_enabled(void **state)
{
	static const struct {
		uint32_t reg, len, v;
	} tries[] = {
		{ VIRTIO_PCI_COMMON_Q_SIZE, 2, 0 },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 2, 12 },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 2, 512 },
		{ VIRTIO_PCI_COMMON_Q_DESCLO, 4, UTIL_RAM + 8 },
		{ VIRTIO_PCI_COMMON_Q_AVAILLO, 4, UTIL_RAM + 1 },
		{ VIRTIO_PCI_COMMON_Q_USEDLO, 4, UTIL_RAM + 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct dev_virtio *dev = console();
		struct util_guest *g = util_guest_new(&dev, 1);

		util_pci_on(g, SLOT);
		util_accept(g, SLOT, UTIL_NEEDED);
		util_write(g, SLOT, tries[i].reg, tries[i].len, tries[i].v);
		util_write(g, SLOT, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(util_read(g, SLOT, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		util_guest_free(g);
	}
}

/* --- pause, move ---------------------------------------------------------------------------- */

static void paused_device_looks_at_nothing(void **state)
{
	struct util_guest *g = one(0);

	(void)state;
	dev_bus_pause(g->bus);
	say(g, 0, "x");
	util_step(g, SLOT);
	assert_int_equal(util_used(g, OUT), 0);
	dev_bus_resume(g->bus);
	dev_bus_step(g->bus);
	assert_string_equal(printed, "x");
	util_guest_free(g);
}

static void what_was_asked_before_the_move_is_done_after_it_once(void **state)
{
	struct util_guest *g = one(0), *to;
	struct dev_virtio *dev;

	(void)state;
	say(g, 0, "one ");
	util_step(g, SLOT);
	dev_bus_pause(g->bus);
	say(g, 1, "two ");
	say(g, 2, "three ");
	util_step(g, SLOT);
	assert_string_equal(printed, "one ");
	dev = console();
	to = util_move(g, &dev, 1);
	dev_bus_step(to->bus); /* no doorbell: it rang before */
	assert_string_equal(printed, "two three ");
	assert_int_equal(util_used(to, OUT), 3);
	assert_int_equal(to->nmsi, 1);
	say(to, 3, "four");
	util_step(to, SLOT);
	assert_string_equal(printed, "two three four");
	util_guest_free(g);
	util_guest_free(to);
}

static void index_moves_across_its_wrap(void **state)
{
	struct util_guest *g = one(1ull << VIRTIO_RING_F_EVENT_IDX);

	(void)state;
	for (unsigned i = 0; i < 70000; i++) {
		nprinted = 0;
		util_desc(g, OUT, 0, UTIL_DATA, 1, 0, 0);
		util_offer(g, OUT, 0);
		util_write(g, SLOT, UTIL_NOTIFY, 2, OUT);
		if (i % 16 == 15)
			dev_bus_step(g->bus);
	}
	assert_int_equal(util_used(g, OUT), 70000 & 0xffff);
	assert_false(util_broken(g, SLOT));
	util_guest_free(g);
}

/* --- threads -------------------------------------------------------------------------------- */

static void *restless(void *arg)
{
	struct util_guest *g = arg;
	struct err e = { 0 };

	for (unsigned i = 0; i < 300; i++) {
		auto_buf struct buf state = { 0 };

		dev_bus_pause(g->bus);
		if (dev_bus_state_save(g->bus, &state, &e) < 0)
			return g;
		dev_bus_resume(g->bus);
		sched_yield();
	}
	return NULL;
}

/* Registers from one thread, pauses from another, the work in the device's: nothing is lost. */
static void threads_get_every_request_done(void **state)
{
	struct util_guest *g = one(1ull << VIRTIO_RING_F_EVENT_IDX);
	uint16_t *avail = util_at(g, UTIL_DRIVER(OUT) + 2, 2);
	const uint16_t *used = util_at(g, UTIL_DEVICE(OUT) + 2, 2);
	struct err e = { 0 };
	pthread_t other;
	void *failed;

	(void)state;
	for (unsigned i = 0; i < UTIL_SIZE; i++) {
		util_desc(g, OUT, i, UTIL_DATA + i, 1, 0, 0);
		util_word_set(g, UTIL_DRIVER(OUT) + 4 + 2 * i, (uint16_t)i);
	}
	assert_int_equal(dev_bus_start(g->bus, &e), 0);
	assert_int_equal(pthread_create(&other, NULL, restless, g), 0);
	for (uint16_t n = 1; n <= 2000; n++) {
		while ((uint16_t)(n - 1 - __atomic_load_n(used, __ATOMIC_ACQUIRE)) >= UTIL_SIZE)
			sched_yield();
		__atomic_store_n(avail, n, __ATOMIC_RELEASE);
		util_write(g, SLOT, UTIL_NOTIFY, 2, OUT);
		assert_false(util_broken(g, SLOT));
	}
	assert_int_equal(pthread_join(other, &failed), 0);
	assert_null(failed);
	while (__atomic_load_n(used, __ATOMIC_ACQUIRE) != 2000)
		sched_yield();
	util_guest_free(g);
	assert_int_equal(nprinted, 2000);
}

static void every_cut_of_the_state_is_refused(void **state)
{
	struct dev_virtio *dev;
	struct util_guest *g = one(0), *to;
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	dev_bus_pause(g->bus);
	assert_int_equal(dev_bus_state_save(g->bus, &b, &e), 0);
	dev = console();
	to = util_guest_new(&dev, 1);
	dev_bus_pause(to->bus);
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(dev_bus_state_load(to->bus, b.p, len, &e), -EPROTO);
	assert_int_equal(dev_bus_state_load(to->bus, b.p, b.len, &e), 0);
	assert_int_equal(buf_add(&b, "", 1, &e), 0);
	assert_int_equal(dev_bus_state_load(to->bus, b.p, b.len, &e), -EPROTO);
	util_guest_free(g);
	util_guest_free(to);
}

static void state_of_other_devices_is_refused(void **state)
{
	struct dev_virtio *dev;
	struct util_guest *g = one(0), *to;
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	dev_bus_pause(g->bus);
	assert_int_equal(dev_bus_state_save(g->bus, &b, &e), 0);
	assert_int_equal(dev_rng_new(&dev, &e), 0);
	to = util_guest_new(&dev, 1);
	assert_int_equal(dev_bus_state_load(to->bus, b.p, b.len, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "type 3"));
	util_guest_free(to);
	to = util_guest_new(NULL, 0);
	assert_int_equal(dev_bus_state_load(to->bus, b.p, b.len, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "1 devices there, 0 here"));
	util_guest_free(to);
	util_guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(driver_must_take_the_platforms_rules),
		cmocka_unit_test(status_keeps_no_bit_that_means_nothing),
		cmocka_unit_test(requests_are_done_in_order_and_told),
		cmocka_unit_test(guest_that_polls_is_not_interrupted),
		cmocka_unit_test(events_are_told_at_the_index_the_guest_names),
		cmocka_unit_test(broken_rule_stops_the_device_until_it_is_reset),
		cmocka_unit_test(rings_outside_memory_break_the_device),
		cmocka_unit_test(ring_of_a_wrong_size_or_place_is_not_enabled),
		cmocka_unit_test(paused_device_looks_at_nothing),
		cmocka_unit_test(what_was_asked_before_the_move_is_done_after_it_once),
		cmocka_unit_test(index_moves_across_its_wrap),
		cmocka_unit_test(threads_get_every_request_done),
		cmocka_unit_test(every_cut_of_the_state_is_refused),
		cmocka_unit_test(state_of_other_devices_is_refused),
	};

	return cmocka_run_group_tests_name("dev_virtio", tests, NULL, NULL);
}
