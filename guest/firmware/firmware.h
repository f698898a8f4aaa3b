/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The guest's firmware: measured with the launch, it finds out what the host offers, checks what
 * the host hands over against the measured hashes, and starts Linux with ACPI tables and EFI
 * runtime services. One processor, no interrupts, no heap; interpreted slowly on some hosts, so it
 * does little. doc/FIRMWARE.md.
 *
 *	machine	reset.S main.c io.c vc.c traps.c load.c: what needs the processor, or ends the guest
 *	pure	cpuid.c pages.c files.c params.c efi_tables.c: tested on the host, too
 *	runtime	efi_runtime.c efi_vars.c: called by Linux, at addresses of its choice
 */

#include "abi/doorbell.h"
#include "abi/firmware.h"
#include "abi/ghcb.h"

#define FW_CS32 0x08
#define FW_CS 0x10
#define FW_DS 0x18
#define FW_RESET16_AT 0xfc00 /* fw_reset16 in the last 64 KiB */

#define FW_MSR_EFER 0xc0000080
#define FW_MSR_SEV_STATUS 0xc0010131
#define FW_SEV_ENABLED 1
#define FW_SEV_ES 2
#define FW_CPUID_SEV 0x8000001f
#define FW_EFER_LME 0x100
#define FW_CR0 0x80000033 /* PG, NE, ET, MP, PE */
#define FW_CR4 0x620      /* PAE; OSFXSR, OSXMMEXCPT: what compilers take for granted */
#define FW_PTE_TABLE 0x63 /* present, writable, accessed, dirty */
#define FW_PTE_2M 0xe3

#define FW_VC 29
/* A page for secondary vCPUs of SEV-ES. What the GHCB protocol calls the AP jump table, real mode's
 * IP and CS, is zero until the guest has set it. */
#define FW_AP_AT 0x82000
#define FW_AP_ENTRY 0 /* in that page */
#define FW_AP_SOFT 8  /* is this the software platform? */

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pc/handover.h"
#include "pc/kernel.h"

struct boot_params;

#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

/* Declarations, too: else a compiler reaches for what only a dynamic linker could fill. */
#pragma GCC visibility push(hidden)

/* --- the processor and the monitor (reset.S, io.c, traps.c) -------------------------------------
 */

extern uint64_t fw_cbit;            /* mask */
extern uint64_t fw_sev_status;      /* MSR */
extern const uint32_t fw_migration; /* of the image's own table: FIRMWARE_MIGRATES */
extern char fw_base[];              /* of the image */

int64_t fw_vmmcall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c);
void fw_enter(uint64_t entry, uint64_t params) __attribute__((noreturn));
void fw_traps_init(void);
uint8_t fw_in8(uint16_t port);
void fw_out8(uint16_t port, uint8_t v);
void fw_wrmsr(uint32_t msr, uint64_t v);
/* One line on the serial console; knows %s, %u and %x for 64-bit numbers. */
void fw_say(const char *fmt, ...);
/* The same, and the guest is over: by the GHCB MSR under SEV-ES, else by a triple fault. */
void fw_die(const char *fmt, ...) __attribute__((noreturn));

/* As reset.S pushes it. */
struct fw_frame {
	uint64_t rbx, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, code;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* SEV-ES (vc.c). Before anything that leaves the guest; nothing without SEV-ES. */
void fw_vc_init(void);
bool fw_vc_on(void);
/* #VC: false: it cannot be dealt with. */
bool fw_vc_handle(struct fw_frame *f);
/* Tell the host where the AP jump table is. */
void fw_vc_jump_table(uint64_t at);
/* No GHCB page any more; the guest has its own. */
void fw_vc_fini(void);
void fw_vc_terminate(void) __attribute__((noreturn));

/* RAM below 4 GiB through either mapping. */
static inline uint8_t *fw_private(uint64_t at)
{
	return (uint8_t *)(uintptr_t)at;
}

static inline uint8_t *fw_shared(uint64_t at)
{
	return (uint8_t *)(uintptr_t)(at + FIRMWARE_TOP);
}

/* --- cpuid.c ------------------------------------------------------------------------------------
 */

struct fw_cpuid {
	uint32_t eax, ebx, ecx, edx;
};
typedef void fw_cpuid_fn(uint32_t leaf, struct fw_cpuid *out);
fw_cpuid_fn fw_cpuid;

#define FW_KVM_MAP_GPA_RANGE (1u << 16)
#define FW_KVM_MIGRATION (1u << 17)

/* KVM's feature bits (EAX of its second leaf), 0 where KVM is not found. */
uint32_t fw_kvm_features(fw_cpuid_fn *cpuid);
/* Migration needs both. */
static inline bool fw_can_migrate(uint32_t features)
{
	return (features & FW_KVM_MAP_GPA_RANGE) && (features & FW_KVM_MIGRATION);
}

/* --- pages.c ------------------------------------------------------------------------------------
 */

typedef int64_t fw_hypercall_fn(uint64_t nr, uint64_t a, uint64_t b, uint64_t c);
/* Report that [at, at+len) is now shared or private, by whole pages that contain it. 0, also where
 * the host cannot be told; else what the host answered. */
int64_t fw_pages_report(uint32_t features, fw_hypercall_fn *call, uint64_t at, uint64_t len,
			bool shared);

/* --- files.c, load.c
 * -------------------------------------------------------------------------------------
 */

#define FW_HASH_LEN 32
enum fw_file { FW_KERNEL, FW_INITRD, FW_CMDLINE, FW_FILES };
struct fw_hashes {
	uint8_t of[FW_FILES][FW_HASH_LEN];
};
bool fw_same(const uint8_t *a, const uint8_t *b, size_t len);
/* The measured table. false: there is none. */
bool fw_hashes_get(const uint8_t *p, size_t len, struct fw_hashes *out);
/* Where the initial RAM disk goes: below all that is handed over, above the kernel, its last byte
 * not above max. 0: nowhere. */
uint64_t fw_initrd_place(const struct pc_handover *h, uint64_t kernel_end, uint64_t max);

/* What is ready in private memory. */
struct fw_loaded {
	struct pc_kernel kernel;
	uint64_t initrd_at, initrd_len;
	uint64_t cmdline_at;
};
/* Copy, check, and put in place; a file that is not the measured one ends the guest. */
void fw_load(const struct pc_handover *h, const struct fw_hashes *want, struct fw_loaded *out);

/* --- params.c -----------------------------------------------------------------------------------
 */

#define FW_PARAMS_AT 0x7000
#define FW_CMDLINE_AT 0x20000
#define FW_LOW_END 0x80000u /* of the RAM below what the firmware keeps */

enum fw_kind { FW_RAM, FW_RESERVED, FW_ACPI, FW_RUNTIME };
struct fw_area {
	uint64_t at, end;
	enum fw_kind kind;
};
#define FW_AREAS_MAX (PC_HANDOVER_RAM_MAX + 4)
/* The memory map, ascending; image is where the firmware lies. Returns how many. */
unsigned fw_areas(const struct pc_handover *h, uint64_t image, struct fw_area out[FW_AREAS_MAX]);
/* boot_params for a kernel that was loaded. */
void fw_params_fill(struct boot_params *p, const struct fw_loaded *l, const struct fw_area *areas,
		    unsigned n);
/* And where UEFI's system table and map of memory are. */
void fw_params_efi(struct boot_params *p, uint64_t system, uint64_t map, size_t map_len,
		   size_t step);

#pragma GCC visibility pop

#endif
