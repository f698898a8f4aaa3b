/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chan/chan.h"
#include "chan/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decodes is within the maxima and encodes to the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[CHAN_FRAME_LEN];
	struct chan_frame f;
	struct err e = { 0 };

	if (size < CHAN_FRAME_LEN || chan_frame_get(data, &f, &e) < 0)
		return 0;
	if (f.head_len > CHAN_HEAD_MAX || f.body_len > CHAN_BODY_MAX)
		abort();
	chan_frame_put(again, &f);
	if (memcmp(again, data, sizeof(again)) != 0)
		abort();
	return 0;
}
