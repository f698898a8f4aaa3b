/* SPDX-License-Identifier: Apache-2.0 */

/* The NV blob as it is, and its content with a frame and digest that hold, so that damage gets
 * past the digest to the decoder of fields and to the keys. */

#include <stddef.h>
#include <stdint.h>

#include "psp/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_LEN 16

static void try_get(const uint8_t *p, size_t len)
{
	struct psp *psp = NULL;
	struct err e = { 0 };
	struct psp_platform_status st;

	if (psp_nv_get(p, len, &psp, &e) < 0)
		return;
	if (psp_platform_status(psp, &st) != PSP_SUCCESS)
		__builtin_trap();
	psp_free(psp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf b = { 0 };
	uint8_t sum[SHA256_LEN];
	struct err e = { 0 };

	try_get(data, size);
	if (size < HEAD_LEN + SHA256_LEN)
		return 0;
	size -= HEAD_LEN + SHA256_LEN;
	if (buf_add(&b, "sevm-psp", 8, &e) || buf_add_le32(&b, 1, &e) ||
	    buf_add_le32(&b, (uint32_t)size, &e) || buf_add(&b, data + HEAD_LEN, size, &e) ||
	    crypto_sha256(b.p, b.len, sum, &e) || buf_add(&b, sum, sizeof(sum), &e))
		__builtin_trap();
	try_get(b.p, b.len);
	return 0;
}
