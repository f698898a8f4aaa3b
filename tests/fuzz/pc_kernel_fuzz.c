/* SPDX-License-Identifier: Apache-2.0 */

/* The head of a kernel that nobody has verified yet; the first 8 bytes are the length it claims. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rdwr.h"
#include "pc/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pc_handover h = { .cpus = 1,
				 .nram = 1,
				 .ram = { { 0, 64 << 20 } },
				 .kernel = { 48 << 20, 4 << 20 },
				 .cmdline = { 60 << 20, 1 } };
	uint8_t head[PC_KERNEL_HEAD_LEN] = { 0 };
	struct rd in = rd_of(data, size);
	uint64_t len = 0, end = 0;
	struct pc_kernel k;

	if (rd_le64(&in, &len) || in.len > sizeof(head))
		return 0;
	memcpy(head, in.p, in.len);
	if (pc_kernel_get(head, len, &k) || pc_kernel_fits(&k, &h))
		return 0;
	for (uint32_t i = 0; i < k.nseg; i++) {
		if (k.seg[i].at < 0x102000 || k.seg[i].at < end || k.seg[i].filesz > k.seg[i].memsz)
			abort();
		end = k.seg[i].at + k.seg[i].memsz;
	}
	if (end != pc_kernel_end(&k) || end > 64 << 20)
		abort();
	return 0;
}
