/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Kernels made by tests: ELF files of chosen segments, and bzImages around them. */

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include <cmocka.h>

#include "vmm/boot_bzimage.h"

#define KERNEL_ELF_LEN 0x3000u
#define KERNEL_BZ_LEN 0x8000u
#define KERNEL_BZ_START 0x400u /* setup_sects = 1 */
#define KERNEL_BZ_OFFSET 0x40u

struct kernel_elf {
	Elf64_Ehdr h;
	Elf64_Phdr ph[3];
};

/* Code of 0x1000 bytes (0x11 each) at 16 MiB, data of 0x800 (0x22) with 0x1800 of memory behind it,
 * and a segment that is not loaded. */
static inline void kernel_elf_make(uint8_t elf[KERNEL_ELF_LEN])
{
	struct kernel_elf k = {
		.h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		       .e_type = ET_EXEC,
		       .e_machine = EM_X86_64,
		       .e_version = EV_CURRENT,
		       .e_entry = 0x1000010,
		       .e_phoff = sizeof(Elf64_Ehdr),
		       .e_ehsize = sizeof(Elf64_Ehdr),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 3 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = 0x1000,
			  .p_vaddr = 0xffffffff81000000,
			  .p_paddr = 0x1000000,
			  .p_filesz = 0x1000,
			  .p_memsz = 0x1000 },
			{ .p_type = PT_LOAD,
			  .p_offset = 0x2000,
			  .p_vaddr = 0xffffffff81002000,
			  .p_paddr = 0x1002000,
			  .p_filesz = 0x800,
			  .p_memsz = 0x1800 },
			{ .p_type = PT_NOTE, .p_offset = 0xffffffff } },
	};

	memset(elf, 0, KERNEL_ELF_LEN);
	memcpy(elf, &k, sizeof(k));
	memset(elf + 0x1000, 0x11, 0x1000);
	memset(elf + 0x2000, 0x22, 0x800);
}

static inline void kernel_le32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Legacy LZ4, which libarchive reads but does not write: one block of literals. */
static inline size_t kernel_lz4_legacy(const uint8_t *p, size_t len, uint8_t *out)
{
	size_t n = 8, left = len - 15;

	kernel_le32(out, 0x184c2102);
	out[n++] = 0xf0;
	for (; left >= 255; left -= 255)
		out[n++] = 255;
	out[n++] = (uint8_t)left;
	memcpy(out + n, p, len);
	n += len;
	kernel_le32(out + 4, (uint32_t)(n - 8));
	return n;
}

static inline size_t kernel_pack(enum bz_pack pack, const uint8_t *p, size_t len, uint8_t *out,
				 size_t cap)
{
	static int (*const filters[])(struct archive *) = {
		[BZ_GZIP] = archive_write_add_filter_gzip,
		[BZ_XZ] = archive_write_add_filter_xz,
		[BZ_ZSTD] = archive_write_add_filter_zstd,
		[BZ_LZ4] = archive_write_add_filter_lz4,
		[BZ_BZIP2] = archive_write_add_filter_bzip2,
		[BZ_LZMA] = archive_write_add_filter_lzma,
	};
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	archive_entry_set_pathname(entry, "kernel");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(filters[pack](a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, out, cap, &used), ARCHIVE_OK);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, p, len), len);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	archive_entry_free(entry);
	return used;
}

/* A bzImage around a packed payload of len bytes; the last four bytes of it are its length. */
static inline size_t kernel_bz_wrap(const uint8_t *payload, size_t len, uint8_t bz[KERNEL_BZ_LEN])
{
	const uint16_t boot_flag = 0xaa55, version = 0x20f, xload = 1;

	assert_true(KERNEL_BZ_START + KERNEL_BZ_OFFSET + len <= KERNEL_BZ_LEN);
	memset(bz, 0, KERNEL_BZ_LEN);
	bz[0x1f1] = 1;
	memcpy(bz + 0x1fe, &boot_flag, 2);
	bz[0x200] = 0xeb;
	bz[0x201] = 0x66;
	memcpy(bz + 0x202, "HdrS", 4);
	memcpy(bz + 0x206, &version, 2);
	bz[0x211] = 1; /* LOADED_HIGH */
	kernel_le32(bz + 0x22c, 0x7fffffff);
	memcpy(bz + 0x236, &xload, 2);
	kernel_le32(bz + 0x238, 255);
	kernel_le32(bz + 0x248, KERNEL_BZ_OFFSET);
	kernel_le32(bz + 0x24c, (uint32_t)len);
	memcpy(bz + KERNEL_BZ_START + KERNEL_BZ_OFFSET, payload, len);
	return KERNEL_BZ_START + KERNEL_BZ_OFFSET + len;
}

/* As Linux's build does it: gzip ends in the length by itself, to the others it is appended. */
static inline size_t kernel_bz_make(enum bz_pack pack, const uint8_t *elf, size_t elf_len,
				    uint8_t bz[KERNEL_BZ_LEN])
{
	uint8_t payload[KERNEL_BZ_LEN];
	size_t len = kernel_pack(pack, elf, elf_len, payload, sizeof(payload) - 4);

	if (pack != BZ_GZIP) {
		kernel_le32(payload + len, (uint32_t)elf_len);
		len += 4;
	}
	return kernel_bz_wrap(payload, len, bz);
}
