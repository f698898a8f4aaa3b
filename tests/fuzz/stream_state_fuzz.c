/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the first part, and as the part its own offset and total say. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[STREAM_HEAD_MAX];
	struct wr out = wr_of(again, sizeof(again));
	struct rd in = rd_of(data, size);
	uint64_t total = 0, offset = 0;
	struct stream_state m;
	struct err e;

	rd_skip(&in, 8);
	rd_le64(&in, &total);
	rd_le64(&in, &offset);
	if (stream_state_get(data, size, 0, 0, &m, &e) == 0 && m.offset != 0)
		abort();
	if (stream_state_get(data, size, offset, total, &m, &e) == 0 &&
	    (stream_state_put(&out, &m, &e) < 0 || out.len != size || memcmp(again, data, size)))
		abort();
	return 0;
}
