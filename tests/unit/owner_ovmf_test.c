/* SPDX-License-Identifier: Apache-2.0 */

/* Every image of Debian's ovmf 2022.11 says what was read out of it by hand. Needs the package, or
 * a folder it was unpacked to, named by SEVMIG_OVMF_ROOT. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/rdwr.h"
#include "owner/guidtable.h"

#define METADATA "dc886566-984a-4798-a75e-5585a7bf67cc"
#define TDX "e47a6535-984a-4798-865e-4685a7bf8ec2"
#define IMAGE_MAX (64u << 20)

static const struct image {
	const char *path;
	size_t len;
	unsigned entries; /* 0: no table */
	uint32_t es_reset, metadata, tdx;
} images[] = {
	{ "/usr/share/OVMF/OVMF_CODE.fd", 0x1e0000, 5, 0x80b004, 0x52c, 0x840 },
	{ "/usr/share/OVMF/OVMF_CODE.ms.fd", 0x1e0000, 5, 0x80b004, 0x52c, 0x840 },
	{ "/usr/share/OVMF/OVMF_CODE.secboot.fd", 0x1e0000, 5, 0x80b004, 0x52c, 0x840 },
	{ "/usr/share/ovmf/OVMF.fd", 0x200000, 5, 0x80b004, 0x52c, 0x840 },
	{ "/usr/share/OVMF/OVMF_CODE_4M.fd", 0x37c000, 3, 0x808004, 0, 0 },
	{ "/usr/share/OVMF/OVMF_CODE_4M.ms.fd", 0x37c000, 3, 0x808004, 0, 0 },
	{ "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", 0x37c000, 3, 0x808004, 0, 0 },
	{ "/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd", 0x37c000, 3, 0x808004, 0, 0 },
	{ "/usr/share/OVMF/OVMF_VARS.fd", 0x20000, 0, 0, 0, 0 },
	{ "/usr/share/OVMF/OVMF_VARS.ms.fd", 0x20000, 0, 0, 0, 0 },
	{ "/usr/share/OVMF/OVMF_VARS_4M.fd", 0x84000, 0, 0, 0, 0 },
	{ "/usr/share/OVMF/OVMF_VARS_4M.ms.fd", 0x84000, 0, 0, 0, 0 },
	{ "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd", 0x84000, 0, 0, 0, 0 },
};
#define IMAGES (sizeof(images) / sizeof(images[0]))

static void path_of(const struct image *i, char *out, size_t len)
{
	const char *root = getenv("SEVMIG_OVMF_ROOT");

	snprintf(out, len, "%s%s", root ? root : "", i->path);
}

static void need_ovmf(void)
{
	const char *must = getenv("SEVMIG_MUST_WORK_OVMF");
	char path[4096];

	path_of(&images[0], path, sizeof(path));
	if (access(path, R_OK) == 0)
		return;
	if (must && *must)
		fail_msg("%s must be there and is not", path);
	print_message("# no %s: install the package ovmf\n", path);
	skip();
}

/* An entry that says how far before the end of the image something stands. */
static void offset_expected(const struct buf *b, const char *guid, uint32_t want,
			    const char *signature)
{
	const uint8_t *data = NULL;
	struct err e = { 0 };
	uint32_t got = 0;
	size_t len = 0;
	int r = owner_guidtable_find(b->p, b->len, guid, &data, &len, &e);
	struct rd in = rd_of(data, len);

	assert_int_equal(r, want ? 0 : -ENOENT);
	if (!want)
		return;
	rd_le32(&in, &got);
	assert_true(rd_done(&in));
	assert_int_equal(got, want);
	assert_memory_equal(b->p + b->len - got, signature, 4);
}

static void image_check(const struct image *i)
{
	auto_buf struct buf b = { 0 };
	struct owner_guidtable t = { 0 };
	struct err e = { 0 };
	char path[4096];
	int r;

	path_of(i, path, sizeof(path));
	assert_int_equal(fd_file_read(path, IMAGE_MAX, &b, &e), 0);
	assert_int_equal(b.len, i->len);
	r = owner_guidtable_get(b.p, b.len, &t, &e);
	assert_int_equal(r, i->entries ? 0 : -ENOENT);
	if (!i->entries)
		return;
	assert_int_equal(t.entries, i->entries);
	assert_int_equal(t.es_reset, i->es_reset);
	assert_int_equal(t.secret.base | t.secret.size, 0); /* present, but absent */
	assert_int_equal(t.hashes.base | t.hashes.size, 0);
	offset_expected(&b, METADATA, i->metadata, "ASEV");
	offset_expected(&b, TDX, i->tdx, "TDVF");
}

static void debian_s_images_say_what_they_do(void **state)
{
	(void)state;
	need_ovmf();
	for (size_t i = 0; i < IMAGES; i++)
		image_check(&images[i]);
}

static void a_cut_image_has_no_table_or_a_damaged_one(void **state)
{
	auto_buf struct buf b = { 0 };
	struct owner_guidtable t;
	struct err e = { 0 };
	char path[4096];

	(void)state;
	need_ovmf();
	path_of(&images[0], path, sizeof(path));
	assert_int_equal(fd_file_read(path, IMAGE_MAX, &b, &e), 0);
	for (size_t cut = 1; cut < 0x200; cut++) {
		uint8_t *end = malloc(cut); /* of its own, so that reading before it is seen */

		assert_non_null(end);
		memcpy(end, b.p + b.len - cut, cut);
		assert_int_equal(owner_guidtable_get(b.p, b.len - cut, &t, &e), -ENOENT);
		if (owner_guidtable_get(end, cut, &t, &e) == 0)
			assert_true(cut >= 0x20 + 0x88);
		free(end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(debian_s_images_say_what_they_do),
		cmocka_unit_test(a_cut_image_has_no_table_or_a_damaged_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
