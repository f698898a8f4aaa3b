/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/guest.h"
#include "guest/smp.h"

#define AT(label) (SMP_TRAMPOLINE + (label) - smp_trampoline)
#define OFFSET(label) ((label) - smp_trampoline)
#define CR0_PE_PG_ET_NE 0x80000031
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

/* Copied to SMP_TRAMPOLINE and entered there in real mode, CS:IP = SMP_TRAMPOLINE >> 4 : 0, or with
 * IP = that of smp_trampoline_jumped. What differs between processors stands in the words at its
 * end. */
	.text
	.balign	16
	.globl	smp_trampoline, smp_trampoline_end
	.globl	smp_trampoline_jumped, smp_trampoline_by_table
	.globl	smp_trampoline_cr3, smp_trampoline_stack, smp_trampoline_cpu
	.code16
smp_trampoline:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	OFFSET(trampoline_gdt_ptr)
	movl	$(CR4_PAE | GUEST_CR4_SSE), %eax
	movl	%eax, %cr4
	movl	$SMP_PML4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	$EFER_LME, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_PE_PG_ET_NE, %eax
	movl	%eax, %cr0
	ljmpl	$SMP_CS64, $AT(trampoline_64)

smp_trampoline_jumped:
	movw	$1, %cs:OFFSET(smp_trampoline_by_table)
	jmp	smp_trampoline

	.code64
trampoline_64:
	xorl	%eax, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movq	smp_trampoline_cr3(%rip), %rax
	movq	%rax, %cr3
	movq	smp_trampoline_stack(%rip), %rsp
	movq	smp_trampoline_cpu(%rip), %rdi
	movq	$smp_enter, %rax
	xorl	%ebp, %ebp
	call	*%rax
1:	hlt
	jmp	1b

	.balign	8
trampoline_gdt:
	.quad	0
	.quad	0
	.quad	0x00af9b000000ffff /* SMP_CS64 */
trampoline_gdt_ptr:
	.word	trampoline_gdt_ptr - trampoline_gdt - 1
	.long	AT(trampoline_gdt)
	.balign	8
smp_trampoline_cr3:
	.quad	0
smp_trampoline_stack:
	.quad	0
smp_trampoline_cpu:
	.quad	0
smp_trampoline_by_table:
	.quad	0
smp_trampoline_end:

	.section .note.GNU-stack, "", @progbits
