/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct stream_bounds bounds = {
		.nram = 2,
		.ram = { { 0, 0x800000 }, { 0x100000000ull, 0x400000 } },
	};
	struct stream_list m;
	struct range v;
	uint64_t end = 0;
	uint32_t n = 0;
	struct err e;

	if (stream_list_get(data, size, &bounds, 0, &m, &e) < 0)
		return 0;
	while (stream_list_next(&m, &v)) {
		if (v.start < end || v.start >= v.end)
			abort();
		end = v.end;
		n++;
	}
	if (n != m.count || end != m.end)
		abort();
	return 0;
}
