/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The part of an ELF64 x86-64 executable that a boot needs. A pure decoder over hostile bytes. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ELF_SEGMENTS_MAX 32

struct elf_segment {
	uint64_t offset; /* in the file; filesz bytes are there */
	uint64_t filesz;
	uint64_t paddr;
	uint64_t memsz; /* >= filesz, > 0; paddr + memsz does not wrap */
};

struct elf_image {
	uint64_t entry;                           /* physical, inside the file part of a segment */
	struct elf_segment seg[ELF_SEGMENTS_MAX]; /* ascending by paddr, disjoint */
	size_t nseg;
};

int must_check vmm_elf_get(const uint8_t *p, size_t len, struct elf_image *out, struct err *e);
