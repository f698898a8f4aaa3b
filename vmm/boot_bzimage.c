/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot_bzimage.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/rdwr.h"

#define BZ_SECTOR 512u
#define BZ_BOOT_FLAG 0xaa55u
#define BZ_MAGIC 0x53726448u  /* "HdrS" */
#define BZ_VERSION_MIN 0x20cu /* first with xloadflags */
#define BZ_XLF_KERNEL_64 0x1u
#define BZ_HDR_BASE 0x202u                 /* the header ends at this plus the byte at 0x201 */
#define BZ_HDR_MIN (0x250u - BZ_HDR_START) /* up to and with payload_length */
#define BZ_SIZE_LEN 4u

struct bz_raw {
	uint8_t setup_sects, end;
	uint16_t boot_flag, version, xloadflags;
	uint32_t magic, initrd_addr_max, cmdline_size, payload_offset, payload_length;
};

static const struct {
	uint8_t magic[6];
	uint8_t len;
	enum bz_pack pack;
} bz_packs[] = {
	{ { 0x1f, 0x8b }, 2, BZ_GZIP },
	{ { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, BZ_XZ },
	{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, BZ_ZSTD },
	{ { 0x02, 0x21, 0x4c, 0x18 }, 4, BZ_LZ4 }, /* legacy format: what Linux packs with */
	{ { 0x04, 0x22, 0x4d, 0x18 }, 4, BZ_LZ4 },
	{ { 'B', 'Z', 'h' }, 3, BZ_BZIP2 },
	{ { 0x5d, 0x00, 0x00 }, 3, BZ_LZMA },
};

const char *vmm_bzimage_pack_name(enum bz_pack pack)
{
	static const char *const names[] = {
		[BZ_GZIP] = "gzip", [BZ_XZ] = "xz",       [BZ_ZSTD] = "zstd",
		[BZ_LZ4] = "lz4",   [BZ_BZIP2] = "bzip2", [BZ_LZMA] = "lzma",
	};

	return names[pack];
}

static bool bz_raw_get(const uint8_t *p, size_t len, struct bz_raw *raw)
{
	struct rd in = rd_of(p, len);

	rd_skip(&in, BZ_HDR_START);
	rd_u8(&in, &raw->setup_sects);
	rd_skip(&in, 0x1fe - 0x1f2);
	rd_le16(&in, &raw->boot_flag);
	rd_skip(&in, 1);
	rd_u8(&in, &raw->end);
	rd_le32(&in, &raw->magic);
	rd_le16(&in, &raw->version);
	rd_skip(&in, 0x22c - 0x208);
	rd_le32(&in, &raw->initrd_addr_max);
	rd_skip(&in, 0x236 - 0x230);
	rd_le16(&in, &raw->xloadflags);
	rd_le32(&in, &raw->cmdline_size);
	rd_skip(&in, 0x248 - 0x23c);
	rd_le32(&in, &raw->payload_offset);
	rd_le32(&in, &raw->payload_length);
	return rd_ok(&in);
}

bool vmm_bzimage_is(const uint8_t *p, size_t len)
{
	struct rd in = rd_of(p, len);
	uint32_t magic = 0;

	rd_skip(&in, BZ_HDR_BASE);
	return !rd_le32(&in, &magic) && magic == BZ_MAGIC;
}

static int bz_pack_find(const uint8_t *p, size_t len, enum bz_pack *out, struct err *e)
{
	for (size_t i = 0; i < sizeof(bz_packs) / sizeof(bz_packs[0]); i++) {
		if (len >= bz_packs[i].len && !memcmp(p, bz_packs[i].magic, bz_packs[i].len)) {
			*out = bz_packs[i].pack;
			return 0;
		}
	}
	return err_set(e, -ENOTSUP,
		       "packed by a method this monitor does not unpack; use a kernel packed with "
		       "gzip, xz, zstd, lz4, bzip2 or lzma, or its vmlinux");
}

/* The packed kernel; its last four bytes are its unpacked length, in gzip by that format's own
 * rule, otherwise appended by the kernel's build. */
static int bz_payload_get(const uint8_t *p, size_t len, const struct bz_raw *raw,
			  struct bzimage *bz, struct err *e)
{
	unsigned sects = raw->setup_sects ? raw->setup_sects : 4;
	uint64_t start = (sects + 1ull) * BZ_SECTOR + raw->payload_offset;
	struct rd tail;
	int r;

	if (start > len || raw->payload_length > len - start)
		return err_set(e, -ENOEXEC, "bzImage is cut short: its kernel lies beyond the end");
	if (raw->payload_length <= BZ_SIZE_LEN)
		return err_set(e, -ENOEXEC, "bzImage holds no kernel");
	r = bz_pack_find(p + start, raw->payload_length - BZ_SIZE_LEN, &bz->pack, e);
	if (r)
		return r;
	tail = rd_of(p + start + raw->payload_length - BZ_SIZE_LEN, BZ_SIZE_LEN);
	rd_le32(&tail, &bz->unpacked);
	bz->offset = start;
	bz->len = raw->payload_length - (bz->pack == BZ_GZIP ? 0 : BZ_SIZE_LEN);
	return 0;
}

int vmm_bzimage_get(const uint8_t *p, size_t len, struct bzimage *out, struct err *e)
{
	struct bzimage bz = { 0 };
	struct bz_raw raw = { 0 };
	int r;

	if (!bz_raw_get(p, len, &raw))
		return err_set(e, -ENOEXEC, "bzImage header is cut short");
	if (raw.boot_flag != BZ_BOOT_FLAG || raw.magic != BZ_MAGIC)
		return err_set(e, -ENOEXEC, "not a bzImage");
	if (raw.version < BZ_VERSION_MIN || !(raw.xloadflags & BZ_XLF_KERNEL_64))
		return err_set(e, -ENOTSUP,
			       "boot protocol %u.%02u has no 64-bit entry; use a 64-bit kernel of "
			       "Linux 3.8 or newer",
			       raw.version >> 8, raw.version & 0xff);
	bz.hdr_len = BZ_HDR_BASE + raw.end - BZ_HDR_START;
	if (bz.hdr_len < BZ_HDR_MIN)
		return err_set(e, -ENOEXEC, "bzImage header names no kernel to unpack");
	if (bz.hdr_len > BZ_HDR_MAX)
		bz.hdr_len = BZ_HDR_MAX;
	if (bz.hdr_len > len - BZ_HDR_START)
		return err_set(e, -ENOEXEC, "bzImage header is cut short");
	memcpy(bz.hdr, p + BZ_HDR_START, bz.hdr_len);
	bz.version = raw.version;
	bz.cmdline_max = raw.cmdline_size;
	bz.initrd_max = raw.initrd_addr_max;
	r = bz_payload_get(p, len, &raw, &bz, e);
	if (r)
		return r;
	*out = bz;
	return 0;
}
