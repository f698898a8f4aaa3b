/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/end.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t again[1024];

static struct wr fresh(void)
{
	return wr_of(again, sizeof(again));
}

static void same(const struct wr *out, int r, const uint8_t *data, size_t size)
{
	if (r < 0 || out->len != size || memcmp(out->p, data, size))
		abort();
}

static void try_ids(const uint8_t *data, size_t size)
{
	static const uint32_t types[] = { STREAM_COMMIT, STREAM_RUNNING, STREAM_DONE,
					  STREAM_QUERY };
	struct stream_id id;
	struct err e;

	for (unsigned i = 0; i < 4; i++) {
		struct wr out = fresh();

		if (stream_id_get(data, size, types[i], &id, &e) == 0)
			same(&out, stream_id_put(&out, types[i], &id, &e), data, size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_answer answer;
	struct stream_ready ready;
	struct stream_abort why;
	struct stream_end end;
	struct wr out = fresh();
	struct err e;

	try_ids(data, size);
	if (stream_end_get(data, size, &end, &e) == 0)
		same(&out, stream_end_put(&out, &end, &e), data, size);
	out = fresh();
	if (stream_ready_get(data, size, &ready, &e) == 0)
		same(&out, stream_ready_put(&out, &ready, &e), data, size);
	out = fresh();
	if (stream_answer_get(data, size, &answer, &e) == 0)
		same(&out, stream_answer_put(&out, &answer, &e), data, size);
	if (stream_abort_get(data, size, &why, &e) == 0)
		for (const char *c = why.reason; *c; c++)
			if (*c < 0x20 || *c > 0x7e)
				abort();
	return 0;
}
