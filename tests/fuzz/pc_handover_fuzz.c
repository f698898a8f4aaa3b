/* SPDX-License-Identifier: Apache-2.0 */

/* The hand-over record of a hostile monitor: what is accepted lies in RAM, and is written back as
 * it was read. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pc/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct pc_handover *h, const struct pc_span *f)
{
	if (f->len &&
	    (f->at < 0x102000 || f->at >= h->ram[0].len || f->len > h->ram[0].len - f->at))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pc_handover h;
	uint8_t back[4096];
	size_t len;

	if (pc_handover_get(data, size, &h))
		return 0;
	inside(&h, &h.kernel);
	inside(&h, &h.initrd);
	inside(&h, &h.cmdline);
	len = pc_handover_put(&h, back, sizeof(back));
	if (len == 0 || len > size || memcmp(back, data, len) != 0)
		abort();
	return 0;
}
