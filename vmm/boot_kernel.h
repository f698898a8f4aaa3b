/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A kernel file, unpacked: what Linux's setup header says, and an ELF image with its segments. */

#include "base/buf.h"
#include "base/err.h"
#include "pc/kernel.h"
#include "vmm/boot_elf.h"

struct boot_kernel {
	/* Linux's setup header: the file's own, or one for boot protocol 2.15. */
	uint8_t setup[PC_SETUP_LEN];
	struct buf elf;       /* owned */
	struct elf_image img; /* of it */
};

#define BOOT_CMDLINE_MAX 2047u
#define BOOT_INITRD_END 0x80000000ull

/* A bzImage or an ELF file; call vmm_boot_kernel_fini() in any case. */
int must_check vmm_boot_kernel_read(const char *path, struct boot_kernel *out, struct err *e);
void vmm_boot_kernel_fini(struct boot_kernel *k);
#define auto_boot_kernel cleanup_with(vmm_boot_kernel_fini)
/* In the form of pc/kernel.h, appended to out. */
int must_check vmm_boot_kernel_pack(const struct boot_kernel *k, struct buf *out, struct err *e);
