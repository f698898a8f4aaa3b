/* SPDX-License-Identifier: Apache-2.0 */

/* The description of a CPU as a hostile source would send it: vmm_machine_get() and the comparison,
 * against itself (which must fit) and against a machine that has nothing. */

#include <stdlib.h>
#include <string.h>

#include "vmm/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vmm_machine nothing = { .n = 0 };
	auto_buf struct buf b = { 0 };
	struct vmm_machine m;
	struct lines found = { 0 };
	struct err e = { 0 };

	if (vmm_machine_get(data, size, &m, &e) < 0) {
		if (!e.msg[0])
			abort();
		return 0;
	}
	if (vmm_machine_put(&m, &b, &e) < 0 || b.len != size || memcmp(b.p, data, size) != 0)
		abort();
	if ((vmm_machine_compare(&m, &m, &found), found.n))
		abort();
	vmm_machine_compare(&m, &nothing, &found);
	return 0;
}
