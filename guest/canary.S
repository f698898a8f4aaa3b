/* SPDX-License-Identifier: Apache-2.0 */

/* canary_hold(const uint64_t v[TESTGUEST_REGCANARIES], until): v in registers, ten general and six
 * vector ones, and nothing done until the time stamp counter has come to until. */
	.text
	.globl	canary_hold
canary_hold:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	0(%rdi), %rbx
	movq	8(%rdi), %rbp
	movq	16(%rdi), %r8
	movq	24(%rdi), %r9
	movq	32(%rdi), %r10
	movq	40(%rdi), %r11
	movq	48(%rdi), %r12
	movq	56(%rdi), %r13
	movq	64(%rdi), %r14
	movq	72(%rdi), %r15
	movq	80(%rdi), %xmm0
	movq	88(%rdi), %xmm1
	movq	96(%rdi), %xmm2
	movq	104(%rdi), %xmm3
	movq	112(%rdi), %xmm4
	movq	120(%rdi), %xmm5
1:	pause
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	cmpq	%rsi, %rax
	jb	1b
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
