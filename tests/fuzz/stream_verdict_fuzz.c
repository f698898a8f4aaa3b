/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[64 + LINES_MAX * LINES_LEN];
	struct wr out = wr_of(again, sizeof(again));
	char joined[200];
	struct lines m;
	struct err e;

	if (stream_verdict_get(data, size, &m, &e) < 0)
		return 0;
	if (stream_verdict_put(&out, &m, &e) < 0 || out.len != size || memcmp(out.p, data, size))
		abort();
	lines_join(&m, joined, sizeof(joined));
	if (strlen(joined) >= sizeof(joined))
		abort();
	return 0;
}
