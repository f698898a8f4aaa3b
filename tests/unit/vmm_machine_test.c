/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/machine.h"

#define VERSION_AT 0u
#define FIRMWARE_AT 8u
#define DEVICES_AT 44u
#define COUNT_AT 48u
#define HEAD_LEN 52u
#define ENTRY_LEN 28u

static struct vmm_machine sample(void)
{
	struct vmm_machine m = { .tsc_khz = 2000000, .n = 4 };

	m.cpuid[0] = (struct kvm_cpuid_entry2){
		.function = 0, .eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65
	};
	m.cpuid[1] =
		(struct kvm_cpuid_entry2){ .function = 1, .ecx = 0x80202000, .edx = 0x78bfbff };
	m.cpuid[2] = (struct kvm_cpuid_entry2){ .function = 7,
						.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
						.ebx = 0x20 };
	m.cpuid[3] =
		(struct kvm_cpuid_entry2){ .function = 0x8000001f, .eax = 2, .ebx = 47 | 1 << 6 };
	return m;
}

static void encode(const struct vmm_machine *m, struct buf *b)
{
	struct err e = { 0 };

	assert_int_equal(vmm_machine_put(m, b, &e), 0);
}

static void reads_back_what_was_written(void **state)
{
	auto_buf struct buf b = { 0 };
	struct vmm_machine m = sample(), out;
	struct err e = { 0 };

	(void)state;
	encode(&m, &b);
	assert_int_equal(b.len, HEAD_LEN + 4 * ENTRY_LEN);
	assert_int_equal(vmm_machine_get(b.p, b.len, &out, &e), 0);
	assert_memory_equal(&m, &out, sizeof(m));
}

static void devices_and_firmware_read_back_or_are_refused(void **state)
{
	auto_buf struct buf b = { 0 };
	struct vmm_machine m = sample(), out;
	struct err e = { 0 };

	(void)state;
	m.firmware = MACHINE_FIRMWARE_READY;
	m.digest[31] = 7;
	assert_int_equal(vmm_machine_device(&m, "00:02.0 virtio-blk", &e), 0);
	encode(&m, &b);
	assert_int_equal(b.len, HEAD_LEN + MACHINE_DEVICE_LEN + 4 * ENTRY_LEN);
	assert_int_equal(vmm_machine_get(b.p, b.len, &out, &e), 0);
	assert_memory_equal(&m, &out, sizeof(m));
	b.p[COUNT_AT + 40] = 'x'; /* behind the end of the name */
	assert_int_equal(vmm_machine_get(b.p, b.len, &out, &e), -EPROTO);
	b.p[COUNT_AT + 40] = 0;
	b.p[COUNT_AT + 3] = '\n';
	assert_int_equal(vmm_machine_get(b.p, b.len, &out, &e), -EPROTO);
	b.p[COUNT_AT] = 0;
	assert_int_equal(vmm_machine_get(b.p, b.len, &out, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "0 characters"));
}

static void every_cut_is_refused(void **state)
{
	auto_buf struct buf b = { 0 };
	struct vmm_machine m = sample(), out;
	struct err e = { 0 };

	(void)state;
	encode(&m, &b);
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(vmm_machine_get(b.p, len, &out, &e), -EPROTO);
	assert_int_equal(buf_add(&b, "x", 1, &e), 0);
	assert_int_equal(vmm_machine_get(b.p, b.len, &out, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "left over"));
}

static void refuses(size_t at, uint8_t value, const char *why)
{
	auto_buf struct buf b = { 0 };
	struct vmm_machine m = sample(), out;
	struct err e = { 0 };

	encode(&m, &b);
	b.p[at] = value;
	assert_int_equal(vmm_machine_get(b.p, b.len, &out, &e), -EPROTO);
	assert_non_null(strstr(e.msg, why));
}

static void other_versions_counts_flags_and_twins_are_refused(void **state)
{
	(void)state;
	refuses(VERSION_AT, 1, "version 1");
	refuses(FIRMWARE_AT, MACHINE_FIRMWARES, "firmware of kind 3");
	refuses(DEVICES_AT, MACHINE_DEVICES_MAX + 1, "33 devices");
	refuses(COUNT_AT, 0, "0 CPUID leaves");
	refuses(COUNT_AT, MACHINE_CPUID_MAX + 1, "leaves");
	refuses(HEAD_LEN + 8, 0x80, "unknown flags");
	refuses(HEAD_LEN + ENTRY_LEN, 0, "twice");
}

static struct lines found;

static void compare(const struct vmm_machine *from, const struct vmm_machine *here, uint32_t n)
{
	found = (struct lines){ 0 };
	vmm_machine_compare(from, here, &found);
	assert_int_equal(found.n, n);
}

static void same_machine_fits(void **state)
{
	struct vmm_machine a = sample(), b = sample();

	(void)state;
	compare(&a, &b, 0);
}

static void target_may_have_more(void **state)
{
	struct vmm_machine a = sample(), b = sample();

	(void)state;
	b.cpuid[1].ecx |= 1u << 28;
	b.cpuid[2].ebx = ~0u;
	compare(&a, &b, 0);
}

static void every_missing_feature_is_named(void **state)
{
	struct vmm_machine a = sample(), b = sample();

	(void)state;
	a.cpuid[2].ebx |= 1u << 16 | 1u << 30;
	compare(&a, &b, 1);
	assert_string_equal(found.v[0], "CPUID leaf 0x7.0 EBX: shown to the guest, not supported "
					"here: bits 16 30");
	a.cpuid[1].ecx |= 1u << 28;
	compare(&a, &b, 2);
	assert_string_equal(found.v[0], "CPUID leaf 0x1.0 ECX: shown to the guest, not supported "
					"here: bit 28");
	b.n = 2; /* leaf 1 is not there at all */
	a = sample();
	b.cpuid[1] = a.cpuid[3];
	compare(&a, &b, 3);
	assert_non_null(strstr(found.v[0], "0x1.0 ECX: shown to the guest, not supported here: "
					   "bits 13 21 31"));
}

static void osxsave_is_no_feature(void **state)
{
	struct vmm_machine a = sample(), b = sample();

	(void)state;
	a.cpuid[1].ecx |= 1u << 27;
	compare(&a, &b, 0);
}

static void other_vendor_cbit_and_tsc_are_named(void **state)
{
	struct vmm_machine a = sample(), b = sample();

	(void)state;
	b.cpuid[0].ebx = 0x756e6547;
	b.cpuid[0].edx = 0x49656e69;
	b.cpuid[0].ecx = 0x6c65746e;
	b.cpuid[3].ebx = 38 | 2 << 6;
	b.tsc_khz = 2100000;
	compare(&a, &b, 4);
	assert_string_equal(found.v[0], "CPU vendor is AuthenticAMD there, GenuineIntel here");
	assert_string_equal(found.v[1], "C-bit is 47 there, 38 here");
	assert_string_equal(found.v[2], "physical addresses lose 1 bits there, 2 here");
	assert_string_equal(found.v[3], "TSC runs at 2000000 kHz there, 2100000 kHz here");
	assert_int_equal(vmm_machine_cbit(&b), 38);
}

static void tsc_may_differ_a_little_or_where_it_scales(void **state)
{
	struct vmm_machine a = sample(), b = sample();

	(void)state;
	b.tsc_khz = 2019000;
	compare(&a, &b, 0);
	b.tsc_khz = 0;
	compare(&a, &b, 0);
	b.tsc_khz = 2100000;
	compare(&a, &b, 1);
	b.tsc_scales = true;
	compare(&a, &b, 0);
}

static void firmware_is_compared_where_an_image_was_given(void **state)
{
	struct vmm_machine a = sample(), b = sample();

	(void)state;
	a.firmware = MACHINE_FIRMWARE_READY;
	a.digest[0] = 0xab;
	compare(&a, &b, 0); /* it travels in the guest's memory */
	b.firmware = MACHINE_FIRMWARE_SILENT;
	compare(&a, &b, 1);
	assert_string_equal(found.v[0],
			    "firmware image is ab000000... there, 00000000... here (SHA-256)");
	b.digest[0] = 0xab;
	compare(&a, &b, 0);
	a.firmware = MACHINE_FIRMWARE_NONE;
	compare(&a, &b, 1);
}

static void devices_must_be_the_same(void **state)
{
	struct vmm_machine a = sample(), b = sample();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(vmm_machine_device(&a, "00:01.0 virtio-net", &e), 0);
	assert_int_equal(vmm_machine_device(&a, "00:02.0 virtio-blk", &e), 0);
	assert_int_equal(vmm_machine_device(&b, "00:02.0 virtio-blk", &e), 0);
	assert_int_equal(vmm_machine_device(&b, "00:03.0 virtio-rng", &e), 0);
	compare(&a, &b, 2);
	assert_string_equal(found.v[0], "device 00:01.0 virtio-net is there, not here");
	assert_string_equal(found.v[1], "device 00:03.0 virtio-rng is here, not there");
	compare(&a, &a, 0);
}

static void device_list_has_an_end(void **state)
{
	struct vmm_machine m = sample();
	struct err e = { 0 };
	char name[MACHINE_DEVICE_LEN + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[MACHINE_DEVICE_LEN] = '\0';
	assert_int_equal(vmm_machine_device(&m, name, &e), -E2BIG);
	for (unsigned i = 0; i < MACHINE_DEVICES_MAX; i++)
		assert_int_equal(vmm_machine_device(&m, "x", &e), 0);
	assert_int_equal(vmm_machine_device(&m, "x", &e), -E2BIG);
}

/* AVX2, SHA and what has nothing to do with wide registers stay. */
static void what_a_vmsa_has_no_place_for_is_not_shown(void **state)
{
	struct vmm_machine m = { .n = 4 };

	(void)state;
	m.cpuid[0] = (struct kvm_cpuid_entry2){ .function = 1, .ecx = ~0u, .edx = ~0u };
	m.cpuid[1] = (struct kvm_cpuid_entry2){ .function = 7, .ebx = ~0u, .ecx = ~0u, .edx = ~0u };
	m.cpuid[2] = (struct kvm_cpuid_entry2){ .function = 0xd, .eax = 0x2e7, .edx = 1 };
	m.cpuid[3] = (struct kvm_cpuid_entry2){
		.function = 0xd, .index = 1, .eax = 0xf, .ecx = 0x1800, .edx = 1
	};
	vmm_machine_narrow(&m);
	assert_int_equal(m.cpuid[0].ecx & m.cpuid[0].edx, ~0u);
	assert_int_equal(m.cpuid[1].ebx, 0x23dcffff);
	assert_int_equal(m.cpuid[1].ecx & 0x585a, 0);
	assert_int_equal(m.cpuid[1].edx & 0x3c0010c, 0);
	assert_int_equal(m.cpuid[2].eax, 7);
	assert_int_equal(m.cpuid[2].edx, 0);
	assert_int_equal(m.cpuid[3].eax, 0xf);
	assert_int_equal(m.cpuid[3].ecx | m.cpuid[3].edx, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_was_written),
		cmocka_unit_test(devices_and_firmware_read_back_or_are_refused),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(what_a_vmsa_has_no_place_for_is_not_shown),
		cmocka_unit_test(other_versions_counts_flags_and_twins_are_refused),
		cmocka_unit_test(same_machine_fits),
		cmocka_unit_test(target_may_have_more),
		cmocka_unit_test(every_missing_feature_is_named),
		cmocka_unit_test(osxsave_is_no_feature),
		cmocka_unit_test(other_vendor_cbit_and_tsc_are_named),
		cmocka_unit_test(tsc_may_differ_a_little_or_where_it_scales),
		cmocka_unit_test(firmware_is_compared_where_an_image_was_given),
		cmocka_unit_test(devices_must_be_the_same),
		cmocka_unit_test(device_list_has_an_end),
	};

	return cmocka_run_group_tests_name("vmm_machine", tests, NULL, NULL);
}
