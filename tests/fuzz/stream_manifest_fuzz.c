/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken is written the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[128];
	struct wr out = wr_of(again, sizeof(again));
	struct stream_manifest m;
	struct err e;

	if (stream_manifest_get(data, size, &m, &e) < 0)
		return 0;
	if (m.proof == 0 || m.proof >= STREAM_PROOFS || stream_manifest_put(&out, &m, &e) < 0 ||
	    out.len != size || memcmp(again, data, size))
		abort();
	return 0;
}
