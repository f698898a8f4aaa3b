/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/firmware/firmware.h"

#define PAGE 4096u

int64_t fw_pages_report(uint32_t features, fw_hypercall_fn *call, uint64_t at, uint64_t len,
			bool shared)
{
	uint64_t first = at & ~(uint64_t)(PAGE - 1);
	uint64_t end = (at + len + PAGE - 1) & ~(uint64_t)(PAGE - 1);

	if (!(features & FW_KVM_MAP_GPA_RANGE) || len == 0)
		return 0;
	return call(DOORBELL_HC_MAP_GPA_RANGE, first, (end - first) / PAGE,
		    shared ? 0 : DOORBELL_MAP_ENCRYPTED);
}
