/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From records into KVM, in the order in which KVM takes them: what has been set may decide what is
 * taken next, and a deadline timer only arms once the local APIC is in that mode.
 */

#include "vmm/clock.h"
#include "vmm/impl.h"
#include "vmm/state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "sev/vcpu.h"

uint32_t vmm_xsave_len(struct vm *vm)
{
	int n = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	return n > (int)sizeof(struct kvm_xsave) ? (uint32_t)n : sizeof(struct kvm_xsave);
}

static bool msr_known(const struct vm *vm, uint32_t index)
{
	for (size_t i = 0; i < vm->nmsr; i++)
		if (vm->msr[i] == index)
			return true;
	return false;
}

/* Before anything was touched: nothing that this side would not have saved itself. */
static int restore_check_msrs(const struct vm *vm, const struct vmm_state *s, struct err *e)
{
	for (uint32_t i = 0; i < s->nvcpu; i++)
		for (uint32_t m = 0; m < s->vcpu[i].msr_len / sizeof(s->vcpu[i].msr[0]); m++) {
			const struct kvm_msr_entry *x = &s->vcpu[i].msr[m];

			if (x->data && !msr_known(vm, x->index))
				return err_set(e, -ENOTSUP,
					       "vCPU %u: MSR %#x = %#llx cannot be set here", i,
					       x->index, (unsigned long long)x->data);
		}
	return 0;
}

static int restore_msrs(struct vmm_vcpu *v, const struct vmm_vcpu_state *s, struct err *e)
{
	for (uint32_t m = 0; m < s->msr_len / sizeof(s->msr[0]); m++) {
		const struct kvm_msr_entry *x = &s->msr[m];

		if (x->index == MSR_TSC || x->index == MSR_TSC_DEADLINE ||
		    !msr_known(v->vm, x->index))
			continue;
		if (vmm_msr_set(v, x->index, x->data))
			return err_set(e, -EIO, "vCPU %u: MSR %#x = %#llx was refused", v->id,
				       x->index, (unsigned long long)x->data);
	}
	return 0;
}

struct restore_call {
	unsigned long request;
	const char *name;
	const void *from;
};

static int restore_calls(struct vmm_vcpu *v, const struct restore_call *c, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (vmm_vcpu_ioctl(v, c[i].request, (void *)(uintptr_t)c[i].from) < 0)
			return err_set(e, -errno, "vCPU %u: %s: %m", v->id, c[i].name);
	return 0;
}

static int restore_registers(struct vmm_vcpu *v, const struct vmm_vcpu_state *s, struct err *e)
{
	const struct restore_call calls[] = {
		{ KVM_SET_REGS, "KVM_SET_REGS", &s->regs },
		{ KVM_SET_SREGS, "KVM_SET_SREGS", &s->sregs },
		{ KVM_SET_XSAVE, "KVM_SET_XSAVE", s->xsave },
		{ KVM_SET_XCRS, "KVM_SET_XCRS", &s->xcrs },
		{ KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS", &s->debugregs },
	};

	if (s->xsave_len > vmm_xsave_len(v->vm))
		return err_set(e, -ENOTSUP, "vCPU %u: extended state of %u bytes, %u here", v->id,
			       s->xsave_len, vmm_xsave_len(v->vm));
	return restore_calls(v, calls, sizeof(calls) / sizeof(calls[0]), e);
}

/* The rest of an SEV-ES guest's registers came sealed. */
static int restore_kept(struct vmm_vcpu *v, const struct vmm_vcpu_state *s, uint64_t jump_table,
			struct err *e)
{
	const struct restore_call sregs = { KVM_SET_SREGS, "KVM_SET_SREGS", &s->sregs };
	struct sev_vcpu_kept kept = { s->extra[STATE_EXTRA_GHCB], jump_table };
	int r = restore_calls(v, &sregs, 1, e);

	if (r < 0)
		return r;
	r = sev_vcpu_kept(v->vm->mig.sev, v->id, &kept, true);
	return r < 0 ? err_set(e, r, "vCPU %u: this kernel does not take its GHCB's address", v->id)
		     : 0;
}

static int restore_vcpu(struct vmm_vcpu *v, const struct vmm_vcpu_state *s, uint64_t jump_table,
			struct err *e)
{
	const struct restore_call before = { KVM_SET_MP_STATE, "KVM_SET_MP_STATE", &s->mp_state };
	const struct restore_call after[] = {
		{ KVM_SET_LAPIC, "KVM_SET_LAPIC", &s->lapic },
		{ KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", &s->events },
	};
	uint64_t deadline = vmm_clock_saved(s, MSR_TSC_DEADLINE);
	int r = restore_calls(v, &before, 1, e);

	if (!r)
		r = vmm_es(v->vm) ? restore_kept(v, s, jump_table, e) : restore_registers(v, s, e);
	if (!r)
		r = restore_msrs(v, s, e);
	if (!r)
		r = restore_calls(v, after, sizeof(after) / sizeof(after[0]), e);
	if (!r && deadline && vmm_msr_set(v, MSR_TSC_DEADLINE, deadline))
		r = err_set(e, -EIO, "vCPU %u: deadline timer cannot be set", v->id);
	v->ghcb = s->extra[STATE_EXTRA_GHCB];
	return r;
}

static int restore_chips(struct vm *vm, struct vmm_state *s, struct err *e)
{
	for (uint32_t i = 0; i < 3; i++)
		if (ioctl(vm->fd, KVM_SET_IRQCHIP, &s->irqchip[i]) < 0)
			return err_set(e, -errno, "KVM_SET_IRQCHIP %u: %m", i);
	if (ioctl(vm->fd, KVM_SET_PIT2, &s->pit) < 0)
		return err_set(e, -errno, "KVM_SET_PIT2: %m");
	return 0;
}

/* Interrupt controllers before local APICs: what an I/O APIC delivers while it is being set is in
 * the saved local APIC already, and that has the last word. */
static int restore_all(struct vm *vm, struct vmm_state *s, struct err *e)
{
	int r = restore_check_msrs(vm, s, e);

	if (!r && s->es[STATE_ES] != vmm_es(vm))
		r = err_set(e, -EPROTO, "state of a guest that is %s SEV-ES, for one that is%s",
			    vmm_es(vm) ? "not" : "", vmm_es(vm) ? "" : " not");
	if (!r)
		r = vmm_serial_state_load(vm->serial, s->serial.p, s->serial.len, e);
	if (!r)
		r = vmm_ports_state_load(vm->ports, s->ports.p, s->ports.len, e);
	if (!r)
		r = dev_bus_state_load(vm->bus, s->devices.p, s->devices.len, e);
	if (!r)
		r = restore_chips(vm, s, e);
	if (!r)
		r = vmm_clock_restore_tsc(vm, s, e);
	for (unsigned i = 0; !r && i < vm->nvcpu; i++)
		r = restore_vcpu(&vm->vcpu[i], &s->vcpu[i], s->es[STATE_ES_JUMP_TABLE], e);
	if (!r)
		r = vmm_clock_restore(vm, s, e);
	return r;
}

int vmm_state_restore(struct vm *vm, const uint8_t *p, size_t len, struct err *e)
{
	struct vmm_state s;
	int r = vmm_stopped_check(vm, e);

	if (!r && (vm_state(vm) != VM_INCOMING || !vm->nmsr))
		r = err_set(e, -EINVAL, "VM %s has not accepted a guest to load", vm->name);
	if (!r)
		r = vmm_state_init(&s, vm->nvcpu, e);
	if (r)
		return r;
	r = vmm_state_get(p, len, &s, e);
	if (!r)
		r = restore_all(vm, &s, e);
	if (!r) {
		atomic_store(&vm->migration, s.machine[STATE_MACHINE_MIGRATION]);
		atomic_store(&vm->migration_written, s.machine[STATE_MACHINE_WRITTEN]);
		vmm_clock_forgive(vm);
		vmm_loaded(vm, s.machine[STATE_MACHINE_RAN]);
	}
	vmm_state_fini(&s);
	return r;
}
