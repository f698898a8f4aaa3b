/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/doorbell.h"
#include "guest/guest.h"

/* 64-bit entry of the boot protocol: CPL0, paging on, boot_params in RSI. */
	.section .text.entry, "ax"
	.globl	guest_entry
guest_entry:
	cli
	cld
	leaq	guest_stack_top(%rip), %rsp
	movq	%cr4, %rax
	orq	$GUEST_CR4_SSE, %rax
	movq	%rax, %cr4
	xorl	%ebp, %ebp
	movq	%rsi, %rdi
	call	guest_main
1:	hlt
	jmp	1b

/* guest_user_enter(fn, stack, cpu): interrupts on, I/O privilege 0. */
	.text
	.globl	guest_user_enter
guest_user_enter:
	pushq	$GUEST_USER_DS
	pushq	%rsi
	pushq	$0x202
	pushq	$GUEST_USER_CS
	pushq	%rdi
	movq	%rdx, %rdi
	iretq

/* int guest_wrmsr(msr, value), int guest_rdmsr(msr, *value): the trap handler sends a #GP in them on
 * to guest_msr_fault. */
	.globl	guest_wrmsr, guest_wrmsr_insn, guest_msr_fault
guest_wrmsr:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
guest_wrmsr_insn:
	wrmsr
	xorl	%eax, %eax
	ret
guest_msr_fault:
	movl	$13, %eax
	ret
	.globl	guest_rdmsr, guest_rdmsr_insn
guest_rdmsr:
	movl	%edi, %ecx
guest_rdmsr_insn:
	rdmsr
	movl	%eax, (%rsi)
	movl	%edx, 4(%rsi)
	xorl	%eax, %eax
	ret

/* int64_t guest_hypercall(nr, a, b, c): by KVM's convention. Where vmmcall raises #UD the trap
 * handler sends it on to guest_doorbell with the same registers; see abi/doorbell.h. */
	.globl	guest_hypercall, guest_vmmcall, guest_doorbell
guest_hypercall:
	pushq	%rbx
	movq	%rdi, %rax
	movq	%rsi, %rbx
	xchgq	%rdx, %rcx
guest_vmmcall:
	vmmcall
	popq	%rbx
	ret
guest_doorbell:
	inl	$DOORBELL_PORT, %eax
	cltq
	popq	%rbx
	ret

	.section .bss
	.balign	16
	.skip	16384
guest_stack_top:

	.section .note.GNU-stack, "", @progbits
