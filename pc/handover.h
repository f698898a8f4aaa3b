/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the monitor tells the firmware: where RAM is, how many processors there are, and where in
 * shared memory it has put the files to boot. Little endian, one page at FIRMWARE_HANDOVER_AT:
 *
 *	u64 magic, u32 version, u32 length of the record
 *	u32 processors, u32 RAM ranges, then as many { u64 at, u64 length }
 *	kernel, initial RAM disk, command line with its NUL: { u64 at, u64 length } each
 *
 * The firmware trusts none of it; the decoder refuses what cannot be, pure and without a libc.
 */

#include <stddef.h>
#include <stdint.h>

#define PC_HANDOVER_MAGIC 0x574667696d766573ull /* "sevmigFW" as it lies in memory */
#define PC_HANDOVER_VERSION 1u
#define PC_HANDOVER_RAM_MAX 4u
#define PC_CPUS_MAX 64u
#define PC_KERNEL_MAX (512u << 20)
#define PC_INITRD_MAX (1024u << 20)
#define PC_CMDLINE_MAX 2048u /* with its NUL */

struct pc_span {
	uint64_t at, len;
};

struct pc_handover {
	uint32_t cpus;
	uint32_t nram;
	struct pc_span ram[PC_HANDOVER_RAM_MAX]; /* ascending, disjoint; the first begins at 0 */
	struct pc_span kernel, initrd, cmdline;  /* in the first range, above the GHCB; disjoint */
};

/* Bytes written, 0 when they do not fit. */
size_t pc_handover_put(const struct pc_handover *h, uint8_t *out, size_t cap);
/* NULL, or what is wrong; *out is then untouched. */
const char *pc_handover_get(const uint8_t *p, size_t len, struct pc_handover *out);
