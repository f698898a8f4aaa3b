/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of the firmware that need no processor of their own, and the image as others read it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <asm/bootparam.h>

#include "base/buf.h"
#include "base/fd.h"
#include "guest/firmware/firmware.h"
#include "owner/guidtable.h"
#include "owner/hashes.h"

#define MIB (1ull << 20)

/* --- what the host offers -----------------------------------------------------------------------
 */

static struct {
	uint32_t kvm_at, last, features;
} host;

static void fake_cpuid(uint32_t leaf, struct fw_cpuid *out)
{
	*out = (struct fw_cpuid){ 0 };
	if (leaf == 0x40000000 && host.kvm_at != leaf)
		*out = (struct fw_cpuid){ 0x40000010, 0x7263694d, 0x666f736f, 0x76482074 };
	if (host.kvm_at && leaf == host.kvm_at)
		*out = (struct fw_cpuid){ host.last, 0x4b4d564b, 0x564b4d56, 0x4d };
	if (host.kvm_at && leaf == host.kvm_at + 1)
		out->eax = host.features;
}

static uint32_t found(uint32_t kvm_at, uint32_t last, uint32_t features)
{
	host.kvm_at = kvm_at;
	host.last = last;
	host.features = features;
	return fw_kvm_features(fake_cpuid);
}

static void kvm_is_found_at_each_place_where_it_may_be(void **state)
{
	(void)state;
	for (uint32_t at = 0x40000000; at < 0x40010000; at += 0x100)
		assert_int_equal(found(at, at + 1, 0x31234), 0x31234);
	assert_int_equal(found(0, 0, 0x31234), 0);
	assert_int_equal(found(0x40010000, 0x40010001, 0x31234), 0);
	assert_int_equal(found(0x40000080, 0x40000081, 0x31234), 0);
}

static void kvm_that_names_no_last_leaf_means_the_second(void **state)
{
	(void)state;
	assert_int_equal(found(0x40000000, 0, 0x30000), 0x30000);
	assert_int_equal(found(0x40000100, 0x40000100, 0x30000), 0);
}

static void migration_takes_both_bits(void **state)
{
	(void)state;
	assert_true(fw_can_migrate(0x30000));
	assert_false(fw_can_migrate(0x10000));
	assert_false(fw_can_migrate(0x20000));
	assert_false(fw_can_migrate(0xfffcffff));
}

/* --- page state ---------------------------------------------------------------------------------
 */

static struct {
	unsigned calls;
	uint64_t nr, a, b, c;
	int64_t ret;
} called;

static int64_t fake_call(uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	called.calls++;
	called.nr = nr;
	called.a = a;
	called.b = b;
	called.c = c;
	return called.ret;
}

static int64_t report(uint32_t features, uint64_t at, uint64_t len, bool shared)
{
	memset(&called, 0, sizeof(called));
	return fw_pages_report(features, fake_call, at, len, shared);
}

static void each_change_is_told_in_whole_pages_that_contain_it(void **state)
{
	(void)state;
	assert_int_equal(report(0x30000, 0x101000, 0x1000, true), 0);
	assert_int_equal(called.nr, 12);
	assert_int_equal(called.a, 0x101000);
	assert_int_equal(called.b, 1);
	assert_int_equal(called.c, 0);
	assert_int_equal(report(0x30000, 0x101fff, 2, false), 0);
	assert_int_equal(called.a, 0x101000);
	assert_int_equal(called.b, 2);
	assert_int_equal(called.c, 0x10);
	assert_int_equal(report(0x30000, 0x101001, 0x1000, true), 0);
	assert_int_equal(called.a, 0x101000);
	assert_int_equal(called.b, 2);
	assert_int_equal(report(0x30000, 0x101001, 0xfff, true), 0);
	assert_int_equal(called.b, 1);
	assert_int_equal(report(0x30000, 0x101001, 0, true), 0);
	assert_int_equal(called.calls, 0);
}

static void a_host_that_cannot_be_told_is_no_error_and_one_that_refuses_is(void **state)
{
	(void)state;
	assert_int_equal(report(0x20000, 0x101000, 0x1000, true), 0);
	assert_int_equal(called.calls, 0);
	memset(&called, 0, sizeof(called));
	called.ret = -22;
	assert_int_equal(fw_pages_report(0x10000, fake_call, 0, 4096, true), -22);
}

/* --- files --------------------------------------------------------------------------------------
 */

static void the_hashes_are_those_that_the_owner_computes(void **state)
{
	const struct owner_boot boot = { (const uint8_t *)"kernel", 6, NULL, 0, "quiet" };
	uint8_t table[OWNER_HASHES_LEN], other[OWNER_HASHES_LEN];
	struct fw_hashes got;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_hashes_make(&boot, table, &e), 0);
	assert_true(fw_hashes_get(table, sizeof(table), &got));
	assert_memory_equal(got.of[FW_CMDLINE], table + 18 + 18, FW_HASH_LEN);
	assert_memory_equal(got.of[FW_INITRD], table + 18 + 50 + 18, FW_HASH_LEN);
	assert_memory_equal(got.of[FW_KERNEL], table + 18 + 100 + 18, FW_HASH_LEN);
	for (size_t i = 0; i < 168; i++)
		assert_false(fw_hashes_get(table, i, &got));
	for (size_t i = 0; i < 168; i++) {
		bool hash = i >= 18 && (i - 18) % 50 >= 18;

		memcpy(other, table, sizeof(table));
		other[i] ^= 1;
		assert_int_equal(fw_hashes_get(other, sizeof(other), &got), hash);
	}
}

static void the_initial_ram_disk_goes_between_the_kernel_and_what_is_handed_over(void **state)
{
	struct pc_handover h = { .kernel = { 100 * MIB, 10 * MIB },
				 .initrd = { 110 * MIB, 8 * MIB + 1 },
				 .cmdline = { 127 * MIB, 9 } };

	(void)state;
	assert_int_equal(fw_initrd_place(&h, 40 * MIB, UINT32_MAX), 92 * MIB - 4096);
	assert_int_equal(fw_initrd_place(&h, 92 * MIB - 4096, UINT32_MAX), 92 * MIB - 4096);
	assert_int_equal(fw_initrd_place(&h, 92 * MIB - 4095, UINT32_MAX), 0);
	assert_int_equal(fw_initrd_place(&h, 40 * MIB, 60 * MIB - 1), 52 * MIB - 4096);
	h.cmdline.at = 20 * MIB;
	assert_int_equal(fw_initrd_place(&h, 1 * MIB, UINT32_MAX), 12 * MIB - 4096);
	h.initrd.len = 40 * MIB;
	assert_int_equal(fw_initrd_place(&h, 1 * MIB, UINT32_MAX), 0);
}

/* --- memory map ---------------------------------------------------------------------------------
 */

static void all_ram_is_given_out_but_for_what_the_firmware_keeps(void **state)
{
	const struct pc_handover h = { .nram = 2,
				       .ram = { { 0, 3072 * MIB }, { 4096 * MIB, 1024 * MIB } } };
	const uint64_t image = 0xfffe0000;
	struct fw_area a[FW_AREAS_MAX];
	unsigned n = fw_areas(&h, image, a), runtime = 0;
	uint64_t end = 0, ram = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		assert_true(a[i].at >= end && a[i].end > a[i].at);
		end = a[i].end;
		if (a[i].kind == FW_RAM)
			ram += a[i].end - a[i].at;
		if (a[i].kind == FW_RUNTIME) {
			assert_int_equal(a[i].at, image);
			assert_int_equal(a[i].end, 4096 * MIB);
			runtime++;
		}
		if (a[i].kind == FW_RAM && a[i].at < MIB)
			assert_true(a[i].end <= FIRMWARE_SECRET_AT);
	}
	assert_int_equal(runtime, 1);
	assert_int_equal(ram, 4096 * MIB - (MIB - 0x80000));
	assert_int_equal(end, 5120 * MIB);
}

static void a_small_guest_has_the_image_last(void **state)
{
	const struct pc_handover h = { .nram = 1, .ram = { { 0, 32 * MIB } } };
	struct fw_area a[FW_AREAS_MAX];
	unsigned n = fw_areas(&h, 0xfffe0000, a);

	(void)state;
	assert_int_equal(a[n - 1].kind, FW_RUNTIME);
	assert_int_equal(a[n - 2].kind, FW_RAM);
	assert_int_equal(a[n - 2].at, MIB);
	assert_int_equal(a[n - 2].end, 32 * MIB);
}

static void boot_params_say_what_was_loaded_and_where(void **state)
{
	const struct fw_area areas[] = { { 0, 0x80000, FW_RAM }, { 0xe0000, 0xe1000, FW_ACPI } };
	struct fw_loaded l = { .initrd_at = 64 * MIB, .initrd_len = 12345, .cmdline_at = 0x20000 };
	struct setup_header header = { .header = 0x53726448, .version = 0x20f };
	struct boot_params p;

	(void)state;
	memcpy(l.kernel.setup, &header, sizeof(header));
	memset(&p, 0xaa, sizeof(p));
	fw_params_fill(&p, &l, areas, 2);
	assert_int_equal(p.hdr.header, 0x53726448);
	assert_int_equal(p.hdr.ramdisk_image, 64 * MIB);
	assert_int_equal(p.hdr.ramdisk_size, 12345);
	assert_int_equal(p.hdr.cmd_line_ptr, 0x20000);
	assert_int_equal(p.hdr.type_of_loader, 0xff);
	assert_int_equal(p.acpi_rsdp_addr, 0xe0000);
	assert_int_equal(p.e820_entries, 2);
	assert_int_equal(p.e820_table[1].addr, 0xe0000);
	assert_int_equal(p.e820_table[1].size, 0x1000);
	assert_int_equal(p.e820_table[1].type, 3);
	assert_int_equal(p.efi_info.efi_systab, 0);
}

/* --- the image ----------------------------------------------------------------------------------
 */

static void the_owner_reads_the_guid_table_of_the_image(void **state)
{
	auto_buf struct buf image = { 0 };
	struct owner_guidtable t;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fd_file_read(FIRMWARE_IMAGE, FIRMWARE_LEN_MAX, &image, &e), 0);
	assert_int_equal(image.len % 4096, 0);
	assert_int_equal(owner_guidtable_get(image.p, image.len, &t, &e), 0);
	assert_int_equal(t.secret.base, FIRMWARE_SECRET_AT);
	assert_int_equal(t.secret.size, FIRMWARE_SECRET_LEN);
	assert_int_equal(t.hashes.base, FIRMWARE_HASHES_AT);
	assert_int_equal(t.hashes.size, FIRMWARE_HASHES_LEN);
	/* Real mode's CS base and IP: code in the last 64 KiB. */
	assert_true(t.es_reset >= 0xffff0000);
}

static void the_metadata_of_the_image_is_where_its_table_says(void **state)
{
	auto_buf struct buf image = { 0 };
	const uint8_t *data = NULL;
	struct err e = { 0 };
	uint32_t off = 0, n = 0;
	size_t len = 0;

	(void)state;
	assert_int_equal(fd_file_read(FIRMWARE_IMAGE, FIRMWARE_LEN_MAX, &image, &e), 0);
	assert_int_equal(owner_guidtable_find(image.p, image.len,
					      "dc886566-984a-4798-a75e-5585a7bf67cc", &data, &len,
					      &e),
			 0);
	assert_int_equal(len, sizeof(off));
	memcpy(&off, data, sizeof(off));
	assert_in_range(off, 16, image.len);
	data = image.p + image.len - off;
	assert_memory_equal(data, "ASEV", 4);
	memcpy(&len, data + 4, 4);
	memcpy(&n, data + 12, 4);
	assert_int_equal((uint32_t)len, 16 + 12 * n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kvm_is_found_at_each_place_where_it_may_be),
		cmocka_unit_test(kvm_that_names_no_last_leaf_means_the_second),
		cmocka_unit_test(migration_takes_both_bits),
		cmocka_unit_test(each_change_is_told_in_whole_pages_that_contain_it),
		cmocka_unit_test(a_host_that_cannot_be_told_is_no_error_and_one_that_refuses_is),
		cmocka_unit_test(the_hashes_are_those_that_the_owner_computes),
		cmocka_unit_test(
			the_initial_ram_disk_goes_between_the_kernel_and_what_is_handed_over),
		cmocka_unit_test(all_ram_is_given_out_but_for_what_the_firmware_keeps),
		cmocka_unit_test(a_small_guest_has_the_image_last),
		cmocka_unit_test(boot_params_say_what_was_loaded_and_where),
		cmocka_unit_test(the_owner_reads_the_guid_table_of_the_image),
		cmocka_unit_test(the_metadata_of_the_image_is_where_its_table_says),
	};

	return cmocka_run_group_tests_name("firmware", tests, NULL, NULL);
}
