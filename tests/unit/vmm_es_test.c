/* SPDX-License-Identifier: Apache-2.0 */

/* SEV-ES guests of a few instructions: what raises #VC, what the monitor sees of registers, and how
 * such guests end. */

#include "tests/unit/vmm_util.h"

#include <sys/ioctl.h>

#include "abi/ghcb.h"
#include "abi/psp.h"
#include "sev/vcpu.h"

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

static struct vm *es_new(struct util_place *u, unsigned vcpus)
{
	struct vm_config cfg = { .name = "es",
				 .memory = 32u << 20,
				 .vcpus = vcpus,
				 .policy = PSP_POLICY_ES,
				 .console_in = -1,
				 .console_out = u->console[1] };
	struct err e = { 0 };
	struct vm *vm = NULL;

	if (!u->platform)
		skip();
	util_ok(vm_new(&cfg, u->platform, &vm, &e), &e);
	return vm;
}

static struct vm *es_boot(struct util_place *u, const uint8_t *code, size_t len)
{
	struct vm *vm = es_new(u, 1);
	struct vm_boot boot = { 0 };
	struct err e = { 0 };
	char path[96];

	util_kernel(u, code, len, path);
	boot.kernel = path;
	util_ok(vm_boot(vm, &boot, &e), &e);
	return vm;
}

static void ends(struct util_place *u, const uint8_t *code, size_t len, const char *with)
{
	struct vm *vm = es_boot(u, code, len);
	struct err e = { 0 };
	const char *why;

	util_ok(vm_start(vm, &e), &e);
	util_wait_end(vm);
	assert_int_equal(vm_end(vm, &why), VM_END_ERROR);
	if (!strstr(why, with))
		fail_msg("\"%s\" does not say \"%s\"", why, with);
	vm_free(vm);
}

/* --- #VC ------------------------------------------------------------------------------------ */

/*
 * Goes on to offset 0x70 with RAX 0x5a, RDX 0x3f8 and RCX the migration MSR, and has a handler of
 * #VC: it ends the guest by the GHCB MSR, the reason being the error code on its stack, the set the
 * low four bits of RIP there, or 15 when RAX is not what it was.
 */
static const uint8_t vc_prologue[0x70] = {
	0x0f, 0x01, 0x1d, 0x59, 0x00, 0x00, 0x00, 0xb8, 0x5a, 0x00, 0x00, 0x00, 0xba, 0xf8,
	0x03, 0x00, 0x00, 0xb9, 0x08, 0x4d, 0x56, 0x4b, 0xeb, 0x58, 0x0f, 0x1f, 0x84, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x48, 0x83, 0xf8, 0x5a, 0xbe, 0x0f, 0x00, 0x00, 0x00, 0x75,
	0x04, 0x8b, 0x74, 0x24, 0x08, 0x83, 0xe6, 0x0f, 0xc1, 0xe6, 0x0c, 0x8b, 0x04, 0x24,
	0xc1, 0xe0, 0x10, 0x09, 0xf0, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x31, 0xd2, 0xb9, 0x30,
	0x01, 0x01, 0xc0, 0x0f, 0x30, 0xe5, 0xe5, 0x0f, 0x1f, 0x00, 0x20, 0x00, 0x10, 0x00,
	0x00, 0x8e, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xdf, 0x01,
	0x80, 0xfe, 0x1f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00,
};
#define VC_AT 0x50 /* where the gate is in it */

/* Some nops, so that RIP is not the same every time, and the instruction. */
static void raises(struct util_place *u, unsigned nops, const uint8_t *insn, size_t len,
		   unsigned error)
{
	uint8_t code[0x90];
	char with[64];

	memset(code, 0x90, sizeof(code));
	memcpy(code, vc_prologue, sizeof(vc_prologue));
	memcpy(code + sizeof(vc_prologue) + nops, insn, len);
	snprintf(with, sizeof(with), "reason %u of set %u", error, nops);
	ends(u, code, sizeof(code), with);
}

static void port_access_raises_vc_where_the_instruction_begins(void **state)
{
	raises(*state, 0, (const uint8_t[]){ 0xe4, 0x60 }, 2, GHCB_EXIT_IOIO); /* in $,%al */
	raises(*state, 1, (const uint8_t[]){ 0xe7, 0x64 }, 2, GHCB_EXIT_IOIO); /* out %eax,$ */
	raises(*state, 2, (const uint8_t[]){ 0xee }, 1, GHCB_EXIT_IOIO);       /* out %al,%dx */
	raises(*state, 3, (const uint8_t[]){ 0xed }, 1, GHCB_EXIT_IOIO);       /* in %dx,%eax */
	raises(*state, 4, (const uint8_t[]){ 0x66, 0xef }, 2, GHCB_EXIT_IOIO); /* out %ax,%dx */
	raises(*state, 5, (const uint8_t[]){ 0x66, 0xe5, 0x60 }, 3, GHCB_EXIT_IOIO); /* in $,%ax */
}

static void msr_access_raises_vc_where_the_instruction_begins(void **state)
{
	raises(*state, 6, (const uint8_t[]){ 0x0f, 0x32 }, 2, GHCB_EXIT_MSR);
	raises(*state, 7, (const uint8_t[]){ 0x0f, 0x30 }, 2, GHCB_EXIT_MSR);
}

static void only_a_read_of_four_bytes_rings_for_vmgexit(void **state)
{
	raises(*state, 8, (const uint8_t[]){ 0xe4, 0xe5 }, 2, GHCB_EXIT_IOIO); /* in, one byte */
	raises(*state, 9, (const uint8_t[]){ 0xe7, 0xe5 }, 2, GHCB_EXIT_IOIO); /* out */
}

/* mov $0xc0010131,%ecx; rdmsr; shl $16,%eax; or $0x100,%eax; xor %edx,%edx; dec %ecx; wrmsr; ring
 */
static void sev_status_is_read_without_an_exit_and_has_both_bits(void **state)
{
	static const uint8_t code[] = { 0xb9, 0x31, 0x01, 0x01, 0xc0, 0x0f, 0x32, 0xc1,
					0xe0, 0x10, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x31,
					0xd2, 0xff, 0xc9, 0x0f, 0x30, 0xe5, 0xe5 };

	ends(*state, code, sizeof(code), "reason 3 of set 0");
}

static void without_a_handler_the_guest_is_over_with_a_reason(void **state)
{
	static const uint8_t out[] = { 0xe6, 0x80 };
	uint8_t code[0x72];

	ends(*state, out, sizeof(out), "no interrupt table with #VC");
	memcpy(code, vc_prologue, sizeof(vc_prologue));
	memcpy(code + sizeof(vc_prologue), out, sizeof(out));
	code[VC_AT + 5] = 0x0e; /* not present */
	ends(*state, code, sizeof(code), "no interrupt gate");
	code[VC_AT + 5] = 0x8e;
	code[VC_AT + 2] = 0x18; /* data */
	ends(*state, code, sizeof(code), "no 64-bit code");
	code[VC_AT + 2] = 0x10;
	code[VC_AT + 4] = 1; /* a stack of the task state segment, which there is not */
	ends(*state, code, sizeof(code), "stack for #VC");
}

static void string_io_is_said_not_to_work(void **state)
{
	uint8_t code[0x80];

	memset(code, 0x90, sizeof(code));
	memcpy(code, vc_prologue, sizeof(vc_prologue));
	/* mov $3,%ecx; mov $0x200000,%esi; rep outsb */
	memcpy(code + sizeof(vc_prologue),
	       (const uint8_t[]){ 0xb9, 3, 0, 0, 0, 0xbe, 0, 0, 0x20, 0, 0xf3, 0x6e }, 12);
	ends(*state, code, sizeof(code), "raises no #VC");
}

/* mov $GHCB,%eax; mov $hi,%edx; mov $0xc0010130,%ecx; wrmsr; ring */
static void ghcb_at(struct util_place *u, uint64_t at, const char *with)
{
	uint8_t code[] = { 0xb8, 0,    0,    0,    0,    0xba, 0,    0,    0,   0,
			   0xb9, 0x30, 0x01, 0x01, 0xc0, 0x0f, 0x30, 0xe5, 0xe5 };

	memcpy(code + 1, &at, 4);
	memcpy(code + 6, (const uint8_t *)&at + 4, 4);
	ends(u, code, sizeof(code), with);
}

static void a_ghcb_must_be_in_shared_memory(void **state)
{
	ghcb_at(*state, 0, "no shared memory");
	ghcb_at(*state, 0x8000, "no shared memory"); /* always private */
	ghcb_at(*state, 32u << 20, "no shared memory");
	ghcb_at(*state, 1ull << 47 | 0x200000, "no shared memory");
	ghcb_at(*state, UINT64_MAX - 0xfff, "no shared memory");
}

/* --- registers -------------------------------------------------------------------------------- */

static bool all_zero(const void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((const uint8_t *)p)[i])
			return false;
	return true;
}

/* movabs $canary,%r12; mov %r12,%cr2; movq %r12,%xmm3; jmp . */
static const uint8_t canary_code[] = { 0x49, 0xbc, 1,    2,    3,    4,    5,    6,
				       7,    8,    0x41, 0x0f, 0x22, 0xd4, 0xeb, 0xfe };

static void registers_are_hidden_once_they_are_measured(void **state)
{
	struct vm *vm = es_boot(*state, canary_code, sizeof(canary_code));
	struct sev_vm *sev = vm_migratable(vm)->sev;
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE };
	struct kvm_xsave xsave;
	struct kvm_debugregs dr;
	struct kvm_sregs s;
	struct kvm_regs r;
	struct err e = { 0 };

	util_ok(vm_start(vm, &e), &e);
	usleep(20000);
	util_ok(vm_pause(vm, &e), &e);
	memset(&r, 0xff, sizeof(r));
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_GET_REGS, &r), 0);
	assert_true(all_zero(&r, sizeof(r)));
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_GET_XSAVE, &xsave), 0);
	assert_true(all_zero(&xsave, sizeof(xsave)));
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_GET_DEBUGREGS, &dr), 0);
	assert_true(all_zero(&dr, sizeof(dr)));
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_GET_SREGS, &s), 0);
	assert_true(s.cr0 & 1);
	assert_true(s.apic_base);
	assert_true(all_zero(&s.cs, sizeof(s.cs)));
	assert_int_equal(s.cr2 | s.cr3 | s.gdt.base, 0);
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_SET_GUEST_DEBUG, &debug), -EINVAL);
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_TRANSLATE, &r), -EINVAL);
	vm_free(vm);
}

static void setting_registers_changes_nothing(void **state)
{
	/* 1: cmp $0x77,%rbx; jne 1b; ud2: a triple fault when the monitor's RBX arrives. */
	static const uint8_t code[] = { 0x48, 0x83, 0xfb, 0x77, 0x75, 0xfa, 0x0f, 0x0b };
	struct vm *vm = es_boot(*state, code, sizeof(code));
	struct sev_vm *sev = vm_migratable(vm)->sev;
	struct kvm_regs r = { .rbx = 0x77, .rip = 0x200006, .rflags = 2 };
	struct kvm_sregs s;
	struct err e = { 0 };

	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_SET_REGS, &r), 0);
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_GET_SREGS, &s), 0);
	s.efer = 0;
	s.cr0 = 0x10;
	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_SET_SREGS, &s), 0);
	util_ok(vm_start(vm, &e), &e);
	usleep(50000);
	assert_int_equal(vm_state(vm), VM_RUNNING);
	util_ok(vm_pause(vm, &e), &e);
	vm_free(vm);
}

static void msrs_of_the_vmsa_read_as_zero(void **state)
{
	struct vm *vm = es_boot(*state, canary_code, sizeof(canary_code));
	struct sev_vm *sev = vm_migratable(vm)->sev;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry msr[2];
	} m = { .head = { .nmsrs = 2 }, .msr = { { .index = 0x277 }, { .index = 0x2ff } } };

	assert_int_equal(sev_vcpu_ioctl(sev, 0, KVM_GET_MSRS, &m), 2);
	assert_int_equal(m.msr[0].data, 0);     /* PAT */
	assert_int_equal(m.msr[1].data, 0xc06); /* memory types are KVM's */
	vm_free(vm);
}

static void the_state_and_the_shared_face_hold_no_register(void **state)
{
	struct vm *vm = es_boot(*state, canary_code, sizeof(canary_code));
	struct mig_vm *mig = vm_migratable(vm);
	auto_buf struct buf saved = { 0 };
	struct err e = { 0 };

	util_ok(vm_start(vm, &e), &e);
	usleep(20000);
	util_ok(mig->ops->run(mig, false, &e), &e);
	util_ok(mig->ops->state_save(mig, &saved, &e), &e);
	assert_null(memmem(saved.p, saved.len, canary_code + 2, 8));
	vm_free(vm);
}

static void another_vcpu_after_the_measurement_is_refused(void **state)
{
	struct vm *vm = es_boot(*state, canary_code, sizeof(canary_code));
	struct err e = { 0 };

	assert_int_equal(sev_vcpu_add(vm_migratable(vm)->sev, 1, -1, NULL, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "were measured"));
	vm_free(vm);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void a_triple_fault_is_a_reset_that_cannot_be(void **state)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };

	ends(*state, ud2, sizeof(ud2), "triple fault: an SEV-ES guest cannot be reset");
}

static void secondary_cpus_need_a_reset_block(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = es_new(u, 2);
	struct vm_boot boot = { 0 };
	struct err e = { 0 };
	char path[96];

	util_kernel(u, canary_code, sizeof(canary_code), path);
	boot.kernel = path;
	assert_int_equal(vm_boot(vm, &boot, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "reset block"));
	vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(port_access_raises_vc_where_the_instruction_begins),
		util_test(msr_access_raises_vc_where_the_instruction_begins),
		util_test(only_a_read_of_four_bytes_rings_for_vmgexit),
		util_test(sev_status_is_read_without_an_exit_and_has_both_bits),
		util_test(without_a_handler_the_guest_is_over_with_a_reason),
		util_test(string_io_is_said_not_to_work),
		util_test(a_ghcb_must_be_in_shared_memory),
		util_test(registers_are_hidden_once_they_are_measured),
		util_test(setting_registers_changes_nothing),
		util_test(msrs_of_the_vmsa_read_as_zero),
		util_test(the_state_and_the_shared_face_hold_no_register),
		util_test(another_vcpu_after_the_measurement_is_refused),
		util_test(a_triple_fault_is_a_reset_that_cannot_be),
		util_test(secondary_cpus_need_a_reset_block),
	};

	return cmocka_run_group_tests_name("vmm_es", tests, setup, teardown);
}
