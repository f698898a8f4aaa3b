/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/handler/image.h"

/* The image's first bytes; abi/handler.h, HANDLER_I_*. CPL0, the number of the vCPU in RDI. */
	.section .text.entry, "ax"
	.globl	handler_entry
handler_entry:
	jmp	start
	.balign	8
	.quad	0x646e6168676d7673
	.quad	1
	.quad	handler_text_end
	.quad	handler_rodata_end
start:
	cli
	cld
	movl	%edi, %edi
	cmpl	$IMAGE_VCPUS, %edi
	jae	1f
	movq	%rdi, %rax
	incq	%rax
	imulq	$IMAGE_STACK_LEN, %rax
	leaq	image_kernel_stacks(%rax), %rsp
	xorl	%ebp, %ebp
	call	image_start
1:	hlt
	jmp	1b

/* image_user_enter(vcpu, stack): the port is allowed by both, the privilege level and the map, for
 * hosts that forget one of them. */
	.text
	.globl	image_user_enter
image_user_enter:
	pushq	$IMAGE_USER_DS
	pushq	%rsi
	pushq	$0x3002
	pushq	$IMAGE_USER_CS
	leaq	image_serve(%rip), %rax
	pushq	%rax
	iretq

/* One stub an exception, 16 bytes apart: vector and address to image_fault(). */
	.balign	16
	.globl	image_stubs
image_stubs:
	.set	vector, 0
	.rept	32
	.balign	16
	.if	vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
	addq	$8, %rsp
	.endif
	movl	$vector, %edi
	jmp	fault
	.set	vector, vector + 1
	.endr
fault:
	movq	(%rsp), %rsi
	movq	%cr2, %rdx
	andq	$-16, %rsp
	call	image_fault
1:	hlt
	jmp	1b

	.section .note.GNU-stack, "", @progbits
