/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/firmware/firmware.h"

/*
 * From reset to C: real mode, 32-bit mode, long mode with the C-bit in every table entry. Until
 * long mode the hardware takes every access as private, and so it is on the software platform,
 * where image and first MiB have one backing only.
 */

	.section .reset16, "ax"
	.code16
	.globl	fw_reset16
fw_reset16:
	cli
	cld
	movl	$(FW_RESET16_AT + gdt_pointer - fw_reset16), %ebx
	lgdtl	%cs:(%bx)
	movl	%cr0, %eax
	andl	$0x9fffffff, %eax /* caches on */
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$FW_CS32, $start32

/* Where a secondary vCPU of an SEV-ES guest begins; see FW_AP in firmware.h. */
	.globl	fw_ap_reset
fw_ap_reset:
	cli
	movw	$(FW_AP_AT >> 4), %ax
	movw	%ax, %ds
ap_look:
	cmpl	$0, FW_AP_ENTRY
	jne	ap_go
	/* Nobody has said where to: wait for another start-up interrupt. */
	movl	$GHCB_MSR, %ecx
	movl	$GHCB_MSR_RESET_HOLD_REQ, %eax
	xorl	%edx, %edx
	wrmsr
	cmpl	$0, FW_AP_SOFT
	jne	ap_soft
	rep; vmmcall
	jmp	ap_look
ap_soft:
	inl	$DOORBELL_VMGEXIT_PORT, %eax
	jmp	ap_look
ap_go:
	ljmpw	*FW_AP_ENTRY

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff /* FW_CS32 */
	.quad	0x00af9b000000ffff /* FW_CS */
	.quad	0x00cf93000000ffff /* FW_DS */
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt

	.text
	.code32
start32:
	movw	$FW_DS, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$fw_stack_top, %esp
	movl	$FW_MSR_SEV_STATUS, %ecx
	rdmsr
	movl	%eax, fw_sev_status
	testl	$FW_SEV_ENABLED, %eax
	jz	dead32
	/* SEV-ES hardware raises #VC for CPUID: nothing else before the IDT of fw_traps_init(). */
	movl	$vc32, %eax
	movw	%ax, idt32 + 8 * FW_VC
	shrl	$16, %eax
	movw	%ax, idt32 + 8 * FW_VC + 6
	lidt	idt32_pointer
	movl	$FW_CPUID_SEV, %eax
	xorl	%ecx, %ecx
	cpuid
	/* The C-bit: never below 32, so it is in the high half of an entry. */
	movl	%ebx, %ecx
	andl	$0x3f, %ecx
	subl	$32, %ecx
	jb	dead32
	movl	$1, %ebp
	shll	%cl, %ebp
	movl	%ebp, fw_cbit + 4

	/* 8 GiB: RAM as private, and once more, from 4 GiB on, as shared. */
	movl	$fw_pml4, %edi
	movl	$fw_pdpt + FW_PTE_TABLE, (%edi)
	movl	%ebp, 4(%edi)
	movl	$fw_pdpt, %edi
	movl	$fw_pd + FW_PTE_TABLE, %eax
	movl	$8, %ecx
1:	movl	%eax, (%edi)
	movl	%ebp, 4(%edi)
	addl	$4096, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	1b
	movl	$fw_pd, %edi
	movl	$FW_PTE_2M, %eax
	movl	$4096, %ecx
	movl	%ebp, %edx
2:	movl	%eax, (%edi)
	movl	%edx, 4(%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	jnc	3f
	xorl	%edx, %edx /* the first 4 GiB are done */
3:	decl	%ecx
	jnz	2b

	movl	$FW_CR4, %eax
	movl	%eax, %cr4
	movl	$fw_pml4, %eax
	movl	%eax, %cr3
	movl	$FW_MSR_EFER, %ecx
	rdmsr
	orl	$FW_EFER_LME, %eax
	wrmsr
	movl	$FW_CR0, %eax
	movl	%eax, %cr0
	ljmpl	$FW_CS, $start64

dead32:
	hlt
	jmp	dead32

/* CPUID's EBX by the GHCB MSR's protocol. */
vc32:
	cmpl	$GHCB_EXIT_CPUID, (%esp)
	jne	dead32
	addl	$4, %esp
	movl	%eax, %edx
	movl	$(1 << 30 | GHCB_MSR_CPUID_REQ), %eax
	movl	$GHCB_MSR, %ecx
	wrmsr
	rep; vmmcall
	rdmsr
	andl	$0xfff, %eax
	cmpl	$GHCB_MSR_CPUID_RESP, %eax
	jne	dead32
	movl	%edx, %ebx
	addl	$2, (%esp)
	iretl

	.code64
start64:
	movw	$FW_DS, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	/* CR3 took 32 bits only, and the C-bit is none of them. */
	leaq	fw_pml4(%rip), %rax
	orq	fw_cbit(%rip), %rax
	movq	%rax, %cr3
	leaq	fw_stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	call	fw_main
4:	hlt
	jmp	4b

/* fw_enter(entry, boot_params): the kernel's 64-bit entry; tables and GDT stay. */
	.globl	fw_enter
fw_enter:
	xorl	%ebp, %ebp
	movq	%rdi, %rax
	jmp	*%rax

/* int64_t fw_vmmcall(nr, a, b, c), by KVM's convention. Where the instruction raises #UD the trap
 * handler goes on at fw_vmmcall_doorbell with the same registers; see abi/doorbell.h. */
	.globl	fw_vmmcall, fw_vmmcall_insn, fw_vmmcall_doorbell
fw_vmmcall:
	pushq	%rbx
	movq	%rdi, %rax
	movq	%rsi, %rbx
	xchgq	%rdx, %rcx
fw_vmmcall_insn:
	vmmcall
	popq	%rbx
	ret
fw_vmmcall_doorbell:
	inl	$DOORBELL_PORT, %eax
	cltq
	popq	%rbx
	ret

/* Traps: vector and error code, then the registers of struct fw_frame. */
	.macro	trap n, has_code
	.balign	16
	.if	\has_code == 0
	pushq	$0
	.endif
	pushq	$\n
	jmp	trap_common
	.endm

	.globl	fw_trap_stubs
	.balign	16
fw_trap_stubs:
	.set	vector, 0
	.rept	32
	.if	vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
	trap	vector, 1
	.else
	trap	vector, 0
	.endif
	.set	vector, vector + 1
	.endr

trap_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	movq	%rsp, %rdi
	cld
	call	fw_trap
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	.data
	.balign	8
idt32:
	.skip	8 * FW_VC
	.word	0, FW_CS32, 0x8e00, 0
idt32_pointer:
	.word	8 * (FW_VC + 1) - 1
	.long	idt32

	.bss
	.balign	4096
fw_pml4:
	.skip	4096
fw_pdpt:
	.skip	4096
fw_pd:
	.skip	8 * 4096
	.skip	8192
fw_stack_top:
	.globl	fw_cbit, fw_sev_status
fw_cbit:
	.quad	0
fw_sev_status:
	.quad	0

/* --- the GUID table, read from its end; owner/guidtable.h --------------------------------------- */

	.section .table, "a"
	.macro	guid a, b, c, d, e, f, g, h, i, j, k
	.long	\a
	.word	\b, \c
	.byte	\d, \e, \f, \g, \h, \i, \j, \k
	.endm
metadata:
	.ascii	"ASEV"
	.long	28, 1, 1
	.long	FIRMWARE_HASHES_AT, FIRMWARE_HASHES_LEN, 0x10
table:
	.long	table_end - metadata + 0x20 /* to the end of the file */
	.word	22
	guid	0xdc886566, 0x984a, 0x4798, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc
	.globl	fw_migration
fw_migration: /* FIRMWARE_MIGRATES: announced to the system, and said to the monitor here */
	.long	1
	.word	22
	guid	0xf67f5fe7, 0xbc7a, 0x4271, 0x8b, 0x3c, 0xd0, 0x2b, 0x1a, 0xda, 0xfd, 0x9d
	.long	FIRMWARE_HASHES_AT, FIRMWARE_HASHES_LEN
	.word	26
	guid	0x7255371f, 0x3a3b, 0x4b04, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54
	.long	FIRMWARE_SECRET_AT, FIRMWARE_SECRET_LEN
	.word	26
	guid	0x4c2eb361, 0x7d9b, 0x4cc3, 0x80, 0x81, 0x12, 0x7c, 0x90, 0xd3, 0xd2, 0x94
	.long	fw_ap_reset
	.word	22
	guid	0x00f771de, 0x1a7e, 0x4fcb, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e
	.word	. - table + 18
	guid	0x96b582de, 0x1fb2, 0x45f7, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d
table_end:

	.section .vector, "ax"
	.code16
	.balign	16
	.skip	16
	jmp	fw_reset16
	.balign	16

	.section .note.GNU-stack, "", @progbits
