/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was decoded encodes to the same bytes, as far as version 1 knows them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[STREAM_HEAD_MAX];
	struct wr out = wr_of(again, sizeof(again));
	struct stream_hello_reply reply;
	struct stream_hello hello;
	struct err e;

	if (stream_hello_get(data, size, &hello, &e) == 0 &&
	    (stream_hello_put(&out, &hello, &e) < 0 || memcmp(again, data, 48)))
		abort();
	out = wr_of(again, sizeof(again));
	if (stream_hello_reply_get(data, size, &reply, &e) == 0 &&
	    (stream_hello_reply_put(&out, &reply, &e) < 0 || memcmp(again, data, 44) ||
	     memcmp(again + 48, data + 48, out.len - 48)))
		abort();
	return 0;
}
