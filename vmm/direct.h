/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A boot without firmware, before anything is encrypted. */

#include "pc/acpi.h"
#include "vmm/boot.h"
#include "vmm/impl.h"

/* Kernel, boot structures and ACPI tables into the shared face. */
int must_check vmm_direct_load(const struct vmm_memory *mem, const struct vm_boot *boot,
			       unsigned cpus, unsigned cbit, struct boot_image *img, struct err *e);
/* What of it is encrypted, in the order in which it is: the measurement covers both. Stops at the
 * first that fails. */
typedef int vmm_direct_fn(void *ctx, uint8_t *shared, size_t len, struct err *e);
int must_check vmm_direct_each(const struct vmm_memory *mem, const struct boot_image *img,
			       vmm_direct_fn *fn, void *ctx, struct err *e);
/* The first vCPU's registers; sregs comes as it is after a reset. */
void vmm_direct_registers(const struct boot_image *img, unsigned cbit, struct kvm_regs *regs,
			  struct kvm_sregs *sregs);
