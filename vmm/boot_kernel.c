/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot_kernel.h"

#include <errno.h>
#include <string.h>

#include <asm/bootparam.h>

#include "base/auto.h"
#include "base/fd.h"
#include "vmm/boot_bzimage.h"

#define FILE_MAX (256u << 20)
#define KERNEL_MAX (256u << 20)
#define PROTOCOL 0x20f

_Static_assert(PC_SETUP_AT == BZ_HDR_START && PC_SETUP_LEN == BZ_HDR_MAX &&
		       sizeof(struct setup_header) <= PC_SETUP_LEN,
	       "the setup header as boot_params has room for it");

/* A kernel given as ELF has no setup header; this one is what a 2.15 boot loader fills in. */
static void setup_make(uint8_t setup[PC_SETUP_LEN])
{
	const struct setup_header h = {
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = PROTOCOL,
		.loadflags = LOADED_HIGH,
		.kernel_alignment = 0x1000000,
		.initrd_addr_max = BOOT_INITRD_END - 1,
		.cmdline_size = BOOT_CMDLINE_MAX,
	};

	memcpy(setup, &h, sizeof(h));
}

static int bzimage_read(struct boot_kernel *k, const struct buf *file, struct err *e)
{
	struct bzimage bz;
	int r = vmm_bzimage_get(file->p, file->len, &bz, e);

	if (!r)
		r = vmm_bzimage_unpack(&bz, file->p, KERNEL_MAX, &k->elf, e);
	if (r)
		return r;
	memcpy(k->setup, bz.hdr, bz.hdr_len);
	r = vmm_elf_get(k->elf.p, k->elf.len, &k->img, e);
	return r ? err_wrap(e, r, "kernel inside the bzImage") : 0;
}

static int kernel_read(struct boot_kernel *k, struct buf *file, struct err *e)
{
	if (file->len >= 4 && !memcmp(file->p, "\177ELF", 4)) {
		setup_make(k->setup);
		k->elf = *file;
		*file = (struct buf){ 0 };
		return vmm_elf_get(k->elf.p, k->elf.len, &k->img, e);
	}
	if (vmm_bzimage_is(file->p, file->len))
		return bzimage_read(k, file, e);
	return err_set(e, -ENOEXEC,
		       "neither a bzImage nor an ELF file; give a Linux kernel image (vmlinuz) or "
		       "an x86-64 ELF kernel");
}

int vmm_boot_kernel_read(const char *path, struct boot_kernel *out, struct err *e)
{
	auto_buf struct buf file = { 0 };
	int r;

	*out = (struct boot_kernel){ 0 };
	r = fd_file_read(path, FILE_MAX, &file, e);
	if (r)
		return err_wrap(e, r, "kernel");
	r = kernel_read(out, &file, e);
	return r ? err_wrap(e, r, "kernel %s", path) : 0;
}

void vmm_boot_kernel_fini(struct boot_kernel *k)
{
	buf_fini(&k->elf);
}

int vmm_boot_kernel_pack(const struct boot_kernel *k, struct buf *out, struct err *e)
{
	uint8_t head[PC_KERNEL_HEAD_LEN];
	struct pc_kernel pc = { .entry = k->img.entry, .nseg = (uint32_t)k->img.nseg };
	int r;

	if (k->img.nseg > PC_KERNEL_SEGMENTS_MAX)
		return err_set(e, -E2BIG, "kernel of %zu segments, the firmware loads %u",
			       k->img.nseg, PC_KERNEL_SEGMENTS_MAX);
	for (size_t i = 0; i < k->img.nseg; i++)
		pc.seg[i] = (struct pc_segment){ k->img.seg[i].paddr, k->img.seg[i].memsz,
						 k->img.seg[i].filesz };
	memcpy(pc.setup, k->setup, sizeof(pc.setup));
	pc_kernel_put(&pc, head);
	r = buf_add(out, head, sizeof(head), e);
	for (size_t i = 0; !r && i < k->img.nseg; i++)
		r = buf_add(out, k->elf.p + k->img.seg[i].offset, (size_t)k->img.seg[i].filesz, e);
	return r;
}
