/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vmm_util.h"

#include "abi/testguest.h"
#include "guest/testguest_path.h"

#define CANARY "00112233445566778899aabbccddeeff"
#define SHARED_CANARY "f0e1d2c3b4a5968778695a4b3c2d1e0f"
#define DATA "private=4M shared=1M pace=5ms sweep=50ms "
#define CANARIES "canary=" CANARY " shared-canary=" SHARED_CANARY " "

/* One guest and what it has said so far. */
struct guest {
	struct util_place *u;
	struct vm *vm;
	char text[65536];
	size_t len;
};

static struct guest guest;

static int setup(void **state)
{
	static struct util_place u;

	*state = &u;
	return util_open(&u);
}

static int teardown(void **state)
{
	util_close(*state);
	return 0;
}

/* Wait until the guest has said what. */
static void hear(const char *what)
{
	while (!strstr(guest.text, what)) {
		struct pollfd p = { .fd = guest.u->console[0], .events = POLLIN };

		if (guest.len > sizeof(guest.text) - 4096 || poll(&p, 1, 20000) != 1)
			fail_msg("no \"%s\" in: %s", what, guest.text);
		guest.len += util_drain(guest.u, guest.text + guest.len, 4096);
		guest.text[guest.len] = '\0';
	}
}

/* The same of a guest that has no reason to complain. */
static void expect(const char *what)
{
	hear(what);
	assert_null(strstr(guest.text, "CORRUPT"));
	assert_null(strstr(guest.text, "TRAP"));
}

static void boot_smp(struct util_place *u, const char *append, unsigned vcpus)
{
	struct vm_boot b = { .kernel = TESTGUEST_ELF, .append = append };
	struct err e = { 0 };

	guest = (struct guest){ .u = u, .vm = util_vm(u, "testguest", vcpus) };
	util_ok(vm_boot(guest.vm, &b, &e), &e);
	util_ok(vm_start(guest.vm, &e), &e);
}

static void boot(struct util_place *u, const char *append)
{
	boot_smp(u, append, 1);
}

static void type(const char *text)
{
	struct err e = { 0 };

	util_ok(vm_console_write(guest.vm, text, strlen(text), &e), &e);
}

/* Every tick from 1 on, in order, none twice. */
static void assert_ticks(void)
{
	unsigned long want = 1;

	for (const char *p = strstr(guest.text, "tick "); p; p = strstr(p + 1, "tick "))
		if (strchr(p, '\n')) /* the last line may be cut */
			assert_int_equal(strtoul(p + 5, NULL, 10), want++);
	assert_true(want > 1);
}

static void ends_as(enum vm_end how)
{
	const char *why;

	util_wait_end(guest.vm);
	assert_int_equal(vm_end(guest.vm, &why), how);
	vm_free(guest.vm);
}

static void counts_and_verifies_while_it_writes(void **state)
{
	boot(*state, DATA "dirty=50M/s flips=100");
	expect("verify ok sweep 5\n");
	expect("tick 100\n");
	assert_ticks();
	vm_free(guest.vm);
}

static void goes_on_counting_after_a_pause(void **state)
{
	struct err e = { 0 };

	boot(*state, DATA "dirty=50M/s flips=100");
	expect("tick 20\n");
	util_ok(vm_pause(guest.vm, &e), &e);
	util_ok(vm_start(guest.vm, &e), &e);
	expect("tick 60\n");
	assert_ticks();
	vm_free(guest.vm);
}

static void several_processors_count_and_verify_their_share(void **state)
{
	struct err e = { 0 };

	boot_smp(*state, DATA "dirty=50M/s flips=100", 3);
	expect("testguest: 3 processors, 0 by the AP jump table\n");
	expect("verify ok sweep 2\n");
	expect("cpu 2 tick 5\n");
	util_ok(vm_pause(guest.vm, &e), &e);
	util_ok(vm_start(guest.vm, &e), &e);
	expect("cpu 1 tick 10\n");
	expect("verify ok sweep 5\n");
	vm_free(guest.vm);
}

static void answers_lines_and_powers_off(void **state)
{
	boot(*state, "idle pace=0");
	expect("ready\n");
	type("hello guest\n");
	expect("echo: hello guest\n");
	type("poweroff\n");
	ends_as(VM_END_POWEROFF);
}

static void takes_a_paste_longer_than_the_fifo(void **state)
{
	char line[201] = { 0 };

	boot(*state, "idle pace=0");
	expect("ready\n");
	memset(line, 'x', 200);
	line[0] = 'a';
	line[199] = '\n';
	type(line);
	expect(line + 1);
	type("reset\n");
	ends_as(VM_END_RESET);
}

static void says_when_it_may_be_moved(void **state)
{
	uint64_t value = 0;

	boot(*state, DATA);
	expect("ready\n");
	assert_true(vm_migration_msr(guest.vm, &value));
	assert_int_equal(value, 1);
	vm_free(guest.vm);
}

static void keeps_silent_about_it_when_told(void **state)
{
	uint64_t value = 0;

	boot(*state, DATA "msr=0");
	expect("ready\n");
	assert_non_null(strstr(guest.text, "migration control not written"));
	assert_false(vm_migration_msr(guest.vm, &value));
	vm_free(guest.vm);
}

static void declares_its_shared_pages(void **state)
{
	boot(*state, DATA "flips=0");
	expect("ready\n");
	assert_int_equal(vm_shared_pages(guest.vm), TESTGUEST_AREA_ALIGN / TESTGUEST_PAGE);
	vm_free(guest.vm);
}

static void refuses_options_it_does_not_know(void **state)
{
	boot(*state, "private=4M colour=blue");
	expect("does not understand: colour=blue");
	ends_as(VM_END_POWEROFF);
}

static void says_how_much_memory_it_needs(void **state)
{
	boot(*state, "private=1G");
	expect(" KiB of RAM, has ");
	ends_as(VM_END_POWEROFF);
}

/* --- what the monitor can see ---------------------------------------------------------------- */

static void canary_bytes(const char *hex, uint8_t out[16])
{
	for (unsigned i = 0; i < 16; i++) {
		const char byte[] = { hex[2 * i], hex[2 * i + 1], 0 };

		out[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
}

static void shared_dump(struct util_place *u, struct buf *out)
{
	struct err e = { 0 };
	char path[96];

	snprintf(path, sizeof(path), "%s/shared", u->dir);
	util_ok(vm_pause(guest.vm, &e), &e);
	util_ok(vm_debug_dump_shared(guest.vm, path, &e), &e);
	util_ok(fd_file_read(path, 64u << 20, out, &e), &e);
	unlink(path);
}

static void monitor_sees_the_shared_canary_and_not_the_private_one(void **state)
{
	auto_buf struct buf dump = { 0 };
	uint8_t canary[16];

	boot(*state, DATA CANARIES "dirty=50M/s flips=100");
	expect("verify ok sweep 3\n");
	shared_dump(*state, &dump);
	canary_bytes(CANARY, canary);
	assert_null(memmem(dump.p, dump.len, canary, 16));
	canary_bytes(SHARED_CANARY, canary);
	assert_non_null(memmem(dump.p, dump.len, canary, 16));
	vm_free(guest.vm);
}

static void shared_pages_hold_the_documented_pattern(void **state)
{
	auto_buf struct buf dump = { 0 };
	uint64_t w[TESTGUEST_WORDS], x;

	boot(*state, DATA "seed=9 flips=0");
	expect("verify ok sweep 1\n");
	shared_dump(*state, &dump);
	assert_true(dump.len > TESTGUEST_SHARED + sizeof(w));
	memcpy(w, dump.p + TESTGUEST_SHARED, sizeof(w));
	assert_true(w[TESTGUEST_W_MAGIC] == TESTGUEST_MAGIC_SHARED);
	assert_true(w[TESTGUEST_W_GPA] == TESTGUEST_SHARED);
	assert_true(w[TESTGUEST_W_GENERATION] == 1 && w[TESTGUEST_W_SEED] == 9);
	x = testguest_start(9, TESTGUEST_SHARED, 1);
	for (unsigned i = TESTGUEST_W_FILL; i < TESTGUEST_W_CANARY; i++)
		assert_true(w[i] == testguest_next(&x));
	vm_free(guest.vm);
}

/* --- what the guest notices ------------------------------------------------------------------- */

static uint8_t *shared_page(void)
{
	struct mig_vm *m = vm_migratable(guest.vm);
	struct mig_vm_desc d = { 0 };
	struct err e = { 0 };

	util_ok(m->ops->describe(m, &d, &e), &e);
	return d.ram[0].shared + TESTGUEST_SHARED;
}

static void notices_one_changed_byte(void **state)
{
	struct err e = { 0 };

	boot(*state, DATA);
	expect("verify ok sweep 1\n");
	util_ok(vm_pause(guest.vm, &e), &e);
	shared_page()[1234] ^= 1;
	util_ok(vm_start(guest.vm, &e), &e);
	hear("CORRUPT page 600000 (shared) generation 1: fill is ");
	vm_free(guest.vm);
}

/* A page that a migration forgot is whole, but old. */
static void notices_a_page_of_an_earlier_time(void **state)
{
	uint8_t old[TESTGUEST_PAGE];
	struct err e = { 0 };

	boot(*state, "private=4K shared=4K dirty=4K/s pace=5ms sweep=50ms");
	expect("ready\n");
	util_ok(vm_pause(guest.vm, &e), &e);
	memcpy(old, shared_page(), sizeof(old));
	util_ok(vm_start(guest.vm, &e), &e);
	for (unsigned k = 1; !memcmp(old + 8 * TESTGUEST_W_GENERATION,
				     shared_page() + 8 * TESTGUEST_W_GENERATION, 8);
	     k++) {
		char line[32];

		snprintf(line, sizeof(line), "verify ok sweep %u\n", k);
		expect(line);
	}
	util_ok(vm_pause(guest.vm, &e), &e);
	memcpy(shared_page(), old, sizeof(old));
	util_ok(vm_start(guest.vm, &e), &e);
	hear("generation is 1, should be ");
	vm_free(guest.vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(counts_and_verifies_while_it_writes),
		util_test(goes_on_counting_after_a_pause),
		util_test(several_processors_count_and_verify_their_share),
		util_test(answers_lines_and_powers_off),
		util_test(takes_a_paste_longer_than_the_fifo),
		util_test(says_when_it_may_be_moved),
		util_test(keeps_silent_about_it_when_told),
		util_test(declares_its_shared_pages),
		util_test(refuses_options_it_does_not_know),
		util_test(says_how_much_memory_it_needs),
		util_test(monitor_sees_the_shared_canary_and_not_the_private_one),
		util_test(shared_pages_hold_the_documented_pattern),
		util_test(notices_one_changed_byte),
		util_test(notices_a_page_of_an_earlier_time),
	};

	return cmocka_run_group_tests_name("guest_run", tests, setup, teardown);
}
