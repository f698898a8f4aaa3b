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

/*
 * VMGEXIT where there is no SEV-ES hardware. There `rep; vmmcall` leaves the guest with its
 * registers encrypted; here it would be a hypercall, or #UD. On sevmig's software platform, and
 * only there, SEV-ES code executes instead
 *
 *	in	$DOORBELL_VMGEXIT_PORT, %eax
 *
 * Everything but EAX, which is 0 afterwards, is as around VMGEXIT: the GHCB MSR says what is meant,
 * and holds the answer or the address of the page that does. Only a 4-byte read at CPL0 rings; any
 * other access to the port raises #VC like that to any port.
 *
 * A guest is on that platform when CPUID leaf DOORBELL_CPUID has DOORBELL_SOFT_* in EBX, ECX, EDX:
 * "sevmig-soft\0". CPUID never raises #VC there, so it may be asked before there is an IDT.
 */
#define DOORBELL_VMGEXIT_PORT 0xe5
#define DOORBELL_CPUID 0x40000100u
#define DOORBELL_SOFT_EBX 0x6d766573u /* "sevm" */
#define DOORBELL_SOFT_ECX 0x732d6769u /* "ig-s" */
#define DOORBELL_SOFT_EDX 0x0074666fu /* "oft" */
