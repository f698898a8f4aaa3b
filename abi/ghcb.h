/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How an SEV-ES guest and its hypervisor talk: the GHCB page and the protocol of its MSR, from
 * AMD's "SEV-ES Guest-Hypervisor Communication Block Standardization" (56421), versions 1 and 2.
 *
 * The page is shared memory, so for who reads it it may change at any time and hold anything: read
 * it once into a copy, decode the copy. A field counts only when its bit in the bitmap is set.
 *
 * VMGEXIT is `rep; vmmcall` on hardware; on the software platform it is a doorbell
 * (abi/doorbell.h).
 */

#define GHCB_LEN 4096u
#define GHCB_SHARED_LEN 2032u
#define GHCB_VERSION_MIN 1u
#define GHCB_VERSION_MAX 2u
#define GHCB_USAGE_STANDARD 0u

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct ghcb {
	uint8_t reserved0[0xcb];
	uint8_t cpl;
	uint8_t reserved1[0x74];
	uint64_t xss;
	uint8_t reserved2[0x18];
	uint64_t dr7;
	uint8_t reserved3[0x90];
	uint64_t rax;
	uint8_t reserved4[0x108];
	uint64_t rcx, rdx, rbx;
	uint64_t reserved5;
	uint64_t rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint8_t reserved6[0x10];
	uint64_t sw_exit_code, sw_exit_info_1, sw_exit_info_2, sw_scratch;
	uint8_t reserved7[0x38];
	uint64_t xcr0;
	uint64_t valid[2]; /* a bit for each 8 bytes of what is before it */
	uint64_t x87_state_gpa;
	uint8_t reserved8[0x3f8];
	uint8_t shared[GHCB_SHARED_LEN];
	uint8_t reserved9[0xa];
	uint16_t protocol_version;
	uint32_t usage;
};

#define GHCB_AT(member, at)                                                                        \
	_Static_assert(offsetof(struct ghcb, member) == (at), "GHCB layout: " #member)
GHCB_AT(cpl, 0x0cb);
GHCB_AT(xss, 0x140);
GHCB_AT(dr7, 0x160);
GHCB_AT(rax, 0x1f8);
GHCB_AT(rcx, 0x308);
GHCB_AT(rbx, 0x318);
GHCB_AT(rbp, 0x328);
GHCB_AT(rsi, 0x330);
GHCB_AT(r8, 0x340);
GHCB_AT(sw_exit_code, 0x390);
GHCB_AT(sw_exit_info_1, 0x398);
GHCB_AT(sw_exit_info_2, 0x3a0);
GHCB_AT(sw_scratch, 0x3a8);
GHCB_AT(xcr0, 0x3e8);
GHCB_AT(valid, 0x3f0);
GHCB_AT(x87_state_gpa, 0x400);
GHCB_AT(shared, 0x800);
GHCB_AT(protocol_version, 0xffa);
GHCB_AT(usage, 0xffc);
_Static_assert(sizeof(struct ghcb) == GHCB_LEN, "GHCB layout: one page");

/* Number of a member's bit in the bitmap: bit n is bit n % 64 of valid[n / 64]. */
#define GHCB_BIT(member) (offsetof(struct ghcb, member) / 8)
_Static_assert(GHCB_BIT(rax) == 63 && GHCB_BIT(rcx) == 97 && GHCB_BIT(sw_exit_code) == 114,
	       "GHCB bitmap");

struct ghcb_ap_jump_table { /* where GHCB_EXIT_AP_JUMP_TABLE says, in private memory */
	uint16_t ip, cs;
};

#endif

/* --- sw_exit_code: also the error code of #VC where the processor raises it --------------------
 */

#define GHCB_EXIT_READ_DR7 0x27u
#define GHCB_EXIT_WRITE_DR7 0x37u
#define GHCB_EXIT_RDTSC 0x6eu
#define GHCB_EXIT_RDPMC 0x6fu
#define GHCB_EXIT_CPUID 0x72u
#define GHCB_EXIT_INVD 0x76u
#define GHCB_EXIT_IOIO 0x7bu
#define GHCB_EXIT_MSR 0x7cu
#define GHCB_EXIT_VMMCALL 0x81u
#define GHCB_EXIT_RDTSCP 0x87u
#define GHCB_EXIT_WBINVD 0x89u
#define GHCB_EXIT_MONITOR 0x8au
#define GHCB_EXIT_MWAIT 0x8bu
#define GHCB_EXIT_NPF 0x400u /* #VC only: memory that is not there, that is a device */
#define GHCB_EXIT_MMIO_READ 0x80000001u
#define GHCB_EXIT_MMIO_WRITE 0x80000002u
#define GHCB_EXIT_NMI_COMPLETE 0x80000003u
#define GHCB_EXIT_AP_RESET_HOLD 0x80000004u
#define GHCB_EXIT_AP_JUMP_TABLE 0x80000005u
#define GHCB_EXIT_HV_FEATURES 0x8000fffdu
#define GHCB_EXIT_TERMINATE 0x8000fffeu
#define GHCB_EXIT_UNSUPPORTED 0x8000ffffu

/* GHCB_EXIT_IOIO, sw_exit_info_1; the port is in bits 31:16. */
#define GHCB_IOIO_IN 0x1u
#define GHCB_IOIO_STRING 0x4u
#define GHCB_IOIO_REP 0x8u
#define GHCB_IOIO_SIZE_8 0x10u
#define GHCB_IOIO_SIZE_16 0x20u
#define GHCB_IOIO_SIZE_32 0x40u
#define GHCB_IOIO_ADDR_16 0x80u
#define GHCB_IOIO_ADDR_32 0x100u
#define GHCB_IOIO_ADDR_64 0x200u
#define GHCB_IOIO_SEGMENT_SHIFT 10
#define GHCB_IOIO_PORT_SHIFT 16

/* GHCB_EXIT_MSR, sw_exit_info_1. */
#define GHCB_MSR_READ 0u
#define GHCB_MSR_WRITE 1u

/* GHCB_EXIT_AP_JUMP_TABLE, sw_exit_info_1; the address is in sw_exit_info_2 both ways. */
#define GHCB_JUMP_TABLE_SET 0u
#define GHCB_JUMP_TABLE_GET 1u

/* --- the answer: low 32 bits of sw_exit_info_1 -------------------------------------------------
 */

#define GHCB_DONE 0u
#define GHCB_EXCEPTION 1u /* sw_exit_info_2 is EVENTINJ: raise that */
#define GHCB_ERROR 2u     /* sw_exit_info_2 is one of the next */
#define GHCB_ERROR_NOT_REGISTERED 1u
#define GHCB_ERROR_USAGE 2u
#define GHCB_ERROR_SCRATCH 3u
#define GHCB_ERROR_MISSING 4u
#define GHCB_ERROR_INPUT 5u
#define GHCB_ERROR_EVENT 6u

/* EVENTINJ; the error code is in bits 63:32. Guests accept #GP and #UD. */
#define GHCB_EVENT_VECTOR 0xffu
#define GHCB_EVENT_EXCEPTION 0x300u
#define GHCB_EVENT_HAS_ERROR 0x800u
#define GHCB_EVENT_VALID 0x80000000u

/* --- the MSR: bits 11:0 say what the rest is; 0: the GHCB page's address -------------------------
 */

#define GHCB_MSR 0xc0010130u
#define GHCB_MSR_CODE 0xfffull
#define GHCB_MSR_SEV_INFO 0x001u /* 63:48 newest version, 47:32 oldest, 31:24 C-bit */
#define GHCB_MSR_SEV_INFO_REQ 0x002u
#define GHCB_MSR_CPUID_REQ 0x004u  /* 63:32 leaf, 31:30 register: EAX 0, EBX, ECX, EDX 3 */
#define GHCB_MSR_CPUID_RESP 0x005u /* 63:32 value, 31:30 as asked */
#define GHCB_MSR_RESET_HOLD_REQ 0x006u
#define GHCB_MSR_RESET_HOLD_RESP 0x007u /* 63:12 not 0: a start-up interrupt came */
#define GHCB_MSR_HV_FEATURES_REQ 0x080u
#define GHCB_MSR_HV_FEATURES_RESP 0x081u /* 63:12 features; what is known is all for SEV-SNP */
#define GHCB_MSR_TERMINATE 0x100u        /* 15:12 set of reasons, 23:16 reason */

#define GHCB_MSR_SEV_INFO_OF(max, min, cbit)                                                       \
	((uint64_t)(max) << 48 | (uint64_t)(min) << 32 | (uint64_t)(cbit) << 24 | GHCB_MSR_SEV_INFO)
#define GHCB_MSR_INFO_MAX(v) ((uint16_t)((v) >> 48))
#define GHCB_MSR_INFO_MIN(v) ((uint16_t)((v) >> 32))
#define GHCB_MSR_INFO_CBIT(v) ((uint8_t)((v) >> 24))
#define GHCB_MSR_CPUID_OF(leaf, reg)                                                               \
	((uint64_t)(leaf) << 32 | (uint64_t)(reg) << 30 | GHCB_MSR_CPUID_REQ)
#define GHCB_MSR_TERMINATE_OF(set, reason)                                                         \
	((uint64_t)(reason) << 16 | (uint64_t)(set) << 12 | GHCB_MSR_TERMINATE)
#define GHCB_TERMINATE_SET 0u /* the reasons that the specification numbers */
#define GHCB_TERMINATE_GENERAL 0u
#define GHCB_TERMINATE_PROTOCOL 1u

#define GHCB_MSR_SEV_STATUS 0xc0010131u /* bit 0: SEV, bit 1: SEV-ES */
#define GHCB_SEV_STATUS_SEV 1u
#define GHCB_SEV_STATUS_ES 2u
#define GHCB_VC_VECTOR 29u
