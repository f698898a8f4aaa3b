/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/hashes.h"

#include <string.h>

#include "base/rdwr.h"
#include "crypto/hash.h"
#include "owner/text.h"

#define ENTRY_LEN (OWNER_GUID_LEN + 2 + SHA256_LEN)
#define TABLE_LEN (OWNER_GUID_LEN + 2 + 3 * ENTRY_LEN)
#define TABLE_GUID "9438d606-4f22-4cc9-b479-a793d411fd21"
#define APPEND_GUID "97d02dd8-bd20-4c94-aa78-e7714d36ab2a"
#define INITRD_GUID "44baf731-3a2f-4bd7-9af1-41e29169781d"
#define KERNEL_GUID "4de79437-abd2-427f-b835-d5b172d2045b"

_Static_assert(TABLE_LEN == 168 && OWNER_HASHES_LEN == (TABLE_LEN + 15) / 16 * 16,
	       "the firmware knows this table by its size");

static int head_put(struct wr *w, const char *guid, size_t len, struct err *e)
{
	uint8_t bytes[OWNER_GUID_LEN];
	int r = owner_guid_get(guid, bytes, e);

	wr_bytes(w, bytes, sizeof(bytes));
	wr_le16(w, (uint16_t)len);
	return r;
}

static int entry_put(struct wr *w, const char *guid, const void *p, size_t len, struct err *e)
{
	uint8_t hash[SHA256_LEN] = { 0 };
	int r = head_put(w, guid, ENTRY_LEN, e);

	if (r == 0)
		r = crypto_sha256(p, len, hash, e);
	wr_bytes(w, hash, sizeof(hash));
	return r;
}

int owner_hashes_make(const struct owner_boot *boot, uint8_t out[OWNER_HASHES_LEN], struct err *e)
{
	const char *append = boot->append ? boot->append : "";
	struct wr w = wr_of(out, OWNER_HASHES_LEN);
	int r = head_put(&w, TABLE_GUID, TABLE_LEN, e);

	if (r == 0) /* its NUL is hashed, too */
		r = entry_put(&w, APPEND_GUID, append, strlen(append) + 1, e);
	if (r == 0)
		r = entry_put(&w, INITRD_GUID, boot->initrd ? boot->initrd : (const uint8_t *)"",
			      boot->initrd ? boot->initrd_len : 0, e);
	if (r == 0)
		r = entry_put(&w, KERNEL_GUID, boot->kernel, boot->kernel_len, e);
	wr_zero(&w, OWNER_HASHES_LEN - TABLE_LEN);
	return r;
}
