/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a guest was shown of its CPU: the CPUID table of vCPU 0 and the TSC's frequency. It travels
 * in mig_vm_desc.machine; the target shows the same table, if it can.
 */

#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "base/buf.h"
#include "base/err.h"

#define MACHINE_CPUID_MAX 160u

struct vmm_machine {
	uint32_t tsc_khz; /* 0: unknown */
	uint32_t n;
	struct kvm_cpuid_entry2 cpuid[MACHINE_CPUID_MAX];
};

int must_check vmm_machine_put(const struct vmm_machine *m, struct buf *out, struct err *e);
int must_check vmm_machine_get(const uint8_t *p, size_t len, struct vmm_machine *out,
			       struct err *e);
/* Can a host that would show `here` run a guest that was shown `from`? The error names the first
 * difference. */
int must_check vmm_machine_fits(const struct vmm_machine *from, const struct vmm_machine *here,
				struct err *e);
/* NULL: no such leaf. */
struct kvm_cpuid_entry2 *vmm_machine_leaf(struct vmm_machine *m, uint32_t function, uint32_t index);
