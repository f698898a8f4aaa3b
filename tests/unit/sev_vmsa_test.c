/* SPDX-License-Identifier: Apache-2.0 */

/* The VMSA that KVM builds. Digests: sev-snp-measure's for QEMU and an EPYC-v4 vCPU model, whose
 * fields were compared with what hardware measured. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "sev/vmsa.h"
#include "tests/unit/hex.h"

#define RESET_ADDR 0x80b004u /* of secondary vCPUs, from OVMF's table */
#define EPYC_SIGNATURE 0x800f12u

static struct sev_vmsa_regs epyc(bool fpu)
{
	struct sev_vmsa_regs r;

	sev_vmsa_reset(&r);
	r.regs.rdx = EPYC_SIGNATURE;
	r.fpu = fpu;
	return r;
}

static void expect_digest(const struct sev_vmsa_regs *r, const char *hex)
{
	uint8_t page[SEV_VMSA_LEN], got[SHA256_LEN];
	struct err e = { 0 };

	sev_vmsa_build(r, page);
	assert_int_equal(crypto_sha256(page, sizeof(page), got, &e), 0);
	assert_hex_equal(got, hex);
}

static void first_vcpu_of_an_init2_vm_measures_as_published(void **state)
{
	struct sev_vmsa_regs r = epyc(true);

	(void)state;
	expect_digest(&r, "8295cef559b57130391d59605890ef93297720b48bef9a8c3c985b9c3fb0788c");
}

static void other_vcpus_of_an_init2_vm_measure_as_published(void **state)
{
	struct sev_vmsa_regs r = epyc(true);

	(void)state;
	r.sregs.cs.base = RESET_ADDR & 0xffff0000;
	r.regs.rip = RESET_ADDR & 0xffff;
	expect_digest(&r, "7ff723da33f39dedbe8336bb697e0a2f76471690074d5902e1a8177cd5312c95");
}

static void a_vm_of_es_init_has_no_fpu_state_in_it(void **state)
{
	struct sev_vmsa_regs with = epyc(true), without = epyc(false);
	uint8_t a[SEV_VMSA_LEN], b[SEV_VMSA_LEN], want[SEV_VMSA_LEN] = { 0 };

	(void)state;
	sev_vmsa_build(&with, a);
	sev_vmsa_build(&without, b);
	assert_memory_equal(a, b, 0x400);
	assert_memory_equal(b + 0x400, want, SEV_VMSA_LEN - 0x400);
	assert_int_equal(a[0x408] | a[0x409] << 8, 0x1f80);
	assert_int_equal(a[0x410] | a[0x411] << 8, 0x37f);
}

static void a_64_bit_code_segment_has_its_attributes(void **state)
{
	struct sev_vmsa_regs r = epyc(false);
	uint8_t page[SEV_VMSA_LEN];

	(void)state;
	r.sregs.cs.l = 1;
	r.sregs.cs.g = 1;
	r.sregs.cs.selector = 0x10;
	r.sregs.fs.unusable = 1;
	r.sregs.ss.dpl = 3;
	r.regs.r15 = 0x1122334455667788;
	sev_vmsa_build(&r, page);
	assert_hex_equal(page + 0x10, "1000"
				      "9b0a"
				      "ffff0000"
				      "0000ffff00000000");
	assert_int_equal(page[0x42] | page[0x43], 0);
	assert_int_equal(page[0xcb], 3);
	assert_hex_equal(page + 0x378, "8877665544332211");
}

/* Each field, and each bit of it, goes to its own place and comes back from there. */
static void registers_come_back_as_they_went_in(void **state)
{
	struct sev_vmsa_regs in, out;
	uint8_t page[SEV_VMSA_LEN], again[SEV_VMSA_LEN];
	unsigned seed = 5;

	(void)state;
	sev_vmsa_reset(&in);
	for (size_t i = 0; i < sizeof(page); i++)
		page[i] = (uint8_t)rand_r(&seed);
	sev_vmsa_take(page, &in);
	in.xcr0 = 7;
	in.debug.dr7 = 0x455;
	in.tsc_aux = 77;
	in.lstar = 0xffffffff81000000;
	sev_vmsa_build(&in, page);
	sev_vmsa_take(page, &out);
	assert_memory_equal(&in.regs, &out.regs, sizeof(in.regs));
	assert_memory_equal(&in.debug, &out.debug, sizeof(in.debug));
	assert_memory_equal(&in.sregs.cs, &out.sregs.cs, sizeof(in.sregs.cs));
	assert_memory_equal(&in.sregs.tr, &out.sregs.tr, sizeof(in.sregs.tr));
	assert_memory_equal(&in.sregs.gdt, &out.sregs.gdt, sizeof(in.sregs.gdt));
	assert_int_equal(in.sregs.cr3, out.sregs.cr3);
	assert_int_equal(out.lstar, 0xffffffff81000000);
	assert_int_equal(out.tsc_aux, 77);
	assert_int_equal(out.xcr0, 7);
	sev_vmsa_build(&out, again);
	assert_memory_equal(page, again, sizeof(page));
}

static void what_kvm_does_not_take_stays_behind(void **state)
{
	struct sev_vmsa_regs r = epyc(true), out;
	uint8_t page[SEV_VMSA_LEN];

	(void)state;
	r.sregs.fs.unusable = 1;
	sev_vmsa_build(&r, page);
	sev_vmsa_take(page, &out);
	assert_int_equal(out.sregs.efer, 0); /* SVM is on in the page */
	assert_int_equal(out.sregs.fs.unusable, 1);
	assert_int_equal(out.sregs.cs.unusable, 0);
	assert_int_equal(out.sregs.apic_base, 0);
}

static void fpu_state_comes_back(void **state)
{
	struct sev_vmsa_regs r = epyc(true), out;
	uint8_t page[SEV_VMSA_LEN], *x = (uint8_t *)r.xsave.region;

	(void)state;
	r.xcr0 = 7;
	x[512] = 7;
	memset(x + 32, 0x11, 10);       /* st0 */
	memset(x + 32 + 112, 0x77, 10); /* st7 */
	memset(x + 160, 0x22, 256);
	memset(x + 576, 0x33, 256);
	sev_vmsa_build(&r, page);
	sev_vmsa_take(page, &out);
	assert_memory_equal(out.xsave.region, r.xsave.region, 576 + 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_vcpu_of_an_init2_vm_measures_as_published),
		cmocka_unit_test(other_vcpus_of_an_init2_vm_measure_as_published),
		cmocka_unit_test(a_vm_of_es_init_has_no_fpu_state_in_it),
		cmocka_unit_test(a_64_bit_code_segment_has_its_attributes),
		cmocka_unit_test(registers_come_back_as_they_went_in),
		cmocka_unit_test(what_kvm_does_not_take_stays_behind),
		cmocka_unit_test(fpu_state_comes_back),
	};

	return cmocka_run_group_tests_name("sev_vmsa", tests, NULL, NULL);
}
