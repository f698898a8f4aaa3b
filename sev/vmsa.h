/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A vCPU's VMSA as KVM builds it for LAUNCH_UPDATE_VMSA: the layout is AMD's (APM volume 2, table
 * B-4; Linux' struct sev_es_save_area), the content what KVM copies from the plain VMCB. And the
 * way back, which the CPU goes. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#define SEV_VMSA_LEN 4096u

struct sev_vmsa_regs {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
	uint64_t xcr0, xss, pat;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, debugctl;
	uint32_t pkru, tsc_aux;
	uint64_t features; /* SEV_FEATURES */
	/* VMs made with KVM_SEV_INIT2 carry FPU state, those of KVM_SEV_ES_INIT zeros. */
	bool fpu;
	struct kvm_xsave
		xsave; /* its FPU part is used when fpu is set; newer headers let it grow */
};

/* A vCPU after reset. */
void sev_vmsa_reset(struct sev_vmsa_regs *out);
void sev_vmsa_build(const struct sev_vmsa_regs *r, uint8_t out[SEV_VMSA_LEN]);
/* What is in a VMSA, FPU state always; what KVM's calls do not take is left out (SVM enabled in
 * EFER). Of sregs, what no VMSA holds is 0: CR8, the APIC's base. */
void sev_vmsa_take(const uint8_t page[SEV_VMSA_LEN], struct sev_vmsa_regs *out);
