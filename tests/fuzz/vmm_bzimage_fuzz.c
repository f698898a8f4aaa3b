/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "vmm/boot_bzimage.h"
#include "vmm/boot_elf.h"

#define UNPACK_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf out = { 0 };
	struct bzimage bz;
	struct elf_image img;
	struct err e = { 0 };

	if (vmm_bzimage_get(data, size, &bz, &e))
		return 0;
	if (bz.offset > size || bz.len > size - bz.offset || bz.hdr_len > sizeof(bz.hdr))
		abort();
	if (vmm_bzimage_unpack(&bz, data, UNPACK_MAX, &out, &e))
		return 0;
	if (out.len != bz.unpacked || out.len > UNPACK_MAX)
		abort();
	if (!vmm_elf_get(out.p, out.len, &img, &e) && img.nseg == 0)
		abort();
	return 0;
}
