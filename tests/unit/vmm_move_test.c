/* SPDX-License-Identifier: Apache-2.0 */

/* A guest moved inside one process: state by the monitor, memory by the bare commands of the Secure
 * Processor. Everything a migration does but the wire. */

#include "tests/unit/vmm_util.h"

#include "base/gpa.h"
#include "vmm/machine.h"
#include "vmm/state.h"

/* a, b, c ... z, a ...: one letter each some thousand instructions; counts in memory, too. */
static const uint8_t alphabet[] = {
	0x66, 0xba, 0xf8, 0x03,                /* loop: mov $0x3f8,%dx */
	0x8b, 0x04, 0x25, 0,    0x10, 0x20, 0, /* mov 0x201000,%eax */
	0x04, 'a',                             /* add $'a',%al */
	0xee,                                  /* out %al,%dx */
	0xff, 0xc3,                            /* inc %ebx */
	0x83, 0xfb, 26,                        /* cmp $26,%ebx */
	0x72, 0x02,                            /* jb 1f */
	0x31, 0xdb,                            /* xor %ebx,%ebx */
	0x89, 0x1c, 0x25, 0,    0x10, 0x20, 0, /* 1: mov %ebx,0x201000 */
	0xb9, 0xd0, 0x07, 0x00, 0x00,          /* mov $2000,%ecx */
	0xff, 0xc9,                            /* 2: dec %ecx */
	0x75, 0xfc,                            /* jnz 2b */
	0xeb, 0xd7,                            /* jmp loop */
};

static struct vm *incoming(struct util_place *u, struct vm *from, unsigned vcpus)
{
	struct vm *vm = util_vm(u, "guest", vcpus);
	struct mig_vm *a = vm_migratable(from), *b = vm_migratable(vm);
	struct lines differences = { 0 };
	struct mig_vm_desc desc;
	struct err e = { 0 };

	util_ok(vm_incoming(vm, &e), &e);
	assert_int_equal(vm_state(vm), VM_INCOMING);
	util_ok(a->ops->describe(a, &desc, &e), &e);
	util_ok(b->ops->accept(b, &desc, MIG_TAKE, &differences, &e), &e);
	assert_int_equal(differences.n, 0);
	return vm;
}

static void move_page(struct mig_vm *a, struct mig_vm *b, uint8_t *from, uint8_t *to, bool shared)
{
	uint8_t hdr[SEV_PACKET_HDR_LEN], packet[PAGE_LEN];
	struct err e = { 0 };

	if (shared) {
		memcpy(to, from, PAGE_LEN);
		return;
	}
	util_ok(sev_send_update(a->sev, from, PAGE_LEN, hdr, packet, &e), &e);
	util_ok(sev_receive_update(b->sev, to, PAGE_LEN, hdr, packet, &e), &e);
}

static void move_memory(struct mig_vm *a, struct mig_vm *b, struct ranges *shared)
{
	struct mig_vm_desc from, to;
	struct err e = { 0 };

	util_ok(a->ops->describe(a, &from, &e), &e);
	util_ok(b->ops->describe(b, &to, &e), &e);
	for (uint32_t i = 0; i < from.nram; i++) {
		struct gpa at = from.ram[i].at, end = gpa(at.v + from.ram[i].size);
		uint64_t len;

		for (; sev_vm_populated(a->sev, &at, end, &len); at.v += len)
			for (uint64_t p = at.v; p < at.v + len; p += PAGE_LEN)
				move_page(a, b, from.ram[i].shared + (p - from.ram[i].at.v),
					  to.ram[i].shared + (p - from.ram[i].at.v),
					  p >= a->sev->low_private_end.v &&
						  ranges_has(shared, p >> PAGE_SHIFT));
	}
}

/* The source is stopped; the target has accepted. */
static void move(struct util_place *u, struct mig_vm *a, struct mig_vm *b)
{
	uint8_t session[SEV_SESSION_LEN];
	auto_buf struct buf blob = { 0 };
	struct sev_peer_certs certs;
	struct err e = { 0 };
	struct ranges shared;
	uint32_t policy;

	ranges_init(&shared);
	util_ok(a->ops->shared(a, MIG_GET, &shared, &e), &e);
	util_ok(sev_certs_export(u->platform, &certs, &e), &e);
	util_ok(sev_send_start(a->sev, &certs, session, &policy, &e), &e);
	util_ok(sev_receive_start(b->sev, policy, certs.pdh, session, &e), &e);
	move_memory(a, b, &shared);
	util_ok(b->ops->shared(b, MIG_SET, &shared, &e), &e);
	util_ok(a->ops->state_save(a, &blob, &e), &e);
	util_ok(b->ops->state_load(b, blob.p, blob.len, &e), &e);
	util_ok(sev_send_finish(a->sev, &e), &e);
	util_ok(sev_receive_finish(b->sev, &e), &e);
	ranges_fini(&shared);
}

static void assert_alphabet(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], 'a' + (int)i % 26);
}

static void counter_goes_on_without_a_missing_or_repeated_letter(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct err e = { 0 };
	char out[4096];
	size_t n = 0;

	util_ok(vm_start(vm, &e), &e);
	for (int round = 0; round < 4; round++) {
		struct mig_vm *a = vm_migratable(vm), *b;
		uint8_t before[32], after[32];
		struct vm *target;

		n += util_read(u, out + n, 30);
		target = incoming(u, vm, 1);
		b = vm_migratable(target);
		util_ok(a->ops->run(a, false, &e), &e);
		n += util_drain(u, out + n, sizeof(out) - n);
		move(u, a, b);
		util_ok(vm_debug_digest(vm, before, &e), &e);
		util_ok(vm_debug_digest(target, after, &e), &e);
		assert_memory_equal(before, after, 32);
		util_ok(b->ops->run(b, true, &e), &e);
		assert_int_equal(vm_state(target), VM_RUNNING);
		vm_free(vm);
		vm = target;
	}
	n += util_read(u, out + n, 30);
	assert_alphabet(out, n);
	vm_free(vm);
}

static void source_cannot_run_what_was_sent_away(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct mig_vm *a = vm_migratable(vm);
	struct err e = { 0 };
	struct vm *target = incoming(u, vm, 1);

	util_ok(a->ops->run(a, false, &e), &e);
	move(u, a, vm_migratable(target));
	assert_int_equal(a->ops->run(a, true, &e), -EPERM);
	assert_int_equal(vm_start(vm, &e), -EPERM);
	assert_non_null(strstr(e.msg, "sent away"));
	assert_int_equal(vm_state(vm), VM_PAUSED);
	vm_free(vm);
	vm_free(target);
}

static void target_does_not_run_before_it_is_let_go(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 2);
	struct vm *target = incoming(u, vm, 2);
	struct mig_vm *a = vm_migratable(vm), *b = vm_migratable(target);
	struct err e = { 0 };

	assert_int_equal(vm_start(target, &e), -EPERM);
	assert_int_equal(b->ops->run(b, true, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "has not got its state yet"));
	util_ok(a->ops->run(a, false, &e), &e);
	move(u, a, b);
	assert_int_equal(vm_start(target, &e), -EPERM);
	assert_int_equal(vm_state(target), VM_INCOMING);
	/* the source was paused by its operator all the time, so the target is, too */
	util_ok(b->ops->run(b, true, &e), &e);
	assert_int_equal(vm_state(target), VM_PAUSED);
	util_ok(vm_start(target, &e), &e);
	assert_int_equal(vm_state(target), VM_RUNNING);
	vm_free(vm);
	vm_free(target);
}

static void hostile_state_is_refused_and_touches_nothing(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct vm *target = incoming(u, vm, 1);
	struct mig_vm *a = vm_migratable(vm), *b = vm_migratable(target);
	auto_buf struct buf blob = { 0 };
	struct err e = { 0 };

	util_ok(a->ops->run(a, false, &e), &e);
	util_ok(a->ops->state_save(a, &blob, &e), &e);
	for (size_t len = 0; len < blob.len; len += 131)
		assert_int_equal(b->ops->state_load(b, blob.p, len, &e), -EPROTO);
	assert_int_equal(a->ops->state_load(a, blob.p, blob.len, &e), -EINVAL);
	util_ok(b->ops->state_load(b, blob.p, blob.len, &e), &e);
	vm_free(vm);
	vm_free(target);
}

static void running_guest_has_no_state_to_save(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct mig_vm *a = vm_migratable(vm);
	auto_buf struct buf blob = { 0 };
	struct err e = { 0 };

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(a->ops->state_save(a, &blob, &e), -EBUSY);
	vm_free(vm);
}

static void other_machine_is_refused_with_each_difference(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct mig_vm *a = vm_migratable(vm), *b;
	struct vm *target = util_vm(u, "guest", 1);
	struct lines differences = { 0 };
	struct mig_vm_desc desc, other;
	struct err e = { 0 };

	b = vm_migratable(target);
	util_ok(a->ops->describe(a, &desc, &e), &e);
	assert_int_equal(b->ops->accept(b, &desc, MIG_TAKE, &differences, &e), -EINVAL);
	util_ok(vm_incoming(target, &e), &e);
	other = desc;
	other.vcpus = 2;
	other.ram[0].size *= 2;
	util_ok(b->ops->accept(b, &other, MIG_TAKE, &differences, &e), &e);
	assert_int_equal(differences.n, 2);
	assert_string_equal(differences.v[0], "2 vCPUs there, 1 here");
	assert_non_null(strstr(differences.v[1], "RAM range 0"));
	other = desc;
	other.cbit--;
	assert_int_equal(b->ops->accept(b, &other, MIG_TAKE, &differences, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "C-bit"));
	other = desc;
	other.machine_len--;
	assert_int_equal(b->ops->accept(b, &other, MIG_TAKE, &differences, &e), -EPROTO);
	differences.n = 0;
	util_ok(b->ops->accept(b, &desc, MIG_ASK, &differences, &e), &e);
	util_ok(b->ops->accept(b, &desc, MIG_TAKE, &differences, &e), &e);
	assert_int_equal(differences.n, 0);
	vm_free(vm);
	vm_free(target);
}

static void guest_that_never_asked_is_blocked(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct mig_vm *a = vm_migratable(vm);
	struct err e = { 0 };
	uint64_t value = 7;

	assert_false(vm_migration_msr(vm, &value));
	assert_int_equal(value, 0);
	assert_int_equal(a->ops->consent(a, 0, &e), -EPERM);
	assert_string_equal(e.msg, "guest: it has not enabled migration (MSR 0x4b564d08 is 0)");
	assert_null(vm_says_no(vm, MIG_PARTY_HOST));
	assert_null(vm_says_no(vm, MIG_PARTY_FIRMWARE));
	assert_int_equal(a->ops->consent(a, 1u << MIG_PARTY_FIRMWARE, &e), -EPERM);
	assert_int_equal(a->ops->consent(a, 1u << MIG_PARTY_GUEST, &e), 0);
	vm_free(vm);
}

static void host_that_was_told_not_to_says_no(void **state)
{
	struct util_place *u = *state;
	struct vm_config cfg = { .name = "guest",
				 .memory = 32u << 20,
				 .vcpus = 1,
				 .console_in = -1,
				 .console_out = u->console[1],
				 .no_migration = true };
	struct err e = { 0 };
	struct mig_vm_desc desc;
	struct vmm_machine m;
	struct vm *vm = NULL;
	struct mig_vm *a;

	if (!u->platform)
		skip();
	util_ok(vm_new(&cfg, u->platform, &vm, &e), &e);
	util_ok(vm_incoming(vm, &e), &e);
	a = vm_migratable(vm);
	util_ok(a->ops->describe(a, &desc, &e), &e);
	util_ok(vmm_machine_get(desc.machine, desc.machine_len, &m, &e), &e);
	assert_int_equal(vmm_machine_leaf(&m, 0x40000001, 0)->eax & (3u << 16), 0);
	assert_non_null(strstr(vm_says_no(vm, MIG_PARTY_HOST), "--no-migration"));
	assert_int_equal(a->ops->consent(a, 0, &e), -EPERM);
	assert_memory_equal(e.msg, "host: migration was turned off", 30);
	vm_free(vm);
}

static uint64_t saved_tsc(const struct vmm_state *s)
{
	for (uint32_t i = 0; i < s->vcpu[0].msr_len / sizeof(s->vcpu[0].msr[0]); i++)
		if (s->vcpu[0].msr[i].index == 0x10)
			return s->vcpu[0].msr[i].data;
	fail_msg("no TSC among the saved MSRs");
	return 0;
}

static void state_of(struct vm *vm, struct buf *blob, struct vmm_state *s)
{
	struct mig_vm *m = vm_migratable(vm);
	struct err e = { 0 };

	util_ok(m->ops->state_save(m, blob, &e), &e);
	util_ok(vmm_state_init(s, 1, &e), &e);
	util_ok(vmm_state_get(blob->p, blob->len, s, &e), &e);
}

#define MS 1000000ull

static void stopped_for(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * MS }, NULL);
}

static void assert_about(uint64_t ns, uint64_t expected)
{
	assert_in_range(ns, expected - (expected < 50 * MS ? expected : 50 * MS),
			expected + 50 * MS);
}

/* The guest stands still for some time; its clocks do not. */
static void clocks_go_on_by_what_passed(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1), *target;
	auto_buf struct buf before = { 0 }, after = { 0 };
	struct mig_vm *a = vm_migratable(vm), *b;
	struct vmm_state x, y;
	struct err e = { 0 };
	uint64_t khz, passed;
	char out[64];

	util_ok(vm_start(vm, &e), &e);
	assert_int_equal(util_read(u, out, 64), 64);
	target = incoming(u, vm, 1);
	util_ok(a->ops->run(a, false, &e), &e);
	state_of(vm, &before, &x);
	b = vm_migratable(target);
	stopped_for(200);
	util_ok(b->ops->state_load(b, before.p, before.len, &e), &e);
	state_of(target, &after, &y);
	khz = x.vcpu[0].extra[STATE_EXTRA_TSC_KHZ];
	passed = y.clock.realtime - x.clock.realtime;
	assert_true(khz > 0 && passed >= 200 * MS);
	assert_about(y.clock.clock - x.clock.clock, passed);
	assert_about((saved_tsc(&y) - saved_tsc(&x)) * 1000 / khz * 1000, passed);
	assert_memory_equal(&x.vcpu[0].regs, &y.vcpu[0].regs, sizeof(x.vcpu[0].regs));
	assert_memory_equal(&x.vcpu[0].sregs, &y.vcpu[0].sregs, sizeof(x.vcpu[0].sregs));
	assert_memory_equal(x.vcpu[0].xsave, y.vcpu[0].xsave, 512);
	assert_memory_equal(&x.irqchip, &y.irqchip, sizeof(x.irqchip));
	vmm_state_fini(&x);
	vmm_state_fini(&y);
	vm_free(vm);
	vm_free(target);
}

/* A source whose wall clock is wrong by an hour: the guest loses what passed, not an hour. */
static void wall_clocks_that_disagree_are_not_believed(void **state)
{
	static const int64_t wrong[] = { 3600000ll * (int64_t)MS, -3600000ll * (int64_t)MS };
	struct util_place *u = *state;
	struct vm *vm = util_boot(u, alphabet, sizeof(alphabet), 1);
	struct mig_vm *a = vm_migratable(vm);
	struct err e = { 0 };

	util_ok(a->ops->run(a, false, &e), &e);
	for (unsigned i = 0; i < 2; i++) {
		struct vm *target = incoming(u, vm, 1);
		struct mig_vm *b = vm_migratable(target);
		auto_buf struct buf blob = { 0 }, changed = { 0 }, after = { 0 };
		struct vmm_state x, y;

		state_of(vm, &blob, &x);
		x.clock.realtime += (uint64_t)wrong[i];
		util_ok(vmm_state_put(&x, &changed, &e), &e);
		util_ok(b->ops->state_load(b, changed.p, changed.len, &e), &e);
		state_of(target, &after, &y);
		assert_in_range(y.clock.clock, x.clock.clock, x.clock.clock + 10000 * MS);
		assert_in_range(saved_tsc(&y), saved_tsc(&x),
				saved_tsc(&x) + 10000 * x.vcpu[0].extra[STATE_EXTRA_TSC_KHZ]);
		vmm_state_fini(&x);
		vmm_state_fini(&y);
		vm_free(target);
	}
	vm_free(vm);
}

/* --- the small test guest: interrupts, timer, user mode, conversions ------------------------- */

static struct vm *boot_testguest(struct util_place *u, const char *append)
{
	const char *elsewhere = getenv("SEVMIG_TESTGUEST"); /* in the lab */
	struct vm *vm = util_vm(u, "guest", 1);
	struct vm_boot boot = { .kernel = elsewhere ? elsewhere : TESTGUEST, .append = append };
	struct err e = { 0 };

	util_ok(vm_boot(vm, &boot, &e), &e);
	util_ok(vm_start(vm, &e), &e);
	return vm;
}

/* Console output up to and with text. */
static void wait_for(struct util_place *u, char *out, size_t cap, const char *text)
{
	size_t n = strlen(out);

	while (!strstr(out, text) && n + 1 < cap) {
		size_t r = util_read(u, out + n, 1);

		if (!r)
			fail_msg("no \"%s\" after: %s", text, out);
		n += r;
		out[n] = '\0';
	}
}

static void assert_ticks(const char *out)
{
	unsigned long expect = 1;
	const char *p = out;

	while ((p = strstr(p, "tick ")) != NULL) {
		assert_int_equal(strtoul(p + 5, NULL, 10), expect);
		expect++;
		p += 5;
	}
	assert_true(expect > 10);
}

static void test_guest_counts_on_after_the_move(void **state)
{
	static char out[65536];
	struct util_place *u = *state;
	struct vm *vm = boot_testguest(u, ""), *target;
	struct mig_vm *a = vm_migratable(vm), *b;
	uint8_t before[32], after[32];
	struct err e = { 0 };
	uint64_t value;

	memset(out, 0, sizeof(out));
	wait_for(u, out, sizeof(out), "ready");
	wait_for(u, out, sizeof(out), "tick 10\n");
	assert_int_equal(a->ops->consent(a, 0, &e), 0);
	assert_true(vm_shared_pages(vm) > 0);
	target = incoming(u, vm, 1);
	b = vm_migratable(target);
	util_ok(a->ops->run(a, false, &e), &e);
	move(u, a, b);
	util_ok(vm_debug_digest(vm, before, &e), &e);
	util_ok(vm_debug_digest(target, after, &e), &e);
	assert_memory_equal(before, after, 32);
	assert_int_equal(vm_shared_pages(target), vm_shared_pages(vm));
	util_ok(b->ops->run(b, true, &e), &e);
	wait_for(u, out, sizeof(out), "tick 60\n");
	assert_ticks(out);
	assert_null(strstr(out, "bad"));
	assert_true(vm_migration_msr(target, &value) && value == 1);
	vm_free(vm);
	vm_free(target);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(counter_goes_on_without_a_missing_or_repeated_letter),
		util_test(source_cannot_run_what_was_sent_away),
		util_test(target_does_not_run_before_it_is_let_go),
		util_test(hostile_state_is_refused_and_touches_nothing),
		util_test(running_guest_has_no_state_to_save),
		util_test(other_machine_is_refused_with_each_difference),
		util_test(guest_that_never_asked_is_blocked),
		util_test(host_that_was_told_not_to_says_no),
		util_test(clocks_go_on_by_what_passed),
		util_test(wall_clocks_that_disagree_are_not_believed),
		util_test(test_guest_counts_on_after_the_move),
	};

	return cmocka_run_group_tests_name("vmm_move", tests, setup, teardown);
}
