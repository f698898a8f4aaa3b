/* SPDX-License-Identifier: Apache-2.0 */

/* Known answers: sev-snp-measure's register pages, sev-tool's and virtee/sev's measurement. The
 * hash table is put together a second time here, from published GUIDs and SHA-256 alone. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "owner/hashes.h"
#include "owner/launch.h"
#include "tests/unit/hex.h"
#include "tests/unit/owner_firmware.h"

static struct firmware f;

static int setup(void **state)
{
	(void)state;
	firmware_make(&f);
	return 0;
}

static void vmsa_expected(const struct owner_vmsa *v, const char *sha256)
{
	uint8_t page[OWNER_VMSA_LEN], hash[SHA256_LEN];
	struct err e = { 0 };

	owner_vmsa_make(v, page);
	assert_int_equal(crypto_sha256(page, sizeof(page), hash, &e), 0);
	assert_hex_equal(hash, sha256);
}

static void register_pages_are_those_published(void **state)
{
	struct owner_vmsa v = { .init2 = true };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_cpu_signature("EPYC-v4", &v.signature, &e), 0);
	vmsa_expected(&v, "8295cef559b57130391d59605890ef93297720b48bef9a8c3c985b9c3fb0788c");
	v.reset = 0x80b004;
	vmsa_expected(&v, "7ff723da33f39dedbe8336bb697e0a2f76471690074d5902e1a8177cd5312c95");
}

/* KVM_SEV_ES_INIT leaves the FPU's control words at zero; nothing else is different. */
static void the_older_init_leaves_the_fpu_out(void **state)
{
	struct owner_vmsa v = { .signature = 0x800f12, .init2 = true };
	uint8_t newer[OWNER_VMSA_LEN], older[OWNER_VMSA_LEN];

	(void)state;
	owner_vmsa_make(&v, newer);
	v.init2 = false;
	owner_vmsa_make(&v, older);
	assert_hex_equal(newer + 0x408, "801f0000");
	assert_hex_equal(newer + 0x410, "7f03");
	memset(newer + 0x408, 0, 4);
	memset(newer + 0x410, 0, 2);
	assert_memory_equal(newer, older, sizeof(newer));
}

static void cpu_models_are_known_with_and_without_version(void **state)
{
	static const struct {
		const char *model;
		uint32_t signature;
	} known[] = {
		{ "EPYC", 0x800f12 },          { "EPYC-v1", 0x800f12 },
		{ "EPYC-Rome", 0x830f10 },     { "EPYC-Rome-v4", 0x830f10 },
		{ "EPYC-Milan-v2", 0xa00f11 }, { "EPYC-Genoa", 0xa10f10 },
	};
	static const char *const unknown[] = { "",         "epyc",     "EPYC-",      "EPYC-v",
					       "EPYC-v1x", "EPYC-Rom", "EPYC-RomeX", "host" };
	struct err e = { 0 };
	uint32_t got = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_int_equal(owner_cpu_signature(known[i].model, &got, &e), 0);
		assert_int_equal(got, known[i].signature);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(owner_cpu_signature(unknown[i], &got, &e), -EINVAL);
}

static void sha_add(uint8_t **at, const char *guid_hex, const void *p, size_t len)
{
	struct err e = { 0 };

	*at += hex_get(guid_hex, *at);
	*at += hex_get("3200", *at);
	assert_int_equal(crypto_sha256(p, len, *at, &e), 0);
	*at += SHA256_LEN;
}

static void hashes_have_the_firmware_s_order_and_padding(void **state)
{
	struct owner_boot boot = { .kernel = (const uint8_t *)"kernel",
				   .kernel_len = 6,
				   .initrd = (const uint8_t *)"initrd",
				   .initrd_len = 6,
				   .append = "console=ttyS0" };
	uint8_t got[OWNER_HASHES_LEN], want[OWNER_HASHES_LEN] = { 0 }, *at = want;
	struct err e = { 0 };

	(void)state;
	at += hex_get("06d63894224fc94cb479a793d411fd21a800", at);
	sha_add(&at, "d82dd09720bd944caa78e7714d36ab2a", "console=ttyS0", 14);
	sha_add(&at, "31f7ba442f3ad74b9af141e29169781d", "initrd", 6);
	sha_add(&at, "3794e74dd2ab7f42b835d5b172d2045b", "kernel", 6);
	assert_int_equal(at - want, 168);
	assert_int_equal(owner_hashes_make(&boot, got, &e), 0);
	assert_memory_equal(got, want, sizeof(want));
}

static void what_is_missing_hashes_as_empty(void **state)
{
	struct owner_boot boot = { .kernel = (const uint8_t *)"kernel", .kernel_len = 6 };
	uint8_t got[OWNER_HASHES_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_hashes_make(&boot, got, &e), 0);
	/* SHA-256 of one zero byte, and of nothing */
	assert_hex_equal(got + 36,
			 "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
	assert_hex_equal(got + 86,
			 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void digest_expected(const struct owner_launch *l, const void *p, size_t len)
{
	uint8_t got[SHA256_LEN], want[SHA256_LEN];
	struct err e = { 0 };

	if (owner_launch_digest(l, got, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(crypto_sha256(p, len, want, &e), 0);
	assert_memory_equal(got, want, sizeof(want));
}

static struct owner_launch launch(void)
{
	return (struct owner_launch){ .firmware = f.image,
				      .firmware_len = sizeof(f.image),
				      .signature = 0x800f12 };
}

static void the_digest_is_of_firmware_hashes_and_registers_in_order(void **state)
{
	static uint8_t all[FIRMWARE_LEN + OWNER_HASHES_LEN + 3 * OWNER_VMSA_LEN];
	uint8_t hashes[OWNER_HASHES_LEN], *at = all;
	struct owner_vmsa v = { .signature = 0x800f12 };
	struct owner_launch l = launch();

	(void)state;
	memcpy(at, f.image, FIRMWARE_LEN);
	at += FIRMWARE_LEN;
	digest_expected(&l, all, FIRMWARE_LEN);
	memset(hashes, 0x5a, sizeof(hashes));
	memcpy(at, hashes, sizeof(hashes));
	at += sizeof(hashes);
	l.hashes = hashes;
	digest_expected(&l, all, (size_t)(at - all));
	for (l.vcpus = 1; l.vcpus <= 3; l.vcpus++) {
		owner_vmsa_make(&v, at);
		at += OWNER_VMSA_LEN;
		v.reset = 0x80b004;
		digest_expected(&l, all, (size_t)(at - all));
	}
}

static void digest_refused(const struct owner_launch *l, int code, const char *why)
{
	uint8_t got[SHA256_LEN];
	struct err e = { 0 };

	assert_int_equal(owner_launch_digest(l, got, &e), code);
	if (!strstr(e.msg, why))
		fail_msg("%s: not in: %s", why, e.msg);
}

static void hashes_need_a_firmware_with_room_for_them(void **state)
{
	const uint32_t small[] = { 0x810c00, OWNER_HASHES_LEN - 1 }, zero[] = { 0, 0 };
	uint8_t hashes[OWNER_HASHES_LEN] = { 0 };
	struct owner_launch l = launch();

	(void)state;
	l.hashes = hashes;
	firmware_begin(&f);
	digest_refused(&l, -ENOENT, "no area for kernel hashes");
	firmware_add(&f, FIRMWARE_HASHES, zero, 2);
	digest_refused(&l, -ENOENT, "no area for kernel hashes");
	firmware_begin(&f);
	firmware_add(&f, FIRMWARE_HASHES, small, 2);
	digest_refused(&l, -ENOENT, "no area for kernel hashes");
	memset(f.image, 0, sizeof(f.image));
	digest_refused(&l, -ENOENT, "firmware: no GUID table");
}

static void several_vcpus_need_a_firmware_that_says_where_they_start(void **state)
{
	struct owner_launch l = launch();
	uint8_t got[SHA256_LEN];
	struct err e = { 0 };

	(void)state;
	firmware_begin(&f);
	l.vcpus = 1;
	assert_int_equal(owner_launch_digest(&l, got, &e), 0);
	l.vcpus = 2;
	digest_refused(&l, -ENOENT, "where secondary vCPUs start");
	l.vcpus = OWNER_VCPUS_MAX + 1;
	digest_refused(&l, -EINVAL, "more than 4096");
}

/* AMD's published measurement, and each of its inputs changed. */
static struct session_measured published(void)
{
	struct session_measured m = { .api_minor = 0x12, .build = 0x0f };

	hex_get("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", m.digest);
	return m;
}

static int check(struct session_measured m, unsigned flip)
{
	struct secret tik = { 0 };
	uint8_t got[PSP_MEASURE_LEN];
	struct err e = { 0 };

	tik.len = hex_get("66320db73158a35a255d051758e95ed4", tik.b);
	hex_get("6faab2daae389bcd3405a05d6cafe33c0414f7bedd0bae19ba5f38b7fd1664ea"
		"4fbe0bedbad6c86ae8f68971d103e554",
		got);
	if (flip < 8 * sizeof(got))
		got[flip / 8] ^= (uint8_t)(1u << flip % 8);
	return owner_launch_check(&tik, &m, got, &e);
}

static void the_published_measurement_matches(void **state)
{
	(void)state;
	assert_int_equal(check(published(), ~0u), 0);
}

static void a_measurement_of_anything_else_does_not(void **state)
{
	struct session_measured m;

	(void)state;
	for (unsigned bit = 0; bit < 8 * PSP_MEASURE_LEN; bit++)
		assert_int_equal(check(published(), bit), -EKEYREJECTED);
	m = published();
	m.api_major = 1;
	assert_int_equal(check(m, ~0u), -EKEYREJECTED);
	m = published();
	m.build++;
	assert_int_equal(check(m, ~0u), -EKEYREJECTED);
	m = published();
	m.policy = 1u << 31;
	assert_int_equal(check(m, ~0u), -EKEYREJECTED);
	m = published();
	m.digest[31] ^= 0x80;
	assert_int_equal(check(m, ~0u), -EKEYREJECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(register_pages_are_those_published),
		cmocka_unit_test(the_older_init_leaves_the_fpu_out),
		cmocka_unit_test(cpu_models_are_known_with_and_without_version),
		cmocka_unit_test(hashes_have_the_firmware_s_order_and_padding),
		cmocka_unit_test(what_is_missing_hashes_as_empty),
		cmocka_unit_test_setup(the_digest_is_of_firmware_hashes_and_registers_in_order,
				       setup),
		cmocka_unit_test_setup(hashes_need_a_firmware_with_room_for_them, setup),
		cmocka_unit_test_setup(several_vcpus_need_a_firmware_that_says_where_they_start,
				       setup),
		cmocka_unit_test(the_published_measurement_matches),
		cmocka_unit_test(a_measurement_of_anything_else_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
