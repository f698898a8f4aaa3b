/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vCPUs, whose registers are not the monitor's once the guest is SEV-ES: all that is asked of a
 * vCPU's descriptor is asked here. On hardware that is ioctl(2), and KVM answers for protected
 * state. The software platform plays the CPU's and KVM's part: after LAUNCH_UPDATE_VMSA, or once
 * RECEIVE_UPDATE_VMSA filled a vCPU,
 *
 *	KVM_GET_REGS, _FPU, _XSAVE, _DEBUGREGS	read zeros, KVM_GET_XCRS what there is at reset
 *	KVM_GET_SREGS			has CR0, CR4, CR8, EFER and the APIC's base, else zeros
 *	KVM_SET_SREGS			takes CR8 and the APIC's base
 *	KVM_GET_MSRS			reads zeros of what the VMSA holds
 *	setting what is hidden		does nothing, and succeeds
 *	KVM_SET_GUEST_DEBUG, KVM_TRANSLATE	are EINVAL
 *	KVM_GET_MP_STATE		knows KVM_MP_STATE_AP_RESET_HOLD
 *
 * as KVM does for a VM of type 0 (EINVAL instead of zeros for newer types), and what would leave a
 * guest by an intercept raises #VC in it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "base/err.h"
#include "sev/sev.h"

/* What KVM keeps of a protected vCPU beside what its own calls give: it must be carried to where
 * the vCPU goes on. */
struct sev_vcpu_kept {
	uint64_t ghcb;       /* MSR 0xc0010130 */
	uint64_t jump_table; /* where the guest keeps its secondary CPUs' entry; of the VM */
};

struct sev_vcpu_ops {
	int (*add)(struct sev_vm *vm, unsigned id, int fd, struct kvm_run *run, struct err *e);
	int (*run)(struct sev_vm *vm, unsigned id);
	int (*ioctl)(struct sev_vm *vm, unsigned id, unsigned long request, void *arg);
	int (*kept)(struct sev_vm *vm, unsigned id, struct sev_vcpu_kept *kept, bool set);
	const char *(*why)(struct sev_vm *vm, unsigned id);
};

/* What passes everything on to the descriptor. */
extern const struct sev_vcpu_ops sev_vcpu_direct;

/* Both are borrowed until sev_vm_free(). In the order of LAUNCH_UPDATE_VMSA: ids from 0 on. */
int must_check sev_vcpu_add(struct sev_vm *vm, unsigned id, int fd, struct kvm_run *run,
			    struct err *e);
/*
 * KVM_RUN: 0 or -errno as of ioctl(2), and *run then shows what KVM would show of such a guest.
 * -EINTR also when there is nothing to see: the caller looks whether the vCPU is wanted elsewhere
 * and calls again. -EPROTO: the guest cannot go on, sev_vcpu_why() says why.
 */
int sev_vcpu_run(struct sev_vm *vm, unsigned id);
/* Any other request: what ioctl(2) returns, or -errno. */
int sev_vcpu_ioctl(struct sev_vm *vm, unsigned id, unsigned long request, void *arg);
/* SEV-ES, vCPU stopped: read, or set before it runs. -ENOTSUP: the kernel does not say. */
int sev_vcpu_kept(struct sev_vm *vm, unsigned id, struct sev_vcpu_kept *kept, bool set);
const char *sev_vcpu_why(struct sev_vm *vm, unsigned id);
/* Does the VMSA hold this MSR, so that it travels there and nowhere else? */
bool sev_vcpu_msr_hidden(uint32_t index);
