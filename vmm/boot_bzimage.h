/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The part of a Linux bzImage that a boot without the bzImage's own decompressor needs: the setup
 * header and the packed kernel (Linux, Documentation/arch/x86/boot.rst). The decoder is pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define BZ_HDR_START 0x1f1u /* of setup_header in the file and in boot_params */
#define BZ_HDR_MAX 0x9fu    /* what boot_params has room for */

enum bz_pack { BZ_GZIP, BZ_XZ, BZ_ZSTD, BZ_LZ4, BZ_BZIP2, BZ_LZMA };

struct bzimage {
	uint16_t version;        /* 0x20c or newer */
	uint8_t hdr[BZ_HDR_MAX]; /* setup_header, the rest zero */
	size_t hdr_len;
	uint32_t cmdline_max; /* without the NUL */
	uint64_t initrd_max;  /* highest address of the initrd's last byte */
	enum bz_pack pack;
	uint64_t offset;   /* of the packed kernel, in the file */
	uint64_t len;      /* without a trailing length */
	uint32_t unpacked; /* length of the kernel */
};

/* Is this meant to be a bzImage? */
bool vmm_bzimage_is(const uint8_t *p, size_t len);
int must_check vmm_bzimage_get(const uint8_t *p, size_t len, struct bzimage *out, struct err *e);
/* Unpack the kernel; more or less than bz->unpacked bytes is an error, as is more than max. */
int must_check vmm_bzimage_unpack(const struct bzimage *bz, const uint8_t *p, size_t max,
				  struct buf *out, struct err *e);
const char *vmm_bzimage_pack_name(enum bz_pack pack);
