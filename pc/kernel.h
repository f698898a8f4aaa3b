/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A kernel in the form in which it is handed to the firmware and hashed: a page that says where its
 * segments go, then their bytes, nothing between them. Little endian:
 *
 *	0	u64 magic, u64 entry, u32 version, u32 segments
 *	24	each segment: u64 at, u64 bytes in memory, u64 bytes here
 *	0x1f1	Linux's setup header, where boot_params has it
 *
 * Pure, and without a libc.
 */

#include <stddef.h>
#include <stdint.h>

#include "pc/handover.h"

#define PC_KERNEL_MAGIC 0x6e6b67696d766573ull /* "sevmigkn" as it lies in memory */
#define PC_KERNEL_VERSION 1u
#define PC_KERNEL_HEAD_LEN 0x1000u
#define PC_KERNEL_SEGMENTS_MAX 16u
#define PC_SETUP_AT 0x1f1u
#define PC_SETUP_LEN 0x9fu

struct pc_segment {
	uint64_t at, memsz; /* physical */
	uint64_t filesz;    /* the rest is zero */
};

struct pc_kernel {
	uint64_t entry; /* physical, inside the file part of a segment */
	uint32_t nseg;
	struct pc_segment seg[PC_KERNEL_SEGMENTS_MAX]; /* ascending, disjoint */
	uint8_t setup[PC_SETUP_LEN];
};

/* Fill PC_KERNEL_HEAD_LEN bytes. */
void pc_kernel_put(const struct pc_kernel *k, uint8_t *out);
/* From a head of PC_KERNEL_HEAD_LEN bytes and the length of the whole. NULL, or what is wrong;
 * *out is then untouched. */
const char *pc_kernel_get(const uint8_t *head, uint64_t len, struct pc_kernel *out);
/* Can it be put where it belongs while what is handed over still lies in memory? NULL, or why not.
 */
const char *pc_kernel_fits(const struct pc_kernel *k, const struct pc_handover *h);
/* The address after its last byte. */
uint64_t pc_kernel_end(const struct pc_kernel *k);
