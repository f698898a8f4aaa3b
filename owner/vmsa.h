/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The registers of an SEV-ES guest's vCPU as they are at launch: the page that LAUNCH_UPDATE_VMSA
 * encrypts and measures. QEMU gives every vCPU the x86 reset state; the first starts at the reset
 * vector, the others where the firmware's GUID table says. KVM fills the FPU's control words in
 * only for VMs of the newer types (KVM_SEV_INIT2), not for those of KVM_SEV_ES_INIT, which is what
 * QEMU uses unless told otherwise.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define OWNER_VMSA_LEN 4096u

struct owner_vmsa {
	uint32_t signature; /* CPUID 1 EAX of the CPU model, which reset leaves in RDX */
	uint32_t reset;     /* secondary vCPUs: the firmware's address; 0: the first vCPU */
	bool init2;         /* made by KVM_SEV_INIT2 */
};

void owner_vmsa_make(const struct owner_vmsa *v, uint8_t out[OWNER_VMSA_LEN]);

/* CPUID 1 EAX of QEMU's CPU model "EPYC", "EPYC-Milan-v2", ...; -EINVAL for an unknown one. */
int must_check owner_cpu_signature(const char *model, uint32_t *out, struct err *e);
