/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/auto.h"
#include "vmm/boot_bzimage.h"

#define UNPACK_STEP (1u << 20)

static void unpack_free(struct archive *a)
{
	archive_read_free(a);
}
DEFINE_AUTO(unpack, struct archive *, unpack_free)

/* Only the one filter, so that the payload's bytes cannot choose another; the ones that would run a
 * program do not answer ARCHIVE_OK. */
static int unpack_filter(struct archive *a, enum bz_pack pack)
{
	static int (*const filters[])(struct archive *) = {
		[BZ_GZIP] = archive_read_support_filter_gzip,
		[BZ_XZ] = archive_read_support_filter_xz,
		[BZ_ZSTD] = archive_read_support_filter_zstd,
		[BZ_LZ4] = archive_read_support_filter_lz4,
		[BZ_BZIP2] = archive_read_support_filter_bzip2,
		[BZ_LZMA] = archive_read_support_filter_lzma,
	};

	return filters[pack](a) == ARCHIVE_OK ? 0 : -ENOTSUP;
}

static int unpack_all(struct archive *a, const struct bzimage *bz, struct buf *out, struct err *e)
{
	const char *name = vmm_bzimage_pack_name(bz->pack);

	for (;;) {
		size_t room = (size_t)bz->unpacked - out->len + 1; /* one more shows a bomb */
		la_ssize_t n;
		int r = buf_reserve(out, room < UNPACK_STEP ? room : UNPACK_STEP, e);

		if (r)
			return r;
		n = archive_read_data(a, out->p + out->len,
				      room < UNPACK_STEP ? room : UNPACK_STEP);
		if (n < 0)
			return err_set(e, -ENOEXEC, "kernel does not unpack (%s): %s", name,
				       archive_error_string(a));
		if (n == 0)
			break;
		out->len += (size_t)n;
		if (out->len > bz->unpacked)
			break;
	}
	if (out->len != bz->unpacked)
		return err_set(e, -ENOEXEC,
			       "kernel unpacks (%s) to %s bytes than the %" PRIu32 " it promises",
			       name, out->len > bz->unpacked ? "more" : "fewer", bz->unpacked);
	return 0;
}

int vmm_bzimage_unpack(const struct bzimage *bz, const uint8_t *p, size_t max, struct buf *out,
		       struct err *e)
{
	auto_of(unpack) struct archive *a = archive_read_new();
	struct archive_entry *entry;

	buf_reset(out);
	if (!a)
		return err_set(e, -ENOMEM, "no memory to unpack the kernel");
	if (bz->unpacked > max)
		return err_set(e, -EFBIG, "kernel unpacks to %" PRIu32 " bytes, more than %zu",
			       bz->unpacked, max);
	if (unpack_filter(a, bz->pack))
		return err_set(e, -ENOTSUP, "libarchive was built without %s",
			       vmm_bzimage_pack_name(bz->pack));
	if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, p + bz->offset, (size_t)bz->len) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return err_set(e, -ENOEXEC, "kernel does not unpack (%s): %s",
			       vmm_bzimage_pack_name(bz->pack), archive_error_string(a));
	return unpack_all(a, bz, out, e);
}
