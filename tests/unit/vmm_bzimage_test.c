/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vmm_kernels.h"

#include <errno.h>

#define MIB (1u << 20)

static uint8_t elf[KERNEL_ELF_LEN], bz[KERNEL_BZ_LEN];
static size_t bz_len;

static int bz_set(void **state)
{
	(void)state;
	kernel_elf_make(elf);
	bz_len = kernel_bz_make(BZ_GZIP, elf, sizeof(elf), bz);
	return 0;
}

static void refused(size_t len, int code, const char *why)
{
	struct bzimage out = { .version = 77 };
	struct err e = { 0 };

	assert_int_equal(vmm_bzimage_get(bz, len, &out, &e), code);
	assert_int_equal(out.version, 77);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void unpack_refused(int code, size_t max, const char *why)
{
	auto_buf struct buf out = { 0 };
	struct bzimage image;
	struct err e = { 0 };

	assert_int_equal(vmm_bzimage_get(bz, bz_len, &image, &e), 0);
	assert_int_equal(vmm_bzimage_unpack(&image, bz, max, &out, &e), code);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void assert_unpacks(enum bz_pack pack)
{
	auto_buf struct buf out = { 0 };
	struct bzimage image;
	struct err e = { 0 };

	if (vmm_bzimage_get(bz, bz_len, &image, &e) ||
	    vmm_bzimage_unpack(&image, bz, MIB, &out, &e))
		fail_msg("%s: %s", vmm_bzimage_pack_name(pack), e.msg);
	assert_int_equal(image.pack, pack);
	assert_int_equal(out.len, sizeof(elf));
	assert_memory_equal(out.p, elf, sizeof(elf));
}

static void unpacks_each_compression(void **state)
{
	(void)state;
	for (unsigned i = BZ_GZIP; i <= BZ_LZMA; i++) {
		bz_len = kernel_bz_make((enum bz_pack)i, elf, sizeof(elf), bz);
		assert_unpacks((enum bz_pack)i);
	}
}

static void unpacks_legacy_lz4(void **state)
{
	uint8_t payload[KERNEL_BZ_LEN];
	size_t len = kernel_lz4_legacy(elf, sizeof(elf), payload);

	(void)state;
	kernel_le32(payload + len, sizeof(elf));
	bz_len = kernel_bz_wrap(payload, len + 4, bz);
	assert_unpacks(BZ_LZ4);
}

static void keeps_the_setup_header(void **state)
{
	struct bzimage out;
	struct err e = { 0 };

	(void)state;
	assert_true(vmm_bzimage_is(bz, bz_len));
	assert_int_equal(vmm_bzimage_get(bz, bz_len, &out, &e), 0);
	assert_int_equal(out.version, 0x20f);
	assert_int_equal(out.hdr_len, 0x202 + 0x66 - 0x1f1);
	assert_memory_equal(out.hdr, bz + 0x1f1, out.hdr_len);
	assert_int_equal(out.initrd_max, 0x7fffffff);
	assert_int_equal(out.cmdline_max, 255);
}

static void takes_no_setup_sectors_as_four(void **state)
{
	struct bzimage out;
	struct err e = { 0 };

	(void)state;
	bz[0x1f1] = 0;
	memmove(bz + 0xa00 + KERNEL_BZ_OFFSET, bz + KERNEL_BZ_START + KERNEL_BZ_OFFSET,
		bz_len - KERNEL_BZ_START - KERNEL_BZ_OFFSET);
	assert_int_equal(vmm_bzimage_get(bz, sizeof(bz), &out, &e), 0);
	assert_int_equal(out.offset, 0xa00 + KERNEL_BZ_OFFSET);
}

static void refuses_every_cut(void **state)
{
	(void)state;
	for (size_t len = 0; len < bz_len; len++)
		refused(len, -ENOEXEC, "cut short");
}

static void refuses_other_files(void **state)
{
	(void)state;
	bz[0x202] = 'h';
	assert_false(vmm_bzimage_is(bz, bz_len));
	refused(bz_len, -ENOEXEC, "not a bzImage");
	bz[0x202] = 'H';
	bz[0x1fe] = 0;
	refused(bz_len, -ENOEXEC, "not a bzImage");
}

static void refuses_kernels_without_64_bit_entry(void **state)
{
	(void)state;
	bz[0x236] = 0;
	refused(bz_len, -ENOTSUP, "no 64-bit entry; use a 64-bit kernel");
	bz[0x236] = 1;
	bz[0x206] = 0x0b;
	refused(bz_len, -ENOTSUP, "boot protocol 2.11");
}

static void refuses_header_too_short_for_a_payload(void **state)
{
	(void)state;
	bz[0x201] = 0x40;
	refused(bz_len, -ENOEXEC, "names no kernel");
}

static void refuses_payload_outside_the_file(void **state)
{
	(void)state;
	kernel_le32(bz + 0x248, UINT32_MAX);
	refused(bz_len, -ENOEXEC, "lies beyond the end");
	kernel_le32(bz + 0x248, KERNEL_BZ_OFFSET);
	kernel_le32(bz + 0x24c, UINT32_MAX);
	refused(bz_len, -ENOEXEC, "lies beyond the end");
	kernel_le32(bz + 0x24c, 4);
	refused(bz_len, -ENOEXEC, "holds no kernel");
}

static void refuses_unknown_compression_with_a_remedy(void **state)
{
	(void)state;
	memcpy(bz + KERNEL_BZ_START + KERNEL_BZ_OFFSET, "\x89LZO", 4);
	refused(bz_len, -ENOTSUP, "use a kernel packed with gzip, xz, zstd, lz4, bzip2 or lzma");
}

static void refuses_a_payload_that_is_larger_than_it_promises(void **state)
{
	(void)state;
	kernel_le32(bz + bz_len - 4, 100);
	unpack_refused(-ENOEXEC, MIB, "");
	for (unsigned i = BZ_XZ; i <= BZ_LZMA; i++) {
		bz_len = kernel_bz_make((enum bz_pack)i, elf, sizeof(elf), bz);
		kernel_le32(bz + bz_len - 4, sizeof(elf) - 1);
		unpack_refused(-ENOEXEC, MIB, "to more bytes");
		kernel_le32(bz + bz_len - 4, sizeof(elf) + 1);
		unpack_refused(-ENOEXEC, MIB, "to fewer bytes");
	}
}

static void refuses_a_promise_above_the_bound_unseen(void **state)
{
	(void)state;
	kernel_le32(bz + bz_len - 4, UINT32_MAX);
	unpack_refused(-EFBIG, MIB, "more than 1048576");
}

static void refuses_damaged_payload(void **state)
{
	(void)state;
	for (unsigned i = BZ_GZIP; i <= BZ_LZMA; i++) {
		bz_len = kernel_bz_make((enum bz_pack)i, elf, sizeof(elf), bz);
		memset(bz + KERNEL_BZ_START + KERNEL_BZ_OFFSET + 13, 0xff,
		       bz_len - KERNEL_BZ_START - KERNEL_BZ_OFFSET - 13 - 4);
		unpack_refused(-ENOEXEC, MIB, "kernel");
	}
}

#define bz_test(f) cmocka_unit_test_setup(f, bz_set)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bz_test(unpacks_each_compression),
		bz_test(unpacks_legacy_lz4),
		bz_test(keeps_the_setup_header),
		bz_test(takes_no_setup_sectors_as_four),
		bz_test(refuses_every_cut),
		bz_test(refuses_other_files),
		bz_test(refuses_kernels_without_64_bit_entry),
		bz_test(refuses_header_too_short_for_a_payload),
		bz_test(refuses_payload_outside_the_file),
		bz_test(refuses_unknown_compression_with_a_remedy),
		bz_test(refuses_a_payload_that_is_larger_than_it_promises),
		bz_test(refuses_a_promise_above_the_bound_unseen),
		bz_test(refuses_damaged_payload),
	};

	return cmocka_run_group_tests_name("vmm_bzimage", tests, NULL, NULL);
}
