/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Secondary CPUs. On hardware the first start-up interrupt lets one run from its measured VMSA,
 * whatever the interrupt's vector says; a later one only wakes it from AP reset hold. Here the real
 * vCPU waits in KVM for INIT and start-up interrupt like any other, and is given its registers
 * back when the latter has come, before it has run an instruction.
 *
 * KVM would run a vCPU that has got INIT right away when the start-up interrupt comes. So it is
 * only let in to wait for INIT; the other, which software sends milliseconds later, is looked for.
 */

#include <string.h>
#include <unistd.h>

#include "sev/soft_cpu.h"
#include "sev/soft_vm.h"
#include "sev/vcpu.h"

#define LOOK_US 500

int soft_vcpu_seal(struct soft_vm *vm, unsigned id)
{
	struct sev_vmsa_regs regs;
	int r = soft_regs_read(vm->base.vcpu[id].fd, &regs);

	if (r == 0)
		sev_vmsa_build(&regs, vm->vmsa[id].page);
	return r;
}

int soft_vcpu_unseal(struct soft_vm *vm, unsigned id)
{
	struct sev_vmsa_regs regs;

	sev_vmsa_take(vm->vmsa[id].page, &regs);
	return soft_regs_write(vm->base.vcpu[id].fd, &regs);
}

int soft_ap_hold(struct soft_vm *vm, unsigned id)
{
	struct kvm_mp_state mp = { KVM_MP_STATE_UNINITIALIZED };
	int r = soft_vcpu_seal(vm, id);

	if (r == 0)
		r = soft_cpu_ioctl(vm->base.vcpu[id].fd, KVM_SET_MP_STATE, &mp);
	if (r == 0)
		vm->vcpu[id].phase = SOFT_VCPU_HELD;
	return r;
}

/* The VMGEXIT that asked for the hold is done, by whichever of the two protocols. */
static int hold_answer(struct soft_vm *vm, unsigned id)
{
	const struct soft_ghcb_answer woken = { .info2 = 1 };
	struct soft_vcpu *v = &vm->vcpu[id];
	struct soft_ghcb_msr m;
	struct gpa at = gpa(v->ghcb);
	uint8_t *page;

	soft_ghcb_msr(v->ghcb, vm->base.cbit, &m);
	if (m.what == SOFT_MSR_HOLD) {
		v->ghcb = m.answer;
		return 0;
	}
	page = m.what == SOFT_MSR_PAGE ? soft_mem_shared_at(vm, at, GHCB_LEN) : NULL;
	if (!page)
		return soft_vcpu_die(v, "started without a GHCB to tell it");
	soft_ghcb_answer(page, &woken);
	soft_vm_wrote(vm, at, GHCB_LEN);
	return 0;
}

static int ap_start(struct soft_vm *vm, unsigned id)
{
	struct soft_vcpu *v = &vm->vcpu[id];
	int r = soft_vcpu_unseal(vm, id);

	if (r == 0 && v->phase == SOFT_VCPU_HELD)
		r = hold_answer(vm, id);
	if (r == 0)
		v->phase = SOFT_VCPU_RUNS;
	return r;
}

int soft_ap_wait(struct soft_vm *vm, unsigned id)
{
	const struct sev_vcpu *cpu = &vm->base.vcpu[id];
	struct kvm_mp_state mp = { 0 };
	int r = soft_cpu_ioctl(cpu->fd, KVM_GET_MP_STATE, &mp);

	if (r < 0)
		return r;
	if (mp.mp_state == KVM_MP_STATE_UNINITIALIZED) {
		r = soft_cpu_ioctl(cpu->fd, KVM_RUN, NULL);
		return r < 0 && r != -EAGAIN ? r : -EINTR;
	}
	if (mp.mp_state != KVM_MP_STATE_INIT_RECEIVED)
		return ap_start(vm, id);
	(void)!usleep(LOOK_US); /* a kick ends it early */
	return -EINTR;
}
