/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What this machine's KVM really does, found out by running a few instructions in a VM of 16 pages
 * under a time limit, never by asking for a version or a vendor. Linux-capable or not:
 * vm_probe_kvm() of vmm/vm.h.
 */

enum vmm_hypercall_way {
	VMM_HYPERCALL_EXITS, /* vmmcall reaches the monitor */
	VMM_HYPERCALL_NEVER, /* it does not: the guest has to ring the doorbell */
};

/* The answer of the first call is kept. */
enum vmm_hypercall_way vmm_probe_hypercall(void);
