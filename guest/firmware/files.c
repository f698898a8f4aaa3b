/* SPDX-License-Identifier: Apache-2.0 */

/* What was measured, and where files go. */

#include "guest/firmware/firmware.h"

#include "base/gpa.h"
#include "base/rdwr.h"

#define GUID_LEN 16u
#define TABLE_LEN 168u
#define ENTRY_LEN 50u

static const uint8_t table_guid[GUID_LEN] = { 0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c,
					      0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 };
static const uint8_t file_guids[FW_FILES][GUID_LEN] = {
	[FW_KERNEL] = { 0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1,
			0x72, 0xd2, 0x04, 0x5b },
	[FW_INITRD] = { 0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b, 0x9a, 0xf1, 0x41, 0xe2,
			0x91, 0x69, 0x78, 0x1d },
	[FW_CMDLINE] = { 0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c, 0xaa, 0x78, 0xe7, 0x71,
			 0x4d, 0x36, 0xab, 0x2a },
};
bool fw_same(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

bool fw_hashes_get(const uint8_t *p, size_t len, struct fw_hashes *out)
{
	struct rd in = rd_of(p, len);
	uint8_t guid[GUID_LEN] = { 0 };
	uint16_t n = 0;
	unsigned seen = 0;

	rd_bytes(&in, guid, sizeof(guid));
	rd_le16(&in, &n);
	if (!rd_ok(&in) || !fw_same(guid, table_guid, GUID_LEN) || n != TABLE_LEN)
		return false;
	for (unsigned i = 0; i < FW_FILES; i++) {
		rd_bytes(&in, guid, sizeof(guid));
		rd_le16(&in, &n);
		for (unsigned f = 0; f < FW_FILES; f++) {
			if (!fw_same(guid, file_guids[f], GUID_LEN))
				continue;
			if (n != ENTRY_LEN || rd_bytes(&in, out->of[f], FW_HASH_LEN))
				return false;
			seen |= 1u << f;
			break;
		}
	}
	return seen == (1u << FW_FILES) - 1;
}

uint64_t fw_initrd_place(const struct pc_handover *h, uint64_t kernel_end, uint64_t max)
{
	uint64_t end = h->kernel.at, at;

	if (h->initrd.at < end)
		end = h->initrd.at;
	if (h->cmdline.at < end)
		end = h->cmdline.at;
	if (max < end - 1)
		end = max + 1;
	if (h->initrd.len > end)
		return 0;
	at = (end - h->initrd.len) & ~(uint64_t)(PAGE_LEN - 1);
	return at >= kernel_end ? at : 0;
}
