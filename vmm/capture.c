/* SPDX-License-Identifier: Apache-2.0 */

/* From KVM into records. All vCPUs are parked, their last exits completed. */

#include "vmm/clock.h"
#include "vmm/impl.h"
#include "sev/vcpu.h"
#include "vmm/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static int msr_order(const void *a, const void *b)
{
	const struct kvm_msr_entry *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

static int capture_msrs(struct vmm_vcpu *v, struct vmm_vcpu_state *s, struct err *e)
{
	const struct vm *vm = v->vm;

	for (size_t i = 0; i < vm->nmsr; i++) {
		uint64_t value = 0;

		if (vmm_msr_get(v, vm->msr[i], &value))
			return err_set(e, -EIO, "vCPU %u: MSR %#x cannot be read any more", v->id,
				       vm->msr[i]);
		s->msr[i] = (struct kvm_msr_entry){ .index = vm->msr[i], .data = value };
	}
	s->msr_len = (uint32_t)(vm->nmsr * sizeof(s->msr[0]));
	qsort(s->msr, vm->nmsr, sizeof(s->msr[0]), msr_order);
	return 0;
}

static int capture_xsave(struct vmm_vcpu *v, struct vmm_vcpu_state *s, struct err *e)
{
	int r;

	s->xsave_len = vmm_xsave_len(v->vm);
	if (s->xsave_len > sizeof(s->xsave))
		return err_set(e, -E2BIG, "vCPU %u: extended state of %u bytes", v->id,
			       s->xsave_len);
	if (s->xsave_len > sizeof(struct kvm_xsave))
		r = vmm_vcpu_ioctl(v, KVM_GET_XSAVE2, s->xsave);
	else
		r = vmm_vcpu_ioctl(v, KVM_GET_XSAVE, s->xsave);
	return r < 0 ? err_set(e, -errno, "vCPU %u: KVM_GET_XSAVE: %m", v->id) : 0;
}

static void capture_extra(struct vmm_vcpu *v, struct vmm_vcpu_state *s)
{
	uint64_t offset = 0;
	int khz = vmm_vcpu_ioctl(v, KVM_GET_TSC_KHZ, NULL);

	s->extra[STATE_EXTRA_TSC_KHZ] = khz > 0 ? (uint64_t)khz : 0;
	s->extra[STATE_EXTRA_HAS_OFFSET] = !vmm_tsc_offset(v, &offset, false);
	s->extra[STATE_EXTRA_TSC_OFFSET] = offset;
}

/* What KVM keeps of a vCPU whose registers are its guest's. */
static int capture_kept(struct vmm_vcpu *v, struct vmm_vcpu_state *s, struct err *e)
{
	struct sev_vcpu_kept kept = { .ghcb = v->ghcb };
	int r = vmm_es(v->vm) ? sev_vcpu_kept(v->vm->mig.sev, v->id, &kept, false) : 0;

	s->extra[STATE_EXTRA_GHCB] = kept.ghcb;
	return r < 0 ? err_set(e, r, "vCPU %u: this kernel does not say where its GHCB is", v->id)
		     : 0;
}

struct capture_call {
	unsigned long request;
	const char *name;
	void *to;
};

static int capture_calls(struct vmm_vcpu *v, const struct capture_call *c, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (vmm_vcpu_ioctl(v, c[i].request, c[i].to) < 0)
			return err_set(e, -errno, "vCPU %u: %s: %m", v->id, c[i].name);
	return 0;
}

static int capture_registers(struct vmm_vcpu *v, struct vmm_vcpu_state *s, struct err *e)
{
	const struct capture_call calls[] = {
		{ KVM_GET_REGS, "KVM_GET_REGS", &s->regs },
		{ KVM_GET_XCRS, "KVM_GET_XCRS", &s->xcrs },
		{ KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS", &s->debugregs },
	};
	int r = capture_calls(v, calls, sizeof(calls) / sizeof(calls[0]), e);

	return r ? r : capture_xsave(v, s, e);
}

static int capture_vcpu(struct vmm_vcpu *v, struct vmm_vcpu_state *s, struct err *e)
{
	/* The first two may deliver a start-up interrupt that waits, so they come first. */
	const struct capture_call calls[] = {
		{ KVM_GET_MP_STATE, "KVM_GET_MP_STATE", &s->mp_state },
		{ KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &s->events },
		{ KVM_GET_SREGS, "KVM_GET_SREGS", &s->sregs },
		{ KVM_GET_LAPIC, "KVM_GET_LAPIC", &s->lapic },
	};
	int r = capture_calls(v, calls, sizeof(calls) / sizeof(calls[0]), e);

	if (!r && !vmm_es(v->vm))
		r = capture_registers(v, s, e);
	if (!r)
		r = capture_msrs(v, s, e);
	if (!r)
		r = capture_kept(v, s, e);
	capture_extra(v, s);
	return r;
}

static int capture_machine(struct vm *vm, struct vmm_state *s, struct err *e)
{
	struct sev_vcpu_kept kept = { 0 };

	for (uint32_t i = 0; i < 3; i++) {
		s->irqchip[i].chip_id = i;
		if (ioctl(vm->fd, KVM_GET_IRQCHIP, &s->irqchip[i]) < 0)
			return err_set(e, -errno, "KVM_GET_IRQCHIP %u: %m", i);
	}
	if (ioctl(vm->fd, KVM_GET_PIT2, &s->pit) < 0)
		return err_set(e, -errno, "KVM_GET_PIT2: %m");
	s->machine[STATE_MACHINE_MIGRATION] = atomic_load(&vm->migration);
	s->machine[STATE_MACHINE_WRITTEN] = atomic_load(&vm->migration_written);
	s->machine[STATE_MACHINE_RAN] = vmm_wanted(vm);
	s->es[STATE_ES] = vmm_es(vm);
	if (vmm_es(vm) && sev_vcpu_kept(vm->mig.sev, 0, &kept, false) == 0)
		s->es[STATE_ES_JUMP_TABLE] = kept.jump_table;
	return vmm_clock_capture(vm, s, e);
}

/* What only one host may hold is let go of here, at the last moment: the target takes it when it
 * runs the guest, and this side again if it does not come to that. */
static int capture_devices(struct vm *vm, struct vmm_state *s, struct buf *serial,
			   struct buf *ports, struct buf *devices, struct err *e)
{
	int r = vmm_serial_state_save(vm->serial, serial, e);

	if (!r)
		r = vmm_ports_state_save(vm->ports, ports, e);
	if (!r)
		r = dev_bus_state_save(vm->bus, devices, e);
	if (!r)
		r = dev_bus_release(vm->bus, e);
	if (r)
		return r;
	s->serial = (struct vmm_state_bytes){ serial->p, (uint32_t)serial->len };
	s->ports = (struct vmm_state_bytes){ ports->p, (uint32_t)ports->len };
	s->devices = (struct vmm_state_bytes){ devices->p, (uint32_t)devices->len };
	return 0;
}

int vmm_state_capture(struct vm *vm, struct buf *out, struct err *e)
{
	auto_buf struct buf serial = { 0 }, ports = { 0 }, devices = { 0 };
	struct vmm_state s;
	int r = vmm_stopped_check(vm, e);

	if (!r)
		r = vmm_state_init(&s, vm->nvcpu, e);
	if (r)
		return r;
	for (unsigned i = 0; !r && i < vm->nvcpu; i++)
		r = capture_vcpu(&vm->vcpu[i], &s.vcpu[i], e);
	if (!r)
		r = capture_machine(vm, &s, e);
	if (!r)
		r = capture_devices(vm, &s, &serial, &ports, &devices, e);
	if (!r)
		r = vmm_state_put(&s, out, e);
	vmm_state_fini(&s);
	return r;
}
