/* SPDX-License-Identifier: Apache-2.0 */

/* Hostile certificate files: taken apart, then put together again as two files. Input: 16 bits
 * length of the first, the first, the second. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rdwr.h"
#include "owner/joined.h"
#include "owner/root.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apart(const uint8_t *p, size_t len)
{
	struct owner_piece got[OWNER_CERTS];
	struct err e = { 0 };
	size_t n = 0, sum = 0;

	if (owner_joined_get(p, len, got, &n, &e) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		sum += got[i].len;
	if (sum != len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct owner_set set;
	struct rd in = rd_of(data, size);
	const uint8_t *first = NULL;
	struct owner_certs certs;
	struct amdcert ark;
	struct err e = { 0 };
	uint16_t len = 0;

	memset(&set, 0, sizeof(set));
	if (rd_le16(&in, &len) < 0 || rd_span(&in, &first, len) < 0)
		return 0;
	apart(first, len);
	apart(in.p, in.len);
	(void)!owner_set_add(&set, first, len, &e);
	(void)!owner_set_add(&set, in.p, in.len, &e);
	if (owner_set_certs(&set, &certs, &e) == 0)
		(void)!owner_chain_verify(&certs, certs.amd + certs.amd_len / 2,
					  certs.amd_len - certs.amd_len / 2, &e);
	if (owner_root_get(in.p, in.len, &ark, &e) == 0)
		(void)!owner_root_claim(&ark);
	return 0;
}
