/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vmm_util.h"

#include <pthread.h>

#include "base/gpa.h"

/* What the guests below need of their machine: COM1, power off, reset. */
#define PUT(c) 0xb0, (c), 0x66, 0xba, 0xf8, 0x03, 0xee /* mov $c,%al; mov $0x3f8,%dx; out */
#define POWEROFF 0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef
#define RESET 0xb0, 0xfe, 0xe6, 0x64
#define SPIN 0xeb, 0xfe

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

static void guest_prints_and_powers_off(void **state)
{
	static const uint8_t code[] = { PUT('h'), PUT('i'), POWEROFF, SPIN };
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, code, sizeof(code), 1);
	struct err e = { 0 };
	const char *why;
	char out[2];

	assert_int_equal(vm_state(vm), VM_PAUSED);
	assert_non_null(vm_measurement(vm));
	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(u, out, 2), 2);
	assert_memory_equal(out, "hi", 2);
	util_wait_end(vm);
	assert_int_equal(vm_end(vm, &why), VM_END_POWEROFF);
	assert_int_equal(vm_start(vm, &e), -ESRCH);
	assert_int_equal(vm_pause(vm, &e), -ESRCH);
	vm_free(vm);
}

static void a_migration_learns_that_the_guest_ended(void **state)
{
	static const uint8_t code[] = { POWEROFF, SPIN };
	struct vm *vm = util_boot(*state, code, sizeof(code), 1);
	struct mig_vm *mig = vm_migratable(vm);
	struct err e = { 0 };

	util_ok(mig->ops->dirty(mig, MIG_DIRTY_START, NULL, &e), &e);
	util_ok(vm_start(vm, &e), &e);
	util_wait_end(vm);
	assert_int_equal(mig->ops->dirty(mig, MIG_DIRTY_SYNC, NULL, &e), -ESHUTDOWN);
	assert_non_null(strstr(e.msg, "power-off"));
	assert_int_equal(mig->ops->run(mig, false, &e), -ESHUTDOWN);
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_STOP, NULL, &e), &e);
	vm_free(vm);
}

static void guest_powers_off_by_acpi(void **state)
{
	static const uint8_t code[] = { 0x66, 0xba, 0x01, 0x06, 0xb0, 0x34, 0xee, SPIN };
	struct vm *vm = util_boot(*state, code, sizeof(code), 1);
	struct err e = { 0 };
	const char *why;

	util_ok(vm_start(vm, &e), &e);
	util_wait_end(vm);
	assert_int_equal(vm_end(vm, &why), VM_END_POWEROFF);
	assert_non_null(strstr(why, "ACPI"));
	vm_free(vm);
}

static void guest_resets(void **state)
{
	static const uint8_t code[] = { RESET, SPIN };
	struct vm *vm = util_boot(*state, code, sizeof(code), 1);
	struct err e = { 0 };
	const char *why;

	util_ok(vm_start(vm, &e), &e);
	util_wait_end(vm);
	assert_int_equal(vm_end(vm, &why), VM_END_RESET);
	vm_free(vm);
}

static void triple_fault_is_the_guests_end_and_not_the_monitors(void **state)
{
	static const uint8_t code[] = { 0x0f, 0x0b }; /* ud2, no IDT */
	struct vm *vm = util_boot(*state, code, sizeof(code), 1);
	struct err e = { 0 };
	const char *why;

	util_ok(vm_start(vm, &e), &e);
	util_wait_end(vm);
	assert_int_equal(vm_end(vm, &why), VM_END_ERROR);
	assert_non_null(strstr(why, "triple fault"));
	vm_free(vm);
}

/* a, b, c ... z, a ...: one letter each some thousand instructions. */
static const uint8_t alphabet[] = {
	0x31, 0xdb,                                  /* xor %ebx,%ebx */
	0x66, 0xba, 0xf8, 0x03,                      /* loop: mov $0x3f8,%dx */
	0x8d, 0x43, 'a',                             /* lea 'a'(%rbx),%eax */
	0xee,                                        /* out %al,%dx */
	0xff, 0xc3,                                  /* inc %ebx */
	0x83, 0xfb, 26,                              /* cmp $26,%ebx */
	0x72, 0x02,                                  /* jb 1f */
	0x31, 0xdb,                                  /* xor %ebx,%ebx */
	0xb9, 0xd0, 0x07, 0x00, 0x00,                /* 1: mov $2000,%ecx */
	0xff, 0xc9,                                  /* 2: dec %ecx */
	0x75, 0xfc,                                  /* jnz 2b */
	0x48, 0xff, 0x04, 0x25, 0,    0x10, 0x20, 0, /* incq 0x201000 */
	0xeb, 0xdc,                                  /* jmp loop */
};

static void assert_alphabet(const char *p, size_t n, char first)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], 'a' + (first - 'a' + (int)i) % 26);
}

static void pause_stops_the_guest_and_start_goes_on_where_it_was(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct err e = { 0 };
	char out[4096];
	size_t n = 0;

	for (int round = 0; round < 20; round++) {
		size_t quiet;

		util_ok(vm_start(vm, &e), &e);
		assert_int_equal(vm_state(vm), VM_RUNNING);
		n += util_read(u, out + n, 5);
		util_ok(vm_pause(vm, &e), &e);
		assert_int_equal(vm_state(vm), VM_PAUSED);
		n += util_drain(u, out + n, sizeof(out) - n);
		quiet = util_drain(u, out + n, sizeof(out) - n);
		assert_int_equal(quiet, 0);
	}
	assert_true(n >= 100);
	assert_alphabet(out, n, 'a');
	vm_free(vm);
}

static void free_of_a_running_guest_ends_it(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct err e = { 0 };
	char out[4];

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(u, out, 4), 4);
	vm_free(vm);
}

static void secondary_cpus_wait_without_harm(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 3);
	struct err e = { 0 };
	char out[16];

	for (int i = 0; i < 5; i++) {
		util_ok(vm_start(vm, &e), &e);
		assert_int_equal(util_read(u, out, 3), 3);
		util_ok(vm_pause(vm, &e), &e);
	}
	vm_free(vm);
}

static void *pauser(void *arg)
{
	struct err e = { 0 };

	for (int i = 0; i < 50; i++) {
		util_ok(vm_pause(arg, &e), &e);
		util_ok(vm_start(arg, &e), &e);
	}
	return NULL;
}

static void migration_and_operator_may_stop_it_at_once(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 2);
	struct mig_vm *mig = vm_migratable(vm);
	struct err e = { 0 };
	pthread_t t;

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(pthread_create(&t, NULL, pauser, vm), 0);
	for (int i = 0; i < 50; i++) {
		util_ok(mig->ops->run(mig, false, &e), &e);
		assert_int_not_equal(vm_state(vm), VM_RUNNING);
		util_ok(mig->ops->run(mig, true, &e), &e);
	}
	pthread_join(t, NULL);
	assert_int_equal(vm_state(vm), VM_RUNNING);
	vm_free(vm);
}

static void held_guest_does_not_start_before_the_migration_lets_go(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct mig_vm *mig = vm_migratable(vm);
	struct err e = { 0 };

	util_ok(mig->ops->run(mig, false, &e), &e);
	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(vm_state(vm), VM_PAUSED);
	util_ok(mig->ops->run(mig, true, &e), &e);
	assert_int_equal(vm_state(vm), VM_RUNNING);
	vm_free(vm);
}

static void dirty_log_has_the_page_the_guest_writes(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct mig_vm *mig = vm_migratable(vm);
	uint64_t words[64] = { 0 };
	struct mig_bitmap bm = { words, 4096 };
	struct err e = { 0 };
	char out[64];

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(u, out, 4), 4);
	assert_int_equal(mig->ops->dirty(mig, MIG_DIRTY_SYNC, &bm, &e), -EINVAL);
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_START, &bm, &e), &e);
	for (int i = 0; i < 3; i++) {
		util_drain(u, out, sizeof(out));
		memset(words, 0, sizeof(words));
		assert_int_equal(util_read(u, out, 8), 8);
		util_ok(mig->ops->dirty(mig, MIG_DIRTY_SYNC, &bm, &e), &e);
		assert_true(words[0x201 / 64] & 1ull << 0x201 % 64);
		assert_false(words[0x300 / 64] & 1ull << 0x300 % 64);
	}
	util_ok(mig->ops->run(mig, false, &e), &e);
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_SYNC, &bm, &e), &e);
	memset(words, 0, sizeof(words));
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_SYNC, &bm, &e), &e);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(words[i], 0);
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_STOP, NULL, &e), &e);
	vm_free(vm);
}

/* Prints 'y' when the two operands of the cmp before it were equal, else 'n'; powers off. */
#define ANSWER                                                                                     \
	0x0f, 0x94, 0xc3,               /* sete %bl */                                             \
		0x66, 0xba, 0xf8, 0x03, /* mov $0x3f8,%dx */                                       \
		0xb0, 'n',              /* mov $'n',%al */                                         \
		0x84, 0xdb, 0x74, 0x02, /* test %bl,%bl; jz 1f */                                  \
		0xb0, 'y', 0xee,        /* mov $'y',%al; 1: out %al,%dx */                         \
		POWEROFF, SPIN

static void answers(struct util_place *u, const uint8_t *code, size_t len, char expected)
{
	struct vm *vm = util_boot(u, code, len, 1);
	struct err e = { 0 };
	char out[1] = { 0 };

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(u, out, 1), 1);
	assert_int_equal(out[0], expected);
	util_wait_end(vm);
	vm_free(vm);
}

static void what_is_not_ram_reads_as_ones_with_the_c_bit_or_without(void **state)
{
	static const uint8_t code[] = {
		0xb8,   0x00, 0x00, 0x00, 0xd0,       /* mov $0xd0000000,%eax */
		0xc7,   0x00, 0x11, 0x11, 0x11, 0x11, /* movl $0x11111111,(%rax) */
		0x8b,   0x08,                         /* mov (%rax),%ecx */
		0x83,   0xf9, 0xff,                   /* cmp $-1,%ecx */
		ANSWER,
	};

	answers(*state, code, sizeof(code), 'y');
}

static void unknown_port_reads_as_ones(void **state)
{
	static const uint8_t code[] = {
		0x66,   0xba, 0x34, 0x12, /* mov $0x1234,%dx */
		0xed,                     /* in %dx,%eax */
		0x83,   0xf8, 0xff,       /* cmp $-1,%eax */
		ANSWER,
	};

	answers(*state, code, sizeof(code), 'y');
}

static void sev_status_says_enabled(void **state)
{
	static const uint8_t code[] = {
		0xb9,   0x31, 0x01, 0x01, 0xc0, /* mov $0xc0010131,%ecx */
		0x0f,   0x32,                   /* rdmsr */
		0x83,   0xf8, 0x01,             /* cmp $1,%eax */
		ANSWER,
	};

	answers(*state, code, sizeof(code), 'y');
}

static void cpuid_says_sev(void **state)
{
	static const uint8_t code[] = {
		0xb8,   0x1f, 0x00, 0x00, 0x80, /* mov $0x8000001f,%eax */
		0x0f,   0xa2,                   /* cpuid */
		0x83,   0xf8, 0x02,             /* cmp $2,%eax */
		ANSWER,
	};

	answers(*state, code, sizeof(code), 'y');
}

static void ghcb_msr_keeps_its_value(void **state)
{
	static const uint8_t code[] = {
		0xb9, 0x30, 0x01, 0x01, 0xc0,         /* mov $0xc0010130,%ecx */
		0xb8, 0x78, 0x56, 0x34, 0x12,         /* mov $0x12345678,%eax */
		0x31, 0xd2, 0x0f, 0x30,               /* xor %edx,%edx; wrmsr */
		0x31, 0xc0, 0x0f, 0x32,               /* xor %eax,%eax; rdmsr */
		0x3d, 0x78, 0x56, 0x34, 0x12, ANSWER, /* cmp $0x12345678,%eax */
	};

	answers(*state, code, sizeof(code), 'y');
}

#define MIGRATION_MSR 0xb9, 0x08, 0x4d, 0x56, 0x4b /* mov $0x4b564d08,%ecx */

static void guest_allows_migration_by_its_msr(void **state)
{
	static const uint8_t code[] = {
		MIGRATION_MSR, 0x0f, 0x32, 0x89, 0xc3, /* rdmsr; mov %eax,%ebx: 0 at first */
		0xb8,          1,    0,    0,    0,    0x31, 0xd2, /* mov $1,%eax; xor %edx,%edx */
		0x0f,          0x30, 0x31, 0xc0, 0x0f, 0x32,       /* wrmsr; xor %eax,%eax; rdmsr */
		0x29,          0xd8, 0x83, 0xf8, 1,                /* sub %ebx,%eax; cmp $1,%eax */
		ANSWER,
	};
	struct vm *vm = util_boot(*state, code, sizeof(code), 1);
	struct mig_vm *mig = vm_migratable(vm);
	struct err e = { 0 };
	uint64_t value;
	char out[1];

	assert_int_equal(mig->ops->consent(mig, 0, &e), -EPERM);
	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(*state, out, 1), 1);
	assert_int_equal(out[0], 'y');
	util_wait_end(vm);
	assert_true(vm_migration_msr(vm, &value));
	assert_int_equal(value, 1);
	assert_int_equal(mig->ops->consent(mig, 0, &e), 0);
	vm_free(vm);
}

/* Without an IDT #GP ends in a triple fault. */
static void faults(void **state, const uint8_t *code, size_t len)
{
	struct vm *vm = util_boot(*state, code, len, 1);
	struct err e = { 0 };
	const char *why;
	uint64_t value;

	util_ok(vm_start(vm, &e), &e);
	util_wait_end(vm);
	assert_int_equal(vm_end(vm, &why), VM_END_ERROR);
	assert_non_null(strstr(why, "triple fault"));
	assert_false(vm_migration_msr(vm, &value));
	vm_free(vm);
}

static void other_bits_of_the_migration_msr_are_a_fault(void **state)
{
	static const uint8_t low[] = {
		MIGRATION_MSR, 0xb8, 3, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x30, SPIN
	};
	static const uint8_t high[] = { MIGRATION_MSR, 0xb8, 1,    0,    0,   0,
					0x89,          0xc2, 0x0f, 0x30, SPIN };

	faults(state, low, sizeof(low));
	faults(state, high, sizeof(high));
}

static void msr_nobody_knows_is_a_fault(void **state)
{
	static const uint8_t code[] = { 0xb9, 0x99, 0x99, 0x99, 0x49, 0x0f, 0x32, SPIN };

	faults(state, code, sizeof(code));
}

static void sev_status_cannot_be_written(void **state)
{
	static const uint8_t code[] = { 0xb9, 0x31, 0x01, 0x01, 0xc0, 0x31,
					0xc0, 0x31, 0xd2, 0x0f, 0x30, SPIN };

	faults(state, code, sizeof(code));
}

static void doorbell_does_the_hypercall_and_answers(void **state)
{
	static const uint8_t code[] = {
		0xb8,   12,   0,    0,    0, 0xbb, 0,
		0,      0x30, 0,                         /* mov $12,%eax; mov $0x300000,%ebx */
		0xb9,   3,    0,    0,    0, 0x31, 0xd2, /* mov $3,%ecx; xor %edx,%edx */
		0xe5,   0xe4, 0x89, 0xc6,                /* in $0xe4,%eax; mov %eax,%esi */
		0xb8,   12,   0,    0,    0, 0xb2, 0x20, /* mov $12,%eax; mov $0x20,%dl: reserved */
		0xe5,   0xe4, 0x01, 0xf0,                /* in $0xe4,%eax; add %esi,%eax */
		0x83,   0xf8, 0xea,                      /* cmp $-22,%eax */
		ANSWER,
	};
	struct vm *vm = util_boot(*state, code, sizeof(code), 1);
	struct err e = { 0 };
	char out[1];

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(*state, out, 1), 1);
	assert_int_equal(out[0], 'y');
	util_wait_end(vm);
	assert_int_equal(vm_shared_pages(vm), 3);
	vm_free(vm);
}

static void every_broken_call_of_the_platform_is_an_error_and_no_more(void **state)
{
	static const uint8_t code[] = { POWEROFF, SPIN };
	struct util_place *u = *state;
	struct vm_config cfg = {
		.name = "guest", .memory = 8u << 20, .vcpus = 1, .console_in = -1, .console_out = -1
	};
	bool done = false;
	char path[96];

	if (!u->platform)
		skip();
	util_kernel(u, code, sizeof(code), path);
	for (unsigned k = 0; !done; k++) {
		const struct vm_boot boot = { .kernel = path };
		struct sev_platform *p = NULL, *fault;
		struct err e = { 0 };
		struct vm *vm = NULL;
		unsigned calls = 0;
		int r;

		util_ok(sev_soft_open(u->state, &p, &e), &e);
		fault = sev_fault_wrap(p, k, &calls);
		r = vm_new(&cfg, fault, &vm, &e);
		if (!r)
			r = vm_boot(vm, &boot, &e);
		assert_true(r == 0 || (r < 0 && e.msg[0]));
		assert_true(k < 100);
		done = r == 0;
		vm_free(vm);
		sev_platform_free(fault);
	}
}

static void typed_input_arrives(void **state)
{
	static const uint8_t code[] = {
		0x66, 0xba, 0xfd, 0x03, 0xec, /* loop: mov $0x3fd,%dx; in %dx,%al */
		0xa8, 1,    0x74, 0xf7,       /* test $1,%al; jz loop */
		0xb2, 0xf8, 0xec,             /* mov $0xf8,%dl; in %dx,%al */
		0xfe, 0xc0, 0xee,             /* inc %al; out %al,%dx */
		0xeb, 0xef,                   /* jmp loop */
	};
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, code, sizeof(code), 1);
	struct err e = { 0 };
	char out[4];

	util_ok(vm_start(vm, &e), &e);
	util_ok(vm_console_write(vm, "HAL", 3, &e), &e);
	assert_int_equal(util_read(u, out, 3), 3);
	assert_memory_equal(out, "IBM", 3);
	vm_free(vm);
}

/* The monitor's view of a page the guest uses as private has nothing of the guest's. */
static void shared_face_shows_nothing_of_a_private_page(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	auto_buf struct buf dump = { 0 };
	struct err e = { 0 };
	char path[96], out[8];

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(u, out, 8), 8);
	util_ok(vm_pause(vm, &e), &e);
	snprintf(path, sizeof(path), "%s/dump", u->dir);
	util_ok(vm_debug_dump_shared(vm, path, &e), &e);
	util_ok(fd_file_read(path, 64u << 20, &dump, &e), &e);
	assert_int_equal(dump.len, 32u << 20);
	assert_null(memmem(dump.p, dump.len, alphabet, sizeof(alphabet)));
	for (size_t i = 0; i < PAGE_LEN; i++)
		assert_int_equal(dump.p[UTIL_ENTRY + PAGE_LEN + i], 0);
	vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(guest_prints_and_powers_off),
		util_test(a_migration_learns_that_the_guest_ended),
		util_test(guest_powers_off_by_acpi),
		util_test(guest_resets),
		util_test(triple_fault_is_the_guests_end_and_not_the_monitors),
		util_test(pause_stops_the_guest_and_start_goes_on_where_it_was),
		util_test(free_of_a_running_guest_ends_it),
		util_test(secondary_cpus_wait_without_harm),
		util_test(migration_and_operator_may_stop_it_at_once),
		util_test(held_guest_does_not_start_before_the_migration_lets_go),
		util_test(dirty_log_has_the_page_the_guest_writes),
		util_test(what_is_not_ram_reads_as_ones_with_the_c_bit_or_without),
		util_test(unknown_port_reads_as_ones),
		util_test(sev_status_says_enabled),
		util_test(cpuid_says_sev),
		util_test(ghcb_msr_keeps_its_value),
		util_test(guest_allows_migration_by_its_msr),
		util_test(other_bits_of_the_migration_msr_are_a_fault),
		util_test(msr_nobody_knows_is_a_fault),
		util_test(sev_status_cannot_be_written),
		util_test(doorbell_does_the_hypercall_and_answers),
		util_test(every_broken_call_of_the_platform_is_an_error_and_no_more),
		util_test(typed_input_arrives),
		util_test(shared_face_shows_nothing_of_a_private_page),
	};

	return cmocka_run_group_tests_name("vmm_run", tests, setup, teardown);
}
