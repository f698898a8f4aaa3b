/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t again[STREAM_HEAD_MAX];
static uint8_t body[STREAM_BODY_MAX];
static const struct stream_bounds bounds = {
	.nram = 2,
	.ram = { { 0, 0x800000 }, { 0x100000000ull, 0x400000 } },
	.private_below = 0x100000,
};

static void same(const struct wr *out, int r, const uint8_t *data, size_t size)
{
	if (r < 0 || out->len != size || memcmp(out->p, data, size))
		abort();
}

static void try_private(const uint8_t *data, size_t size)
{
	struct stream_private_entry v[STREAM_BATCH_PAGES];
	struct wr out = wr_of(again, sizeof(again));
	struct rd in = rd_of(data, size);
	struct stream_private m;
	uint32_t n = 0, count = 0;
	struct err e;

	rd_skip(&in, 12);
	rd_le32(&in, &count); /* give it a body that fits, or the rest is never reached */
	if (count > STREAM_BATCH_PAGES)
		count = STREAM_BATCH_PAGES;
	if (stream_private_get(data, size, body, (size_t)count * PAGE_LEN, &bounds, &m, &e) < 0)
		return;
	while (n < m.count && stream_private_next(&m, &v[n]))
		n++;
	if (n != m.count)
		abort();
	same(&out, stream_private_put(&out, m.pass, v, n, &e), data, size);
}

static void try_shared(const uint8_t *data, size_t size)
{
	struct stream_shared_entry v[STREAM_BATCH_PAGES];
	struct wr out = wr_of(again, sizeof(again));
	struct stream_shared m;
	uint32_t n = 0;
	struct err e;

	if (stream_shared_get(data, size, &bounds, &m, &e) < 0)
		return;
	while (n < m.count && stream_shared_next(&m, &v[n])) {
		if (v[n].at.v < bounds.private_below)
			abort();
		n++;
	}
	if (n != m.count)
		abort();
	same(&out, stream_shared_put(&out, m.pass, v, n, &e), data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr out = wr_of(again, sizeof(again));
	struct stream_pass pass;
	struct err e;

	try_private(data, size);
	try_shared(data, size);
	if (stream_pass_get(data, size, &pass, &e) == 0)
		same(&out, stream_pass_put(&out, &pass, &e), data, size);
	return 0;
}
