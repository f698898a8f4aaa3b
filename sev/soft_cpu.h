/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the CPU, and KVM's part for SEV-ES, do on a host without it. The real vCPU is a plain one:
 * what would be intercepted leaves it first and comes to soft_cpu.c, which raises #VC in the guest
 * (soft_vc.c) or, where the guest rings for VMGEXIT, reads its GHCB (soft_ghcb.c) and shows the
 * monitor the exit that KVM would show. soft_vcpu.c hides registers from the monitor, soft_ap.c
 * starts secondary CPUs, soft_vmsa.c takes registers to VMSAs and back.
 *
 * A vCPU belongs to its thread while it runs and to anybody while it is stopped.
 */

#include "base/err.h"
#include "sev/soft_ghcb.h"
#include "sev/vmsa.h"

struct soft_vm;
struct sev_vcpu_ops;

enum soft_vcpu_phase {
	SOFT_VCPU_RUNS,
	SOFT_VCPU_NEW,  /* secondary CPU before its first start: what it starts with is in its VMSA
			 */
	SOFT_VCPU_HELD, /* in AP reset hold: its registers are in its VMSA */
};

struct soft_vcpu {
	bool encrypted; /* its registers are the guest's */
	enum soft_vcpu_phase phase;
	uint64_t ghcb; /* MSR */
	/* The guest's call that the monitor was shown, to be answered before the next entry. */
	bool shown;
	struct soft_ghcb_call call;
	char why[128];
};

/* --- soft_vmsa.c: ioctl(2) with -errno; registers of a stopped vCPU --------------------------- */

int soft_cpu_ioctl(int fd, unsigned long request, void *arg);
int soft_cpu_msr_get(int fd, uint32_t index, uint64_t *value);
int soft_regs_read(int fd, struct sev_vmsa_regs *out);
int soft_regs_write(int fd, const struct sev_vmsa_regs *in);

/* --- soft_vc.c ---------------------------------------------------------------------------------
 */

struct soft_vc {
	struct soft_vm *vm;
	struct kvm_regs *regs;
	struct kvm_sregs *sregs;
	char *why;
	size_t why_len;
};
/* Instruction bytes at rip, as far as they are there; how many. 64-bit code only. */
size_t soft_vc_fetch(const struct soft_vc *c, uint64_t rip, uint8_t *out, size_t len);
/* #VC with this error code: registers are then those at the handler's first instruction. -EPROTO
 * and why when the guest has nowhere to take it. */
int soft_vc_raise(const struct soft_vc *c, uint64_t error);

/* --- the others ---------------------------------------------------------------------------------
 */

/* -EPROTO, and what sev_vcpu_why() says. */
int soft_vcpu_die(struct soft_vcpu *v, const char *fmt, ...) printf_like(2, 3);
/* KVM_RUN of an encrypted vCPU. */
int soft_cpu_run(struct soft_vm *vm, unsigned id);
/* soft_vmgexit.c: 1: *run shows an exit for the monitor, 0: go on in the guest. */
int soft_vmgexit(struct soft_vm *vm, unsigned id);
/* What the monitor made of the exit it was shown; before the next entry. */
int soft_vmgexit_finish(struct soft_vm *vm, unsigned id);

/* --- soft_ap.c -----------------------------------------------------------------------------------
 */

/* From now on until the next start-up interrupt nothing runs. */
int soft_ap_hold(struct soft_vm *vm, unsigned id);
/* One look at a vCPU that waits: 0: it runs now; -EINTR: not yet; else -errno. */
int soft_ap_wait(struct soft_vm *vm, unsigned id);
/* Registers of a stopped vCPU into its VMSA, and from there. */
int soft_vcpu_seal(struct soft_vm *vm, unsigned id);
int soft_vcpu_unseal(struct soft_vm *vm, unsigned id);

extern const struct sev_vcpu_ops soft_vcpu_ops;
