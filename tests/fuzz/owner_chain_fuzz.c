/* SPDX-License-Identifier: Apache-2.0 */

/* A hostile peer's certificates and a damaged allow list. Input: 16 bits length of the list, the
 * list, PDH, platform chain, AMD chain; what is missing is zeros. The peer's own ARK is pinned, so
 * that every link is looked at. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "abi/psp.h"
#include "base/rdwr.h"
#include "owner/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct rd *in, uint8_t *out, size_t len)
{
	size_t n = in->len < len ? in->len : len;

	memset(out, 0, len);
	(void)!rd_bytes(in, out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t pdh[PSP_CERT_LEN], plat[PSP_PLAT_CHAIN_LEN];
	struct owner_certs c = { .pdh = pdh, .plat = plat };
	struct rd in = rd_of(data, size);
	const uint8_t *list = NULL;
	struct err e = { 0 };
	uint16_t len = 0;

	if (rd_le16(&in, &len) < 0 || rd_span(&in, &list, len) < 0)
		return 0;
	take(&in, pdh, sizeof(pdh));
	take(&in, plat, sizeof(plat));
	c.amd = in.p;
	c.amd_len = in.len;
	(void)!owner_allow_check((const char *)list, len, &c, &e);
	(void)!owner_chain_verify(&c, c.amd + c.amd_len / 2, c.amd_len - c.amd_len / 2, &e);
	(void)!owner_policy_check(PSP_POLICY_DOMAIN | PSP_POLICY_SEV | 1u << 16, &c,
				  plat + PSP_CERT_LEN, &e);
	return 0;
}
