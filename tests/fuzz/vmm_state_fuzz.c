/* SPDX-License-Identifier: Apache-2.0 */

/* The monitor's state as a hostile source would send it: vmm_state_get(), and what it lets through
 * written and read again. The first byte says how many vCPUs the VM has. */

#include <stdlib.h>
#include <string.h>

#include "vmm/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void state_again(const struct vmm_state *s, size_t len)
{
	auto_buf struct buf b = { 0 };
	struct vmm_state again;
	struct err e = { 0 };

	if (vmm_state_put(s, &b, &e) < 0 || b.len != len)
		abort();
	if (vmm_state_init(&again, s->nvcpu, &e) < 0 || vmm_state_get(b.p, b.len, &again, &e) < 0)
		abort();
	vmm_state_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct vmm_state s;

	if (!size || vmm_state_init(&s, 1 + data[0] % 3, &e) < 0)
		return 0;
	if (vmm_state_get(data + 1, size - 1, &s, &e) == 0)
		state_again(&s, size - 1);
	else if (!e.msg[0])
		abort();
	vmm_state_fini(&s);
	return 0;
}
