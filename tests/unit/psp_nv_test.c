/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/psp_fixture.h"

static void platform_comes_back_whole(void **state)
{
	struct fixture *f = *state;
	struct psp *both[] = { f->a, f->b };

	for (int i = 0; i < 2; i++) {
		auto_buf struct buf nv = { 0 };
		auto_buf struct buf again = { 0 };
		struct psp *p = NULL;
		struct certs one, two;
		struct err e = { 0 };

		assert_int_equal(psp_nv_put(both[i], &nv, &e), 0);
		assert_int_equal(psp_nv_get(nv.p, nv.len, &p, &e), 0);
		assert_int_equal(p->state, PSP_PSTATE_UNINIT);
		RUNS(psp_init(p, true));
		certs_of(both[i], &one);
		certs_of(p, &two);
		assert_memory_equal(one.pdh, two.pdh, sizeof(one.pdh));
		assert_memory_equal(one.plat, two.plat, sizeof(one.plat));
		assert_memory_equal(one.amd, two.amd, one.amd_len);
		assert_int_equal(psp_nv_put(p, &again, &e), 0);
		assert_int_equal(nv.len, again.len);
		assert_memory_equal(nv.p, again.p, nv.len);
		psp_free(p);
	}
}

/* A chip as it leaves the factory, and one that somebody else owns. */
static void missing_identity_and_foreign_owner_come_back_too(void **state)
{
	struct fixture *f = *state;
	struct psp_make fresh = { .ca = f->a }, owned = { .ca = f->a, .oca = f->a };
	struct psp *p1 = psp_of(&fresh), *p2 = psp_of(&owned), *q = NULL;
	struct psp_platform_status st;
	auto_buf struct buf nv1 = { 0 };
	auto_buf struct buf nv2 = { 0 };
	struct err e = { 0 };

	assert_int_equal(psp_nv_put(p1, &nv1, &e), 0);
	assert_int_equal(psp_nv_get(nv1.p, nv1.len, &q, &e), 0);
	assert_false(q->id.present);
	assert_int_equal(psp_nv_changes(q), 0);
	RUNS(psp_init(q, false));
	assert_true(psp_nv_changes(q) > 0);
	psp_free(q);
	assert_int_equal(psp_nv_put(p2, &nv2, &e), 0);
	assert_int_equal(psp_nv_get(nv2.p, nv2.len, &q, &e), 0);
	RUNS(psp_init(q, false));
	RUNS(psp_platform_status(q, &st));
	assert_int_equal(st.flags, PSP_STATUS_OWNED);
	assert_int_equal(psp_nv_changes(q), 0);
	psp_free(q);
	psp_free(p1);
	psp_free(p2);
}

static void every_damaged_byte_is_found(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf nv = { 0 };
	struct psp *p = NULL;
	struct err e = { 0 };

	assert_int_equal(psp_nv_put(f->a, &nv, &e), 0);
	for (size_t i = 0; i < nv.len; i++) {
		nv.p[i] ^= 4;
		assert_int_equal(psp_nv_get(nv.p, nv.len, &p, &e), -EPROTO);
		nv.p[i] ^= 4;
	}
	for (size_t n = 0; n < nv.len; n++)
		assert_int_equal(psp_nv_get(nv.p, n, &p, &e), -EPROTO);
	assert_null(p);
	assert_int_equal(buf_add(&nv, "x", 1, &e), 0);
	assert_int_equal(psp_nv_get(nv.p, nv.len, &p, &e), -EPROTO);
}

/* Damage that the digest does not tell: write the digest anew. */
static void digest_fix(struct buf *nv)
{
	struct err e = { 0 };

	assert_int_equal(crypto_sha256(nv->p, nv->len - 32, nv->p + nv->len - 32, &e), 0);
}

static size_t field_at(const struct buf *nv, enum psp_nv_tag tag)
{
	struct psp_bytes content;
	struct psp_nv fields;
	struct err e = { 0 };

	assert_int_equal(psp_nv_frame_get((struct psp_bytes){ nv->p, nv->len }, &content, &e), 0);
	assert_int_equal(psp_nv_content_get(content, &fields, &e), 0);
	return (size_t)(fields.field[tag].p - nv->p);
}

static void keys_must_belong_to_their_certificates(void **state)
{
	static const enum psp_nv_tag tags[] = {
		PSP_NV_ARK_CERT, PSP_NV_ASK_CERT, PSP_NV_ARK_KEY, PSP_NV_ASK_KEY,
		PSP_NV_CEK_KEY,  PSP_NV_CEK_CERT, PSP_NV_OCA_KEY, PSP_NV_OCA_CERT,
		PSP_NV_PEK_KEY,  PSP_NV_PEK_CERT, PSP_NV_PDH_KEY, PSP_NV_PDH_CERT,
	};
	struct fixture *f = *state;
	auto_buf struct buf nv = { 0 };
	struct psp *p = NULL;
	struct err e = { 0 };

	assert_int_equal(psp_nv_put(f->a, &nv, &e), 0);
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		size_t at = field_at(&nv, tags[i]);

		nv.p[at] ^= 2;
		digest_fix(&nv);
		assert_int_equal(psp_nv_get(nv.p, nv.len, &p, &e), -EPROTO);
		nv.p[at] ^= 2;
		digest_fix(&nv);
	}
	assert_null(p);
	assert_int_equal(psp_nv_get(nv.p, nv.len, &p, &e), 0);
	psp_free(p);
}

static void roots_keys_must_not_be_swapped(void **state)
{
	struct fixture *f = *state;
	struct rsa_key *ark = f->a->chip.ark;
	auto_buf struct buf nv = { 0 };
	struct psp *p = NULL;
	struct err e = { 0 };

	f->a->chip.ark = f->a->chip.ask;
	f->a->chip.ask = ark;
	assert_int_equal(psp_nv_put(f->a, &nv, &e), 0);
	assert_int_equal(psp_nv_get(nv.p, nv.len, &p, &e), -EPROTO);
	assert_string_equal(e.msg, "NV: ARK's key is not its certificate's");
	f->a->chip.ask = f->a->chip.ark;
	f->a->chip.ark = ark;
}

static size_t field_put(uint8_t *out, uint32_t tag, uint32_t len)
{
	struct wr w = wr_of(out, 8);

	wr_le32(&w, tag);
	wr_le32(&w, len);
	memset(out + 8, 0x5c, len);
	return 8 + len;
}

static void content_must_be_complete_in_order_and_of_the_right_size(void **state)
{
	uint8_t bytes[400];
	struct psp_nv nv;
	struct err e = { 0 };
	size_t n;

	(void)state;
	assert_int_equal(psp_nv_content_get((struct psp_bytes){ bytes, 0 }, &nv, &e), -EPROTO);
	n = field_put(bytes, PSP_NV_VERSION, 3);
	assert_int_equal(psp_nv_content_get((struct psp_bytes){ bytes, n }, &nv, &e), -EPROTO);
	assert_string_equal(e.msg, "NV: field 2 is missing");
	n += field_put(bytes + n, PSP_NV_VERSION, 3);
	assert_int_equal(psp_nv_content_get((struct psp_bytes){ bytes, n }, &nv, &e), -EPROTO);
	assert_string_equal(e.msg, "NV: unexpected field 1");
	n = field_put(bytes, PSP_NV_TAGS, 3);
	assert_int_equal(psp_nv_content_get((struct psp_bytes){ bytes, n }, &nv, &e), -EPROTO);
	n = field_put(bytes, PSP_NV_VERSION, 4);
	assert_int_equal(psp_nv_content_get((struct psp_bytes){ bytes, n }, &nv, &e), -EPROTO);
	assert_string_equal(e.msg, "NV: field 1 of 4 bytes");
	n = field_put(bytes, PSP_NV_CHIP_ID, 64);
	assert_int_equal(psp_nv_content_get((struct psp_bytes){ bytes, n - 1 }, &nv, &e), -EPROTO);
	assert_string_equal(e.msg, "NV: short field 2");
}

static void reload_keeps_guests_and_takes_the_identity(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf nv = { 0 };
	struct psp *p = NULL;
	struct certs before, after;
	uint32_t handle = 0;
	struct err e = { 0 };

	assert_int_equal(psp_nv_put(f->a, &nv, &e), 0);
	assert_int_equal(psp_nv_get(nv.p, nv.len, &p, &e), 0);
	RUNS(psp_init(p, true));
	RUNS(psp_launch_start(p, &handle, 0, none, none));
	RUNS(psp_pdh_gen(f->a));
	buf_reset(&nv);
	assert_int_equal(psp_nv_put(f->a, &nv, &e), 0);
	assert_int_equal(psp_nv_reload(p, nv.p, nv.len, &e), 0);
	certs_of(f->a, &before);
	certs_of(p, &after);
	assert_memory_equal(before.pdh, after.pdh, sizeof(before.pdh));
	assert_int_equal(state_of(p, handle), PSP_GSTATE_LUPDATE);
	assert_int_equal(psp_nv_reload(p, nv.p, nv.len - 1, &e), -EPROTO);
	certs_of(p, &after);
	assert_memory_equal(before.pdh, after.pdh, sizeof(before.pdh));
	psp_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(platform_comes_back_whole),
		cmocka_unit_test(missing_identity_and_foreign_owner_come_back_too),
		cmocka_unit_test(every_damaged_byte_is_found),
		cmocka_unit_test(keys_must_belong_to_their_certificates),
		cmocka_unit_test(roots_keys_must_not_be_swapped),
		cmocka_unit_test(content_must_be_complete_in_order_and_of_the_right_size),
		cmocka_unit_test(reload_keeps_guests_and_takes_the_identity),
	};

	return cmocka_run_group_tests_name("psp_nv", tests, fixture_setup, fixture_teardown);
}
