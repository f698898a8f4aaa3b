/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Loading a kernel for 64-bit entry with the C-bit on.
 *
 * Takes an ELF64 kernel, or a bzImage whose payload is one (unpacked here, because the bzImage's
 *own decompressor would load page tables without the C-bit). Everything is written into the shared
 * face of RAM and listed, so that the caller can hand exactly those pages to
 * sev_launch_update(); the first vCPU then starts at .entry with the registers below:
 *
 *	CR0.PG|PE, CR4.PAE, EFER.LME|LMA, CR3 = .cr3 | C-bit, RIP = .entry, RSI = .params,
 *	RSP = .stack, RFLAGS = 2, GDT at .gdt, flat CS and data selectors below, no IDT
 *
 * Files are hostile: every offset, size and overlap is checked before a byte is copied.
 *
 * Layout of the first MiB (which is always private):
 *
 *	0x00500 GDT    0x07000 boot_params    0x08000-0x09000 stack    0x09000-0x0f000 page tables
 *	0x20000 command line (2047 bytes and NUL)    0xe0000-0xfffff left to ACPI tables
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/gpa.h"
#include "migrate/vm.h"
#include "vmm/boot_kernel.h"
#include "vmm/vm.h"

#define BOOT_GDT 0x500u
#define BOOT_PARAMS 0x7000u
#define BOOT_STACK_TOP 0x9000u
#define BOOT_TABLES 0x9000u
#define BOOT_CMDLINE 0x20000u
#define BOOT_CS 0x10u
#define BOOT_DS 0x18u

#define BOOT_RANGES_MAX 40

struct boot_machine {
	const struct mig_ram *ram; /* ascending, disjoint; the first starts at 0 */
	size_t nram;
	unsigned cbit;
	/* ACPI root pointer the caller has put into the first MiB, or 0: none. */
	struct gpa rsdp;
	bool handler; /* the migration handler's range is nobody else's */
};

struct boot_range {
	struct gpa at;   /* page aligned */
	uint64_t len;    /* page multiple */
	uint8_t *shared; /* where it lies in the shared face */
};

struct boot_image {
	struct gpa entry;
	struct gpa cr3; /* without the C-bit */
	struct gpa params;
	struct gpa stack;
	struct gpa gdt;
	uint16_t gdt_limit;
	/* To be encrypted, ascending and disjoint. */
	struct boot_range range[BOOT_RANGES_MAX];
	size_t nrange;
};

/* On failure some of the shared face may have been written; the VM is then of no use. */
int must_check vmm_boot_load(const struct vm_boot *what, const struct boot_machine *m,
			     struct boot_image *out, struct err *e);
