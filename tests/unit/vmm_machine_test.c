/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/machine.h"

#define VERSION_AT 0u
#define COUNT_AT 8u
#define HEAD_LEN 12u
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
	refuses(VERSION_AT, 2, "version 2");
	refuses(COUNT_AT, 0, "0 CPUID leaves");
	refuses(COUNT_AT, MACHINE_CPUID_MAX + 1, "leaves");
	refuses(HEAD_LEN + 8, 0x80, "unknown flags");
	refuses(HEAD_LEN + ENTRY_LEN, 0, "twice");
}

static void same_machine_fits(void **state)
{
	struct vmm_machine a = sample(), b = sample();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), 0);
}

static void target_may_have_more(void **state)
{
	struct vmm_machine a = sample(), b = sample();
	struct err e = { 0 };

	(void)state;
	b.cpuid[1].ecx |= 1u << 28;
	b.cpuid[2].ebx = ~0u;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), 0);
}

static void first_missing_feature_is_named(void **state)
{
	struct vmm_machine a = sample(), b = sample();
	struct err e = { 0 };

	(void)state;
	a.cpuid[2].ebx |= 1u << 16 | 1u << 30;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "0x7.0 EBX bit 16"));
	a.cpuid[1].ecx |= 1u << 28;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "0x1.0 ECX bit 28"));
	b.n = 2; /* leaf 1 is not there at all */
	a = sample();
	b.cpuid[1] = a.cpuid[3];
	assert_int_equal(vmm_machine_fits(&a, &b, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "0x1.0 ECX bit 13"));
}

static void osxsave_is_no_feature(void **state)
{
	struct vmm_machine a = sample(), b = sample();
	struct err e = { 0 };

	(void)state;
	a.cpuid[1].ecx |= 1u << 27;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), 0);
}

static void other_vendor_cbit_and_tsc_are_named(void **state)
{
	struct vmm_machine a = sample(), b = sample();
	struct err e = { 0 };

	(void)state;
	b.cpuid[0].ebx = 0x756e6547;
	b.cpuid[0].edx = 0x49656e69;
	b.cpuid[0].ecx = 0x6c65746e;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "AuthenticAMD there, GenuineIntel here"));
	b = sample();
	b.cpuid[3].ebx = 38 | 1 << 6;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "C-bit is 47 there, 38 here"));
	b = sample();
	b.tsc_khz = 2019000;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), 0);
	b.tsc_khz = 2100000;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "TSC"));
	b.tsc_khz = 0;
	assert_int_equal(vmm_machine_fits(&a, &b, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_was_written),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(other_versions_counts_flags_and_twins_are_refused),
		cmocka_unit_test(same_machine_fits),
		cmocka_unit_test(target_may_have_more),
		cmocka_unit_test(first_missing_feature_is_named),
		cmocka_unit_test(osxsave_is_no_feature),
		cmocka_unit_test(other_vendor_cbit_and_tsc_are_named),
	};

	return cmocka_run_group_tests_name("vmm_machine", tests, NULL, NULL);
}
