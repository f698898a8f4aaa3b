/* SPDX-License-Identifier: Apache-2.0 */

/* UEFI's tables and variables as Linux finds them, called as it calls them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/firmware/efi.h"

typedef uint64_t EFI_CALL get_fn(const uint16_t *, const struct fw_guid *, uint32_t *, uint64_t *,
				 void *);
typedef uint64_t EFI_CALL next_fn(uint64_t *, uint16_t *, struct fw_guid *);
typedef uint64_t EFI_CALL set_fn(const uint16_t *, const struct fw_guid *, uint32_t, uint64_t,
				 const void *);
typedef uint64_t EFI_CALL virtual_fn(uint64_t, uint64_t, uint32_t, const void *);

/* 0cf29b71-9e51-433a-a3b7-81f3ab16b875 */
static const struct fw_guid sev = { { 0x71, 0x9b, 0xf2, 0x0c, 0x51, 0x9e, 0x3a, 0x43, 0xa3, 0xb7,
				      0x81, 0xf3, 0xab, 0x16, 0xb8, 0x75 } };
static const uint16_t name[] = { 'S', 'e', 'v', 'L', 'i', 'v', 'e', 'M', 'i', 'g', 'r', 'a',
				 't', 'i', 'o', 'n', 'E', 'n', 'a', 'b', 'l', 'e', 'd', 0 };
static uint8_t map[FW_AREAS_MAX * FW_EFI_MEMORY_LEN];
static const struct fw_area areas[] = { { 0, 0x80000, FW_RAM },
					{ 0x80000, 0xa0000, FW_RESERVED },
					{ 0xe0000, 0xe1000, FW_ACPI },
					{ 0x100000, 0x8000000, FW_RAM },
					{ 0xfffe0000, 0x100000000, FW_RUNTIME } };

/* The tables as they are after the firmware; the area of the image is as large as the tests need it
 * for their own pointers. */
static size_t make(bool can_migrate)
{
	size_t n = sizeof(areas) / sizeof(areas[0]);

	return fw_efi_make(&fw_efi, 0xfffe0000, can_migrate, areas, (unsigned)n, map);
}

static void *call(unsigned nr)
{
	return (void *)(uintptr_t)fw_efi.runtime.call[nr];
}

static void linux_is_told_when_the_guest_may_move(void **state)
{
	get_fn *get;
	uint32_t attributes = 0;
	uint64_t len = 0;
	uint8_t v = 0;

	(void)state;
	make(true);
	get = (get_fn *)call(EFI_GET_VARIABLE);
	assert_true(get(name, &sev, NULL, &len, NULL) == EFI_BUFFER_TOO_SMALL);
	assert_int_equal(len, 1);
	assert_true(get(name, &sev, &attributes, &len, &v) == EFI_SUCCESS);
	assert_int_equal(v, 1);
	assert_int_equal(len, 1);
	assert_int_equal(attributes, EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS);
}

static void the_variable_is_absent_where_the_host_offers_nothing(void **state)
{
	uint64_t len = 1;
	get_fn *get;
	uint8_t v;

	(void)state;
	make(true);
	make(false); /* never stale */
	get = (get_fn *)call(EFI_GET_VARIABLE);
	assert_true(get(name, &sev, NULL, &len, &v) == EFI_NOT_FOUND);
}

static void another_vendor_s_variable_of_that_name_is_not_there(void **state)
{
	struct fw_guid other = sev;
	uint16_t longer[25];
	uint64_t len = 1;
	get_fn *get;
	uint8_t v;

	(void)state;
	make(true);
	get = (get_fn *)call(EFI_GET_VARIABLE);
	other.b[15] ^= 1;
	assert_true(get(name, &other, NULL, &len, &v) == EFI_NOT_FOUND);
	memcpy(longer, name, sizeof(name));
	longer[23] = 'X';
	longer[24] = 0;
	assert_true(get(longer, &sev, NULL, &len, &v) == EFI_NOT_FOUND);
	assert_true(get(name, &sev, NULL, NULL, &v) == EFI_INVALID_PARAMETER);
}

static void the_variables_are_enumerated_once_each(void **state)
{
	uint16_t at[64] = { 0 };
	struct fw_guid vendor;
	uint64_t len = 4;
	next_fn *next;

	(void)state;
	make(true);
	next = (next_fn *)call(EFI_NEXT_VARIABLE);
	assert_true(next(&len, at, &vendor) == EFI_BUFFER_TOO_SMALL);
	assert_int_equal(len, sizeof(name));
	assert_int_equal(at[0], 0);
	assert_true(next(&len, at, &vendor) == EFI_SUCCESS);
	assert_memory_equal(at, name, sizeof(name));
	assert_memory_equal(&vendor, &sev, sizeof(sev));
	len = sizeof(at);
	assert_true(next(&len, at, &vendor) == EFI_NOT_FOUND);
	at[0] = 'x';
	assert_true(next(&len, at, &vendor) == EFI_INVALID_PARAMETER);
}

static void nothing_can_be_written_once_the_system_runs(void **state)
{
	static const uint16_t fresh[] = { 'x', 0 };
	uint64_t len = 1;
	uint8_t v = 0;
	set_fn *set;

	(void)state;
	make(true);
	set = (set_fn *)call(EFI_SET_VARIABLE);
	assert_true(set(name, &sev, 6, 1, &v) == EFI_WRITE_PROTECTED);
	assert_true(set(name, &sev, 0, 0, NULL) == EFI_WRITE_PROTECTED);
	assert_true(set(fresh, &sev, 7, 1, &v) == EFI_OUT_OF_RESOURCES);
	assert_true(set(fresh, &sev, 6, 1, &v) == EFI_INVALID_PARAMETER);
	assert_true(set(fresh, &sev, 7, 0, NULL) == EFI_NOT_FOUND);
	assert_true(((get_fn *)call(EFI_GET_VARIABLE))(name, &sev, NULL, &len, &v) == EFI_SUCCESS);
	assert_int_equal(v, 1);
}

static void the_store_refuses_what_does_not_fit(void **state)
{
	static const uint8_t data[FW_VAR_DATA_MAX + 1];
	struct fw_vars s = { 0 };

	(void)state;
	assert_false(fw_vars_add(&s, "long", &sev, data, sizeof(data)));
	assert_false(fw_vars_add(&s, "0123456789012345678901234567890X", &sev, data, 1));
	for (unsigned i = 0; i < FW_VARS_MAX; i++)
		assert_true(fw_vars_add(&s, "0123456789012345678901234567890", &sev, data, 64));
	assert_false(fw_vars_add(&s, "more", &sev, data, 1));
}

static const struct efi_memory *descriptor(size_t i)
{
	return (const struct efi_memory *)(const void *)(map + i * FW_EFI_MEMORY_LEN);
}

static void the_memory_map_has_what_linux_must_keep(void **state)
{
	size_t len = make(true);

	(void)state;
	assert_int_equal(len, 5 * FW_EFI_MEMORY_LEN);
	assert_int_equal(descriptor(0)->type, 7);
	assert_int_equal(descriptor(1)->type, 0);
	assert_int_equal(descriptor(2)->type, 9);
	assert_int_equal(descriptor(3)->pages, (0x8000000 - 0x100000) / 4096);
	assert_int_equal(descriptor(4)->type, 5);
	assert_true(descriptor(4)->attributes == ((1ull << 63) | 8));
	assert_int_equal(descriptor(4)->at, 0xfffe0000);
}

static uint32_t crc_of(const struct efi_header *h)
{
	uint8_t bytes[256];
	uint32_t crc = 0xffffffff;

	memcpy(bytes, h, h->len);
	memset(bytes + 16, 0, 4);
	for (uint32_t i = 0; i < h->len; i++)
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc ^ bytes[i] >> bit) & 1 ? 0xedb88320u : 0);
	return ~crc;
}

static void both_tables_have_their_signature_and_checksum(void **state)
{
	(void)state;
	make(true);
	assert_memory_equal(&fw_efi.system.h, "IBI SYST", 8);
	assert_memory_equal(&fw_efi.runtime.h, "RUNTSERV", 8);
	assert_int_equal(fw_efi.system.h.crc32, crc_of(&fw_efi.system.h));
	assert_int_equal(fw_efi.runtime.h.crc32, crc_of(&fw_efi.runtime.h));
	assert_int_equal(fw_efi.system.boot, 0);
}

static void the_owner_s_secret_is_found_through_its_table(void **state)
{
	/* adf956ad-e98c-484c-ae11-b51c7d336447 */
	static const uint8_t guid[] = { 0xad, 0x56, 0xf9, 0xad, 0x8c, 0xe9, 0x4c, 0x48,
					0xae, 0x11, 0xb5, 0x1c, 0x7d, 0x33, 0x64, 0x47 };
	unsigned seen = 0;

	(void)state;
	make(false);
	for (uint64_t i = 0; i < fw_efi.system.ntable; i++) {
		const uint64_t *area = (const uint64_t *)(uintptr_t)fw_efi.table[i].at;

		if (memcmp(fw_efi.table[i].guid.b, guid, sizeof(guid)) != 0)
			continue;
		assert_int_equal(area[0], FIRMWARE_SECRET_AT);
		assert_int_equal(area[1], FIRMWARE_SECRET_LEN);
		seen++;
	}
	assert_int_equal(seen, 1);
}

static void pointers_move_once_to_where_linux_maps_the_image(void **state)
{
	struct efi_memory m = { .type = 5 };
	uint64_t was[EFI_CALLS], by;
	virtual_fn *set_virtual;

	(void)state;
	make(true);
	set_virtual = (virtual_fn *)call(EFI_SET_VIRTUAL);
	/* Here the image is this process' own. */
	fw_efi.base = ((uintptr_t)&fw_efi & ~0xfffull) - (256 << 20);
	fw_efi.end = fw_efi.base + (512 << 20);
	memcpy(was, fw_efi.runtime.call, sizeof(was));
	m.at = fw_efi.base;
	m.pages = (512 << 20) / 4096;
	m.virtual_at = 0xffffffef00000000;
	by = m.virtual_at - m.at;
	assert_true(set_virtual(sizeof(m), sizeof(m) - 8, 1, &m) == EFI_INVALID_PARAMETER);
	assert_true(set_virtual(sizeof(m), sizeof(m), 2, &m) == EFI_INVALID_PARAMETER);
	assert_true(set_virtual(0, sizeof(m), 1, &m) == EFI_NOT_FOUND);
	assert_true(set_virtual(sizeof(m), sizeof(m), 1, &m) == EFI_SUCCESS);
	for (unsigned i = 0; i < EFI_CALLS; i++)
		assert_true(fw_efi.runtime.call[i] == was[i] + by);
	assert_true(fw_efi.system.runtime == (uintptr_t)&fw_efi.runtime + by);
	assert_true(fw_efi.system.vendor == (uintptr_t)fw_efi.vendor + by);
	assert_int_equal(fw_efi.runtime.h.crc32, crc_of(&fw_efi.runtime.h));
	assert_true(set_virtual(sizeof(m), sizeof(m), 1, &m) == EFI_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_is_told_when_the_guest_may_move),
		cmocka_unit_test(the_variable_is_absent_where_the_host_offers_nothing),
		cmocka_unit_test(another_vendor_s_variable_of_that_name_is_not_there),
		cmocka_unit_test(the_variables_are_enumerated_once_each),
		cmocka_unit_test(nothing_can_be_written_once_the_system_runs),
		cmocka_unit_test(the_store_refuses_what_does_not_fit),
		cmocka_unit_test(the_memory_map_has_what_linux_must_keep),
		cmocka_unit_test(both_tables_have_their_signature_and_checksum),
		cmocka_unit_test(the_owner_s_secret_is_found_through_its_table),
		cmocka_unit_test(pointers_move_once_to_where_linux_maps_the_image),
	};

	return cmocka_run_group_tests_name("firmware_efi", tests, NULL, NULL);
}
