/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"

/* A table of secrets: GUID and length of all, then GUID, length and data of each; lengths count
 * their own heads. */
#define GUID_LEN 16u
#define HEAD_LEN (GUID_LEN + 4)

/* HANDLER_SECRET_TABLE_GUID and HANDLER_SECRET_GUID as they stand in memory: the first three parts
 * little endian. */
static const uint8_t table_guid[GUID_LEN] = { 0x42, 0xf5, 0x74, 0x1e, 0xdd, 0x71, 0x66, 0x4d,
					      0x96, 0x3e, 0xef, 0x42, 0x87, 0xff, 0x17, 0x3b };
static const uint8_t own_guid[GUID_LEN] = { 0x23, 0xc9, 0xb6, 0xbb, 0xcb, 0xff, 0xc6, 0x41,
					    0xa1, 0xd1, 0x6e, 0xf7, 0xc5, 0xac, 0xe2, 0x5f };

static enum handler_status owner_get(const uint8_t *p, size_t len, struct handler_owner *out)
{
	if (len != HANDLER_S_LEN || own_get16(p + HANDLER_S_VERSION) != 1 ||
	    (own_get32(p + HANDLER_S_FLAGS) & ~HANDLER_F_ALL))
		return HANDLER_E_NO_KEY;
	out->min_version = own_get16(p + HANDLER_S_MIN_VERSION);
	out->flags = own_get32(p + HANDLER_S_FLAGS);
	__builtin_memcpy(out->guest, p + HANDLER_S_GUEST, sizeof(out->guest));
	__builtin_memcpy(out->key, p + HANDLER_S_KEY, sizeof(out->key));
	return out->min_version > HANDLER_VERSION ? HANDLER_E_VERSION : HANDLER_OK;
}

enum handler_status handler_secret_get(const uint8_t *p, size_t len, struct handler_owner *out)
{
	size_t end, at = HEAD_LEN;

	if (len < HEAD_LEN || !own_equal(p, table_guid, GUID_LEN))
		return HANDLER_E_NO_KEY;
	end = own_get32(p + GUID_LEN);
	if (end > len)
		return HANDLER_E_NO_KEY;
	while (at <= end && end - at >= HEAD_LEN) {
		size_t n = own_get32(p + at + GUID_LEN);

		if (n < HEAD_LEN || n > end - at)
			return HANDLER_E_NO_KEY;
		if (own_equal(p + at, own_guid, GUID_LEN))
			return owner_get(p + at + HEAD_LEN, n - HEAD_LEN, out);
		at += n;
	}
	return HANDLER_E_NO_KEY;
}
