/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The run loop of an SEV-ES guest's vCPU. What hardware would intercept with #VC leaves the real,
 * unencrypted vCPU first. It is taken back: the exit is completed, because where RIP stands at one
 * differs between hosts, then the registers of before are set again, at the start of the
 * instruction, and #VC is raised there. Only forms that freestanding 64-bit code uses are known.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "abi/doorbell.h"
#include "sev/soft_cpu.h"
#include "sev/soft_vm.h"
#include "sev/vcpu.h"

int soft_vcpu_die(struct soft_vcpu *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, ap);
	va_end(ap);
	return -EPROTO;
}

/* --- instructions -------------------------------------------------------------------------------
 */

#define INSN_MAX 4u

/* What left the guest, as the real KVM reported it. */
struct raw {
	uint32_t reason;
	bool in;
	uint16_t port;
	uint8_t size;
};

static bool is_io(const struct raw *x, const uint8_t *p, size_t len, uint16_t dx)
{
	bool narrow = len && p[0] == 0x66;
	uint8_t op;

	p += narrow;
	len -= narrow;
	if (!len || len > 2 || narrow != (x->size == 2))
		return false;
	op = p[0];
	if ((op & 0xf4) != 0xe4 || !!(op & 1) != (x->size > 1) || !(op & 2) != x->in)
		return false;
	return op & 8 ? len == 1 && dx == x->port : len == 2 && p[1] == x->port;
}

static bool is_insn(const struct raw *x, const uint8_t *p, size_t len, const struct kvm_regs *regs)
{
	static const uint8_t rdmsr[] = { 0x0f, 0x32 }, wrmsr[] = { 0x0f, 0x30 };
	static const uint8_t vmmcall[] = { 0x0f, 0x01, 0xd9 };

	switch (x->reason) {
	case KVM_EXIT_IO:
		return is_io(x, p, len, (uint16_t)regs->rdx);
	case KVM_EXIT_X86_RDMSR:
		return len == sizeof(rdmsr) && memcmp(p, rdmsr, len) == 0;
	case KVM_EXIT_X86_WRMSR:
		return len == sizeof(wrmsr) && memcmp(p, wrmsr, len) == 0;
	default:
		return len == sizeof(vmmcall) && memcmp(p, vmmcall, len) == 0;
	}
}

/* Where the instruction began. RIP moved on when the exit was completed, or had done so before. */
static bool insn_start(const struct soft_vc *c, const struct raw *x, uint64_t after,
		       uint64_t *start)
{
	uint64_t before = c->regs->rip;
	uint8_t bytes[INSN_MAX];

	for (size_t len = 1; len < INSN_MAX; len++) {
		if (before != after && after - before != len)
			continue;
		if (soft_vc_fetch(c, after - len, bytes, len) == len &&
		    is_insn(x, bytes, len, c->regs)) {
			*start = after - len;
			return true;
		}
	}
	return false;
}

/* --- taking an exit back ------------------------------------------------------------------------
 */

/* A kick that comes just now may be undone here, so whoever called must look at what it was for:
 * the caller's caller is told EINTR. */
static int complete(const struct sev_vcpu *c)
{
	uint8_t was = __atomic_load_n(&c->run->immediate_exit, __ATOMIC_RELAXED);
	int r;

	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_RELAXED);
	r = soft_cpu_ioctl(c->fd, KVM_RUN, NULL);
	__atomic_exchange_n(&c->run->immediate_exit, was, __ATOMIC_SEQ_CST);
	if (r == 0)
		return -EPROTO; /* more of the same: string I/O */
	return r == -EINTR ? 0 : r;
}

/* What KVM would not have shown of an encrypted vCPU. */
static void scrub(struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_IO && run->io.data_offset)
		memset((uint8_t *)run + run->io.data_offset, 0,
		       (size_t)run->io.size * run->io.count);
	memset(run->padding, 0, sizeof(run->padding));
}

static int raise_with(struct soft_vm *vm, unsigned id, const struct raw *x, struct kvm_regs *regs,
		      uint64_t error)
{
	const struct sev_vcpu *cpu = &vm->base.vcpu[id];
	struct soft_vcpu *v = &vm->vcpu[id];
	struct kvm_sregs was, sregs;
	struct kvm_regs after;
	uint64_t start = 0;
	struct soft_vc c = { vm, regs, &sregs, v->why, sizeof(v->why) };
	int r = soft_cpu_ioctl(cpu->fd, KVM_GET_REGS, &after);

	if (r == 0)
		r = soft_cpu_ioctl(cpu->fd, KVM_GET_SREGS, &was);
	if (r < 0)
		return r;
	sregs = was;
	if (!insn_start(&c, x, after.rip, &start))
		return soft_vcpu_die(v,
				     "exit %#llx by an instruction for which the software platform "
				     "raises no #VC",
				     (unsigned long long)error);
	regs->rip = start;
	r = soft_vc_raise(&c, error);
	if (r == 0 && memcmp(&was, &sregs, sizeof(was)) != 0)
		r = soft_cpu_ioctl(cpu->fd, KVM_SET_SREGS, &sregs);
	return r < 0 ? r : soft_cpu_ioctl(cpu->fd, KVM_SET_REGS, regs);
}

static int raise_vc(struct soft_vm *vm, unsigned id, const struct raw *x, uint64_t error)
{
	const struct sev_vcpu *cpu = &vm->base.vcpu[id];
	struct kvm_regs before;
	int r = soft_cpu_ioctl(cpu->fd, KVM_GET_REGS, &before);

	if (r == 0)
		r = complete(cpu);
	scrub(cpu->run);
	if (r == -EPROTO)
		return soft_vcpu_die(&vm->vcpu[id],
				     "string I/O, for which the software platform raises no #VC");
	if (r == 0)
		r = raise_with(vm, id, x, &before, error);
	return r < 0 ? r : -EINTR;
}

/* --- exits --------------------------------------------------------------------------------------
 */

/* Each: 1: the monitor is shown *run, 0: go on, else -errno. */

static int at_cpl0(const struct sev_vcpu *cpu, bool *yes)
{
	struct kvm_sregs s;
	int r = soft_cpu_ioctl(cpu->fd, KVM_GET_SREGS, &s);

	*yes = r == 0 && s.ss.dpl == 0;
	return r;
}

static int exit_io(struct soft_vm *vm, unsigned id)
{
	const struct sev_vcpu *cpu = &vm->base.vcpu[id];
	struct kvm_run *run = cpu->run;
	const struct raw x = { KVM_EXIT_IO, run->io.direction == KVM_EXIT_IO_IN, run->io.port,
			       run->io.size };
	bool rings = x.port == DOORBELL_VMGEXIT_PORT && x.in && x.size == 4 && run->io.count == 1;
	int r;

	if (run->io.count != 1)
		return soft_vcpu_die(&vm->vcpu[id],
				     "string I/O, for which the software platform raises no #VC");
	r = rings ? at_cpl0(cpu, &rings) : 0;
	if (r < 0)
		return r;
	if (!rings)
		return raise_vc(vm, id, &x, GHCB_EXIT_IOIO);
	memset((uint8_t *)run + run->io.data_offset, 0, 4);
	r = complete(cpu);
	if (r < 0)
		return r;
	r = soft_vmgexit(vm, id);
	return r ? r : -EINTR;
}

static int exit_rdmsr(struct soft_vm *vm, unsigned id)
{
	const struct raw x = { .reason = KVM_EXIT_X86_RDMSR };
	struct kvm_run *run = vm->base.vcpu[id].run;

	run->msr.error = 0;
	if (run->msr.index == GHCB_MSR)
		run->msr.data = vm->vcpu[id].ghcb;
	else if (run->msr.index == GHCB_MSR_SEV_STATUS)
		run->msr.data = GHCB_SEV_STATUS_SEV | GHCB_SEV_STATUS_ES;
	else
		return raise_vc(vm, id, &x, GHCB_EXIT_MSR);
	return 0;
}

static int exit_wrmsr(struct soft_vm *vm, unsigned id)
{
	const struct raw x = { .reason = KVM_EXIT_X86_WRMSR };
	struct kvm_run *run = vm->base.vcpu[id].run;

	run->msr.error = run->msr.index == GHCB_MSR_SEV_STATUS; /* #GP: it can only be read */
	if (run->msr.index == GHCB_MSR)
		vm->vcpu[id].ghcb = run->msr.data;
	else if (!run->msr.error)
		return raise_vc(vm, id, &x, GHCB_EXIT_MSR);
	return 0;
}

static int exit_hypercall(struct soft_vm *vm, unsigned id)
{
	const struct raw x = { .reason = KVM_EXIT_HYPERCALL };

	vm->base.vcpu[id].run->hypercall.ret = 0;
	return raise_vc(vm, id, &x, GHCB_EXIT_VMMCALL);
}

static int exit_mmio(struct soft_vm *vm, unsigned id)
{
	return soft_vcpu_die(&vm->vcpu[id],
			     "access to %#llx, where no memory is, without a GHCB: the software "
			     "platform raises no #VC for it",
			     (unsigned long long)vm->base.vcpu[id].run->mmio.phys_addr &
				     ~(1ull << vm->base.cbit));
}

static int exit_other(struct soft_vm *vm, unsigned id)
{
	struct kvm_run *run = vm->base.vcpu[id].run;
	uint32_t suberror = run->internal.suberror;

	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		scrub(run); /* registers, instruction bytes */
		run->internal.suberror = suberror;
	}
	return 1;
}

static int exit_taken(struct soft_vm *vm, unsigned id)
{
	switch (vm->base.vcpu[id].run->exit_reason) {
	case KVM_EXIT_IO:
		return exit_io(vm, id);
	case KVM_EXIT_X86_RDMSR:
		return exit_rdmsr(vm, id);
	case KVM_EXIT_X86_WRMSR:
		return exit_wrmsr(vm, id);
	case KVM_EXIT_HYPERCALL:
		return exit_hypercall(vm, id);
	case KVM_EXIT_MMIO:
		return exit_mmio(vm, id);
	default:
		return exit_other(vm, id);
	}
}

int soft_cpu_run(struct soft_vm *vm, unsigned id)
{
	const struct sev_vcpu *cpu = &vm->base.vcpu[id];
	struct soft_vcpu *v = &vm->vcpu[id];
	int r = soft_vmgexit_finish(vm, id);

	cpu->run->kvm_valid_regs = cpu->run->kvm_dirty_regs = 0; /* no registers by this way */
	while (r == 0) {
		if (v->phase != SOFT_VCPU_RUNS)
			r = soft_ap_wait(vm, id);
		if (r == 0)
			r = soft_cpu_ioctl(cpu->fd, KVM_RUN, NULL);
		if (r == 0)
			r = exit_taken(vm, id);
	}
	return r > 0 ? 0 : r;
}
