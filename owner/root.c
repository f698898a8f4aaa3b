/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/root.h"

#include <errno.h>
#include <string.h>

#include "crypto/secret.h"

int owner_root_get(const uint8_t *p, size_t len, struct amdcert *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct amdcert got;
	int r = amdcert_get(&in, &got, e);

	if (r < 0)
		return r;
	if (got.usage != SEVCERT_ARK)
		return err_set(e, -EPROTO, "a certificate for %s, not for ARK",
			       sevcert_usage_name(got.usage));
	if (in.len)
		return err_set(e, -EPROTO, "%zu bytes after the ARK", in.len);
	*out = got;
	return 0;
}

int owner_root_check(const uint8_t *ark, size_t len, const uint8_t print[SHA256_LEN], struct err *e)
{
	uint8_t own[SHA256_LEN];
	int r = crypto_sha256(ark, len, own, e);

	if (r < 0)
		return r;
	return crypto_equal(own, print, sizeof(own))
		       ? 0
		       : err_set(e, -EKEYREJECTED, "root ARK has another fingerprint");
}

const char *owner_root_claim(const struct amdcert *ark)
{
	static const struct {
		uint8_t id[4];
		const char *name;
	} roots[] = {
		{ { 0x1b, 0xb9, 0x87, 0xc3 }, "Naples" }, { { 0xe6, 0x00, 0x21, 0x22 }, "Rome" },
		{ { 0x94, 0xc3, 0x8e, 0x41 }, "Milan" },  { { 0x9f, 0x9d, 0x4a, 0x8f }, "Genoa" },
		{ { 0xd0, 0x5c, 0x3a, 0x8b }, "Turin" },
	};

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		if (memcmp(ark->key_id, roots[i].id, sizeof(roots[i].id)) == 0)
			return roots[i].name;
	return NULL;
}
