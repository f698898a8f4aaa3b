/* SPDX-License-Identifier: Apache-2.0 */

/* The end of a hostile firmware image, read for its table and for what a launch digest needs. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "owner/guidtable.h"
#include "owner/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hashes[176];
	struct owner_launch l = { data, size, hashes, 2, 0x800f12, false };
	uint8_t digest[PSP_DIGEST_LEN];
	struct owner_guidtable t = { 0 };
	const uint8_t *at = NULL;
	struct err e = { 0 };
	size_t len = 0;

	if (owner_guidtable_get(data, size, &t, &e) == 0 &&
	    ((!t.secret.base) != (!t.secret.size) || (!t.hashes.base) != (!t.hashes.size)))
		abort();
	if (owner_guidtable_find(data, size, "dc886566-984a-4798-a75e-5585a7bf67cc", &at, &len,
				 &e) == 0 &&
	    (at < data || len > size || at - data > (ptrdiff_t)(size - len)))
		abort();
	(void)!owner_launch_digest(&l, digest, &e);
	return 0;
}
