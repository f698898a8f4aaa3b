/* SPDX-License-Identifier: Apache-2.0 */

/*
 * vCPUs as the monitor sees them. Before their state is encrypted everything passes; afterwards
 * KVM's answers for a protected vCPU are given, request by request. What is not in the table is
 * refused, so that a request which newer kernels know gives nothing away.
 */

#include <stdatomic.h>
#include <string.h>

#include "sev/soft_cpu.h"
#include "sev/soft_vm.h"
#include "sev/vcpu.h"

static struct soft_vm *vm_of(struct sev_vm *base)
{
	return (struct soft_vm *)base;
}

/* --- requests -----------------------------------------------------------------------------------
 */

typedef int request_fn(struct soft_vm *vm, unsigned id, unsigned long request, void *arg);

static int pass(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	return soft_cpu_ioctl(vm->base.vcpu[id].fd, request, arg);
}

/* KVM tells newer types of VM that it cannot. */
static int hidden(const struct soft_vm *vm)
{
	return vm->client.vm_type ? -EINVAL : 0;
}

static int get_zeros(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	(void)id;
	if (hidden(vm) == 0)
		memset(arg, 0, _IOC_SIZE(request));
	return hidden(vm);
}

static int set_nothing(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	(void)id, (void)request, (void)arg;
	return hidden(vm);
}

static int get_xcrs(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	const struct kvm_xcrs reset = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = 1 } } };

	(void)id, (void)request;
	if (hidden(vm) == 0)
		memcpy(arg, &reset, sizeof(reset));
	return hidden(vm);
}

static int get_sregs(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	struct kvm_sregs s;
	int r = hidden(vm);

	if (r == 0)
		r = pass(vm, id, request, &s);
	if (r == 0) {
		const struct kvm_sregs kept = { .cr0 = s.cr0,
						.cr4 = s.cr4,
						.cr8 = s.cr8,
						.efer = s.efer,
						.apic_base = s.apic_base };

		memcpy(arg, &kept, sizeof(kept));
	}
	return r;
}

static int set_sregs(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	struct kvm_sregs s, want;
	int r = hidden(vm);

	memcpy(&want, arg, sizeof(want));
	if (r == 0)
		r = pass(vm, id, KVM_GET_SREGS, &s);
	if (r < 0)
		return r;
	s.cr8 = want.cr8;
	s.apic_base = want.apic_base;
	return pass(vm, id, request, &s);
}

/* The GHCB's MSR is here and not in KVM; what a VMSA holds reads as zero. As many as came before
 * the first that cannot be had. */
static int do_msrs(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	struct kvm_msrs *m = arg;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry msr;
	} one = { .head = { .nmsrs = 1 } };

	for (uint32_t i = 0; i < m->nmsrs; i++) {
		one.msr = m->entries[i];
		if (sev_vcpu_msr_hidden(one.msr.index))
			one.msr.data = 0;
		else if (pass(vm, id, request, &one) != 1)
			return (int)i;
		if (request == KVM_GET_MSRS)
			m->entries[i] = one.msr;
	}
	return (int)m->nmsrs;
}

static int get_mp_state(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	const struct kvm_mp_state held = { KVM_MP_STATE_AP_RESET_HOLD };

	if (vm->vcpu[id].phase != SOFT_VCPU_HELD)
		return pass(vm, id, request, arg);
	memcpy(arg, &held, sizeof(held));
	return 0;
}

static int set_mp_state(struct soft_vm *vm, unsigned id, unsigned long request, void *arg)
{
	struct kvm_mp_state mp;
	enum soft_vcpu_phase phase = SOFT_VCPU_RUNS;
	int r;

	memcpy(&mp, arg, sizeof(mp));
	if (mp.mp_state == KVM_MP_STATE_AP_RESET_HOLD) {
		phase = SOFT_VCPU_HELD;
		mp.mp_state = KVM_MP_STATE_UNINITIALIZED;
	} else if (mp.mp_state == KVM_MP_STATE_UNINITIALIZED ||
		   mp.mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		phase = SOFT_VCPU_NEW;
	}
	r = pass(vm, id, request, &mp);
	if (r == 0)
		vm->vcpu[id].phase = phase;
	return r;
}

static const struct {
	unsigned long request;
	request_fn *fn;
} requests[] = {
	{ KVM_GET_REGS, get_zeros },
	{ KVM_SET_REGS, set_nothing },
	{ KVM_GET_FPU, get_zeros },
	{ KVM_SET_FPU, set_nothing },
	{ KVM_GET_XSAVE, get_zeros },
	{ KVM_SET_XSAVE, set_nothing },
	{ KVM_GET_XCRS, get_xcrs },
	{ KVM_SET_XCRS, set_nothing },
	{ KVM_GET_DEBUGREGS, get_zeros },
	{ KVM_SET_DEBUGREGS, set_nothing },
	{ KVM_GET_SREGS, get_sregs },
	{ KVM_SET_SREGS, set_sregs },
	{ KVM_GET_MSRS, do_msrs },
	{ KVM_SET_MSRS, do_msrs },
	{ KVM_GET_MP_STATE, get_mp_state },
	{ KVM_SET_MP_STATE, set_mp_state },
	{ KVM_GET_LAPIC, pass },
	{ KVM_SET_LAPIC, pass },
	{ KVM_GET_VCPU_EVENTS, pass },
	{ KVM_SET_VCPU_EVENTS, pass },
	{ KVM_GET_CPUID2, pass },
	{ KVM_SET_CPUID2, pass },
	{ KVM_GET_TSC_KHZ, pass },
	{ KVM_SET_TSC_KHZ, pass },
	{ KVM_HAS_DEVICE_ATTR, pass },
	{ KVM_GET_DEVICE_ATTR, pass },
	{ KVM_SET_DEVICE_ATTR, pass },
	{ KVM_KVMCLOCK_CTRL, pass },
	{ KVM_NMI, pass },
	{ KVM_INTERRUPT, pass },
	{ KVM_SET_SIGNAL_MASK, pass },
};

/* --- ops
 * ------------------------------------------------------------------------------------------ */

static int soft_vcpu_add(struct sev_vm *base, unsigned id, int fd, struct kvm_run *run,
			 struct err *e)
{
	if (vm_of(base)->nvmsa)
		return err_set(e, -EBUSY, "vCPU %u: the guest's vCPUs were measured", id);
	vm_of(base)->vcpu[id] = (struct soft_vcpu){ .ghcb = soft_ghcb_msr_reset(base->cbit) };
	return sev_vcpu_direct.add(base, id, fd, run, e);
}

static int soft_vcpu_run(struct sev_vm *base, unsigned id)
{
	return vm_of(base)->vcpu[id].encrypted ? soft_cpu_run(vm_of(base), id)
					       : sev_vcpu_direct.run(base, id);
}

static int soft_vcpu_ioctl(struct sev_vm *base, unsigned id, unsigned long request, void *arg)
{
	if (!vm_of(base)->vcpu[id].encrypted)
		return sev_vcpu_direct.ioctl(base, id, request, arg);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].request == request)
			return requests[i].fn(vm_of(base), id, request, arg);
	return -EINVAL;
}

static int soft_vcpu_kept(struct sev_vm *base, unsigned id, struct sev_vcpu_kept *kept, bool set)
{
	struct soft_vm *vm = vm_of(base);

	if (set) {
		vm->vcpu[id].ghcb = kept->ghcb;
		atomic_store(&vm->jump_table, kept->jump_table);
		return 0;
	}
	*kept = (struct sev_vcpu_kept){ vm->vcpu[id].ghcb, atomic_load(&vm->jump_table) };
	return 0;
}

static const char *soft_vcpu_why(struct sev_vm *base, unsigned id)
{
	return vm_of(base)->vcpu[id].why;
}

const struct sev_vcpu_ops soft_vcpu_ops = {
	.add = soft_vcpu_add,
	.run = soft_vcpu_run,
	.ioctl = soft_vcpu_ioctl,
	.kept = soft_vcpu_kept,
	.why = soft_vcpu_why,
};
