/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/start.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[STREAM_HEAD_MAX];
	struct wr out = wr_of(again, sizeof(again));
	struct stream_prefault f;
	struct stream_start m;
	struct err e;
	uint32_t n = 0;

	if (stream_start_get(data, size, &m, &e) < 0)
		return 0;
	if (stream_start_put(&out, &m, &e) < 0 || out.len != size || memcmp(again, data, size))
		abort();
	while (stream_prefault_next(&m, &f))
		n += stream_bounds_have(&m.ram, f.at, (uint64_t)f.pages * PAGE_LEN);
	if (n != m.nprefault)
		abort();
	return 0;
}
