/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A hypercall where the hypercall instruction cannot leave the kernel.
 *
 * Some hosts' KVM interprets kernel-mode guest code and never reports `vmmcall` to the monitor; it
 * then raises #UD in the guest. Our own guest code therefore executes `vmmcall` first, and its #UD
 * handler, on finding that instruction at the faulting address, does the same call by
 *
 *	in	$DOORBELL_PORT, %eax
 *
 * Registers are those of KVM's own hypercall ABI and stay so until the instruction completes:
 *
 *	RAX	number of the call. It is also IN's destination, which is written only when the
 *		monitor re-enters the guest, so that the monitor still reads the number from it.
 *	RBX, RCX, RDX
 *		first, second and third argument
 *	EAX	afterwards: the result's low 32 bits; the guest sign-extends it to RAX (cltq)
 *
 * The port fits the instruction's immediate form because DX holds an argument. Only a 4-byte read
 * rings; the monitor ignores writes and answers other sizes with all ones. Code at CPL3 that may
 * not use the port gets #GP as for any other port.
 */

#define DOORBELL_PORT 0xe4

/* KVM_HC_MAP_GPA_RANGE (Linux, Documentation/virt/kvm/x86/hypercalls.rst): RBX first guest physical
 * address, RCX number of 4 KiB pages, RDX attributes. */
#define DOORBELL_HC_MAP_GPA_RANGE 12
#define DOORBELL_MAP_ENCRYPTED 0x10u /* else: now shared (decrypted) */
