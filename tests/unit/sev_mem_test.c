/* SPDX-License-Identifier: Apache-2.0 */

/* The software platform's memory: ranges, slots, what was ever written, faulting in. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "tests/unit/sev_fixture.h"

static char *dir;
static struct sev_platform *here;

static int setup(void **state)
{
	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "here"), NULL, NULL);
	here = fixture_open(fixture_path(dir, "here"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sev_platform_free(here);
	fixture_dir_remove(dir);
	return 0;
}

static void expect_error(int r, const struct err *e, int code, const char *message)
{
	assert_int_equal(r, code);
	assert_string_equal(e->msg, message);
}

static void expect_run(struct fixture_guest *g, uint64_t from, uint64_t at, uint64_t len)
{
	struct gpa pos = gpa(from);
	uint64_t got = 0;

	assert_true(sev_vm_populated(g->vm, &pos, gpa(UINT64_MAX), &got));
	assert_int_equal(pos.v, at);
	assert_int_equal(got, len);
}

static void populated_memory_is_what_either_face_was_written(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);
	struct gpa at = gpa(0);
	uint64_t len;

	(void)state;
	assert_false(sev_vm_populated(g.vm, &at, gpa(UINT64_MAX), &len));
	fixture_launch(&g, 0);
	g.low[0x3000] = 1; /* shared only */
	g.low[0x4fff] = 1;
	expect_run(&g, 0, 0x1000, 0x1000);
	expect_run(&g, 0x1234, 0x1000, 0x1000);
	expect_run(&g, 0x2000, 0x3000, 0x2000);
	expect_run(&g, 0x5000, 0x180000, 0x1000);
	expect_run(&g, 0x181000, FIXTURE_HIGH_AT, 0x1000);
	at = gpa(0x2000);
	assert_false(sev_vm_populated(g.vm, &at, gpa(0x3000), &len));
	assert_true(sev_vm_populated(g.vm, &at, gpa(0x4000), &len));
	assert_int_equal(len, 0x1000);
	fixture_guest_free(&g);
}

static void prefault_fills_the_face_it_was_asked_for(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);
	struct err e = { 0 };
	uint8_t there_[4];

	(void)state;
	assert_int_equal(sev_vm_prefault(g.vm, gpa(0x10000), 0x4000, true, &e), 0);
	expect_run(&g, 0, 0x10000, 0x4000);
	assert_int_equal(mincore(g.low + 0x10000, 0x4000, there_), 0);
	assert_int_equal(there_[0] & 1, 0);
	assert_int_equal(sev_vm_prefault(g.vm, gpa(0x10000), 0x4000, false, &e), 0);
	assert_int_equal(mincore(g.low + 0x10000, 0x4000, there_), 0);
	assert_int_equal(there_[3] & 1, 1);
	assert_int_equal(sev_vm_prefault(g.vm, gpa(FIXTURE_LOW - 0x1000), 0x2000, true, &e),
			 -EINVAL);
	assert_int_equal(sev_vm_prefault(g.vm, gpa(0x10001), 0x1000, true, &e), -EINVAL);
	fixture_guest_free(&g);
}

static void prefault_in_huge_pages_brings_no_page_more(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_vm_prefault(g.vm, gpa(0x1000), FIXTURE_LOW - 0x1000, true, &e), 0);
	expect_run(&g, 0, 0x1000, FIXTURE_LOW - 0x1000);
	assert_int_equal(sev_vm_prefault(g.vm, gpa(0), FIXTURE_LOW, true, &e), 0);
	expect_run(&g, 0, 0, FIXTURE_LOW);
	fixture_guest_free(&g);
}

static int ram_try(struct sev_vm *vm, uint64_t at, uint64_t size, uint8_t *shared, struct err *e)
{
	struct sev_ram ram = { .at = gpa(at), .size = size, .shared = shared, .first_slot = 20 };
	struct sev_slot slots[SEV_SLOTS_PER_RAM];
	size_t n;

	return sev_vm_ram_add(vm, &ram, slots, &n, e);
}

static void ram_that_cannot_be_is_refused(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);
	struct err e = { 0 };

	(void)state;
	expect_error(ram_try(g.vm, 0x1000, 0x1000, g.high, &e), &e, -EEXIST,
		     "RAM at 0x1000: overlaps RAM at 0");
	assert_int_equal(ram_try(g.vm, 1ull << 34, 0x1001, g.high, &e), -EINVAL);
	assert_int_equal(ram_try(g.vm, 1ull << 34, 0, g.high, &e), -EINVAL);
	assert_int_equal(ram_try(g.vm, 0xfffffffffffff000, 0x2000, g.high, &e), -EINVAL);
	assert_int_equal(ram_try(g.vm, 1ull << g.vm->cbit, 0x1000, g.high, &e), -EINVAL);
	fixture_guest_free(&g);
}

static void slots_say_where_memory_is_without_the_c_bit(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);
	struct sev_slot slots[SEV_SLOTS_PER_RAM];
	struct sev_ram ram = { .at = gpa(0), .size = FIXTURE_LOW, .first_slot = 9 };
	struct sev_vm *vm;
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	ram.shared = g.low;
	assert_int_equal(sev_vm_new(here, -1, -1, &vm, &e), 0);
	assert_int_equal(vm->low_private_end.v, 0x100000);
	assert_int_equal(sev_vm_ram_add(vm, &ram, slots, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(slots[0].id, 9);
	assert_int_equal(slots[0].at.v, 0);
	assert_int_equal(slots[0].size, 0x100000);
	assert_int_equal(slots[1].at.v, 0x100000);
	assert_int_equal(slots[1].size, FIXTURE_LOW - 0x100000);
	assert_int_equal(slots[2].id, 11);
	assert_int_equal(slots[2].at.v, 0);
	assert_int_equal(slots[2].size, FIXTURE_LOW);
	sev_vm_free(vm);
	fixture_guest_free(&g);
}

/* With a real VM, where this host has KVM. */
static void kvm_takes_the_slots_and_their_dirty_log(void **state)
{
	auto_fd int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	auto_fd int vm_fd = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	uint64_t bits[FIXTURE_LOW / PAGE_LEN / 64 + 1] = { 0 };
	struct kvm_dirty_log log = { .slot = 2, .dirty_bitmap = bits };
	struct sev_vm *vm;
	struct err e = { 0 };
	uint8_t *low;

	(void)state;
	if (vm_fd < 0 && !getenv("SEVMIG_MUST_WORK_KVM"))
		skip();
	assert_int_equal(sev_vm_new(here, kvm, vm_fd, &vm, &e), 0);
	assert_in_range(vm->cbit, 36, 47);
	low = fixture_ram(vm, 0, FIXTURE_LOW, 0);
	assert_int_not_equal(ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log), 0);
	assert_int_equal(sev_vm_log_dirty(vm, true, &e), 0);
	for (log.slot = 0; log.slot < 3; log.slot++)
		assert_int_equal(ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log), 0);
	assert_int_equal(sev_vm_log_dirty(vm, false, &e), 0);
	assert_int_not_equal(ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log), 0);
	sev_vm_free(vm);
	munmap(low, FIXTURE_LOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(populated_memory_is_what_either_face_was_written),
		cmocka_unit_test(prefault_fills_the_face_it_was_asked_for),
		cmocka_unit_test(prefault_in_huge_pages_brings_no_page_more),
		cmocka_unit_test(ram_that_cannot_be_is_refused),
		cmocka_unit_test(slots_say_where_memory_is_without_the_c_bit),
		cmocka_unit_test(kvm_takes_the_slots_and_their_dirty_log),
	};

	return cmocka_run_group_tests_name("sev_mem", tests, setup, teardown);
}
