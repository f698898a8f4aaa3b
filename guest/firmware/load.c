/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files come in shared memory, which the host may change at any moment. So each piece is copied to
 * where it belongs in private memory first, and what is hashed is the copy.
 */

#include <string.h>

#include <bearssl/bearssl_hash.h>

#include <asm/bootparam.h>

#include "guest/firmware/firmware.h"

#include "base/gpa.h"
#include "base/rdwr.h"

#define GUID_LEN 16u
#define TABLE_LEN 168u
#define ENTRY_LEN 50u
#define CHUNK 4096u

_Static_assert(sizeof(struct setup_header) <= PC_SETUP_LEN, "all of the setup header is there");

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
static const char *const file_names[FW_FILES] = {
	[FW_KERNEL] = "kernel",
	[FW_INITRD] = "initial RAM disk",
	[FW_CMDLINE] = "command line",
};

static bool same(const uint8_t *a, const uint8_t *b, size_t len)
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
	if (!rd_ok(&in) || !same(guid, table_guid, GUID_LEN) || n != TABLE_LEN)
		return false;
	for (unsigned i = 0; i < FW_FILES; i++) {
		rd_bytes(&in, guid, sizeof(guid));
		rd_le16(&in, &n);
		for (unsigned f = 0; f < FW_FILES; f++) {
			if (!same(guid, file_guids[f], GUID_LEN))
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

/* From shared to private memory, hashed there; a piece at a time, while it is in the cache. */
static void take(br_sha256_context *hash, uint64_t to, uint64_t from, uint64_t len)
{
	while (len) {
		size_t n = len < CHUNK ? len : CHUNK;

		memcpy(fw_private(to), fw_shared(from), n);
		br_sha256_update(hash, fw_private(to), n);
		to += n;
		from += n;
		len -= n;
	}
}

static void check(const br_sha256_context *hash, const struct fw_hashes *want, enum fw_file f)
{
	uint8_t is[FW_HASH_LEN];

	br_sha256_out(hash, is);
	if (!same(is, want->of[f], FW_HASH_LEN))
		fw_die("the %s is not the measured one", file_names[f]);
	fw_say("%s verified", file_names[f]);
}

static void kernel_load(const struct pc_handover *h, const struct fw_hashes *want,
			struct fw_loaded *out)
{
	static uint8_t head[PC_KERNEL_HEAD_LEN];
	struct pc_kernel *k = &out->kernel;
	uint64_t from = h->kernel.at + sizeof(head);
	br_sha256_context hash;
	const char *why;

	br_sha256_init(&hash);
	if (h->kernel.len < sizeof(head))
		fw_die("the host hands over a kernel without a head");
	take(&hash, (uintptr_t)head, h->kernel.at, sizeof(head));
	why = pc_kernel_get(head, h->kernel.len, k);
	if (!why)
		why = pc_kernel_fits(k, h);
	if (why)
		fw_die("the host hands over %s", why);
	for (uint32_t i = 0; i < k->nseg; i++) {
		const struct pc_segment *s = &k->seg[i];

		take(&hash, s->at, from, s->filesz);
		memset(fw_private(s->at + s->filesz), 0, s->memsz - s->filesz);
		from += s->filesz;
	}
	check(&hash, want, FW_KERNEL);
}

static void initrd_load(const struct pc_handover *h, const struct fw_hashes *want,
			struct fw_loaded *out)
{
	struct setup_header setup;
	br_sha256_context hash;

	memcpy(&setup, out->kernel.setup, sizeof(setup));
	br_sha256_init(&hash);
	if (h->initrd.len) {
		out->initrd_at =
			fw_initrd_place(h, pc_kernel_end(&out->kernel), setup.initrd_addr_max);
		if (!out->initrd_at)
			fw_die("no room for an initial RAM disk of %u bytes", h->initrd.len);
		out->initrd_len = h->initrd.len;
		take(&hash, out->initrd_at, h->initrd.at, h->initrd.len);
	}
	check(&hash, want, FW_INITRD);
}

static void cmdline_load(const struct pc_handover *h, const struct fw_hashes *want,
			 struct fw_loaded *out)
{
	br_sha256_context hash;

	br_sha256_init(&hash);
	out->cmdline_at = FW_CMDLINE_AT;
	take(&hash, out->cmdline_at, h->cmdline.at, h->cmdline.len);
	check(&hash, want, FW_CMDLINE);
	if (fw_private(out->cmdline_at)[h->cmdline.len - 1])
		fw_die("the command line has no end");
}

void fw_load(const struct pc_handover *h, const struct fw_hashes *want, struct fw_loaded *out)
{
	kernel_load(h, want, out);
	initrd_load(h, want, out);
	cmdline_load(h, want, out);
}
