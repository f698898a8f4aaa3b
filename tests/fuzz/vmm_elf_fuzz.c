/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "vmm/boot_elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted keeps the promises of the header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image img;
	struct err e = { 0 };
	uint64_t end = 0;

	if (vmm_elf_get(data, size, &img, &e))
		return 0;
	for (size_t i = 0; i < img.nseg; i++) {
		const struct elf_segment *s = &img.seg[i];

		if (s->offset > size || s->filesz > size - s->offset || s->filesz > s->memsz ||
		    s->memsz == 0 || s->paddr < end || s->paddr + s->memsz < s->paddr)
			abort();
		end = s->paddr + s->memsz;
	}
	return 0;
}
