/* SPDX-License-Identifier: Apache-2.0 */

/* The owner's side against the software Secure Processor's: session, measurement, secret, report.
 * The secret's plain text and packet are also checked against sevctl's. */

#include <errno.h>
#include <stdlib.h>

#include "crypto/sevcert.h"
#include "owner/launch.h"
#include "owner/report.h"
#include "owner/secret.h"
#include "owner/session.h"
#include "tests/unit/hex.h"
#include "tests/unit/psp_fixture.h"

#define POLICY (PSP_POLICY_NODBG | 1u << 16 | 55u << 24)
#define PASS_GUID "736869e5-84f0-4973-92ec-06879ce3da0b"

static struct psp_bytes bytes(const void *p, size_t len)
{
	return (struct psp_bytes){ p, len };
}

static void session_for(struct psp *p, uint32_t policy, struct owner_session *s)
{
	struct certs c;
	struct err e = { 0 };

	certs_of(p, &c);
	assert_int_equal(owner_session_make(c.pdh, policy, s, &e), 0);
}

static enum psp_status launch(struct psp *p, uint32_t policy, const struct owner_session *s,
			      uint32_t *handle)
{
	*handle = 0;
	return psp_launch_start(p, handle, policy, bytes(s->godh, sizeof(s->godh)),
				bytes(s->blob, sizeof(s->blob)));
}

static void decommission(struct psp *p, uint32_t handle)
{
	(void)!psp_deactivate(p, handle); /* not all were activated */
	RUNS(psp_decommission(p, handle));
}

static void the_platform_takes_the_session_meant_for_it(void **state)
{
	struct fixture *f = *state;
	struct owner_session s;
	uint32_t handle;

	session_for(f->a, POLICY, &s);
	RUNS(launch(f->a, POLICY, &s, &handle));
	decommission(f->a, handle);
	owner_session_wipe(&s);
}

static void no_other_platform_and_no_other_policy_does(void **state)
{
	struct fixture *f = *state;
	struct owner_session s;
	uint32_t handle;

	session_for(f->a, POLICY, &s);
	assert_int_equal(launch(f->b, POLICY, &s, &handle), PSP_BAD_MEASUREMENT);
	assert_int_equal(launch(f->a, POLICY & ~PSP_POLICY_NODBG, &s, &handle),
			 PSP_BAD_MEASUREMENT);
	s.blob[PSP_SESSION_WRAP_TK] ^= 1;
	assert_int_equal(launch(f->a, POLICY, &s, &handle), PSP_BAD_MEASUREMENT);
	owner_session_wipe(&s);
}

static void two_sessions_share_nothing(void **state)
{
	struct fixture *f = *state;
	struct owner_session a, b;

	session_for(f->a, POLICY, &a);
	session_for(f->a, POLICY, &b);
	assert_memory_not_equal(a.godh, b.godh, sizeof(a.godh));
	assert_memory_not_equal(a.blob, b.blob, PSP_NONCE_LEN);
	assert_memory_not_equal(a.blob + PSP_SESSION_WRAP_IV, b.blob + PSP_SESSION_WRAP_IV,
				PSP_IV_LEN);
	assert_memory_not_equal(a.keys.tik.b, b.keys.tik.b, PSP_KEY_LEN);
	assert_memory_not_equal(a.keys.tek.b, a.keys.tik.b, PSP_KEY_LEN);
}

static void a_session_is_made_for_a_pdh_only(void **state)
{
	struct fixture *f = *state;
	struct owner_session s;
	struct certs c;
	struct err e = { 0 };

	certs_of(f->a, &c);
	assert_int_equal(owner_session_make(c.plat, POLICY, &s, &e), -EPROTO);
	assert_string_equal(e.msg, "PDH: a certificate for PEK, not for PDH");
}

/* --- measurement, secret, report -------------------------------------------------------------- */

struct launched {
	struct owner_session s;
	uint32_t handle;
	uint8_t measurement[PSP_MEASURE_LEN];
	uint8_t digest[PSP_DIGEST_LEN];
};

static void launched_make(struct fixture *f, struct launched *l)
{
	struct psp_room room = { l->measurement, sizeof(l->measurement) };
	struct err e = { 0 };

	session_for(f->a, POLICY, &l->s);
	RUNS(launch(f->a, POLICY, &l->s, &l->handle));
	RUNS(psp_activate(f->a, l->handle, asid_for(f->a, POLICY)));
	memset(f->page, 0x77, PAGE);
	RUNS(psp_launch_update_data(f->a, l->handle, f->page, f->page, PAGE));
	assert_int_equal(crypto_sha256(f->page, PAGE, l->digest, &e), 0);
	RUNS(psp_launch_measure(f->a, l->handle, &room));
}

static int measured_check(const struct launched *l, uint32_t policy)
{
	struct session_measured m = { .api_major = 1, .api_minor = 55, .build = 21 };
	struct err e = { 0 };

	m.policy = policy;
	memcpy(m.digest, l->digest, sizeof(m.digest));
	return owner_launch_check(&l->s.keys.tik, &m, l->measurement, &e);
}

static void the_platform_s_measurement_is_the_one_expected(void **state)
{
	struct fixture *f = *state;
	struct launched l;

	launched_make(f, &l);
	assert_int_equal(measured_check(&l, POLICY), 0);
	assert_int_equal(measured_check(&l, POLICY | PSP_POLICY_NOKS), -EKEYREJECTED);
	decommission(f->a, l.handle);
}

struct sealed {
	uint8_t hdr[PSP_HDR_LEN], cipher[64];
	struct buf table;
};

static void sealed_make(const struct launched *l, struct sealed *out)
{
	struct owner_secret secret = { .p = (const uint8_t *)"MY-LUKS-PASSPHRASE", .len = 18 };
	struct err e = { 0 };

	out->table = (struct buf){ 0 };
	assert_int_equal(owner_guid_get(PASS_GUID, secret.guid, &e), 0);
	assert_int_equal(owner_secret_table(&secret, 1, &out->table, &e), 0);
	assert_int_equal(out->table.len, sizeof(out->cipher));
	assert_int_equal(owner_secret_seal(&l->s.keys, l->measurement, out->table.p, out->table.len,
					   out->hdr, out->cipher, &e),
			 0);
}

static enum psp_status inject(struct fixture *f, const struct launched *l, const struct sealed *s)
{
	return psp_launch_secret(f->a, l->handle, bytes(s->hdr, sizeof(s->hdr)),
				 bytes(s->cipher, sizeof(s->cipher)), f->page, sizeof(s->cipher));
}

static void the_secret_arrives_in_private_memory(void **state)
{
	struct fixture *f = *state;
	struct launched l;
	struct sealed s;

	launched_make(f, &l);
	sealed_make(&l, &s);
	assert_memory_not_equal(s.cipher, s.table.p, sizeof(s.cipher));
	RUNS(inject(f, &l, &s));
	assert_memory_equal(f->page, s.table.p, s.table.len);
	buf_fini(&s.table);
	decommission(f->a, l.handle);
}

static void a_changed_secret_and_one_for_another_launch_do_not(void **state)
{
	struct fixture *f = *state;
	struct launched l, other;
	struct sealed s;

	launched_make(f, &l);
	launched_make(f, &other);
	sealed_make(&l, &s);
	assert_int_equal(inject(f, &other, &s), PSP_BAD_MEASUREMENT);
	s.cipher[0] ^= 1;
	assert_int_equal(inject(f, &l, &s), PSP_BAD_MEASUREMENT);
	buf_fini(&s.table);
	decommission(f->a, l.handle);
	decommission(f->a, other.handle);
}

/* sevctl's own test: same keys, measurement and table, its IV. */
static void sevctl_s_packet_holds_our_table(void **state)
{
	static const char packet[] = "d14ddee4f717bf4516f87e2d48114a39d0987ca135fa3dfc05cd9fb8ed7a"
				     "9988b223eb16c7b20d7e7fa58188f9e862f5db2ca29c36be9557c20b00ff"
				     "db0e5c3c";
	struct launched l = { 0 };
	struct session_packet kind = { .domain = PSP_MAC_SECRET, .measure = l.measurement };
	auto_session_packer struct session_packer *p = NULL;
	uint8_t hdr[PSP_HDR_LEN] = { 0 }, cipher[64], plain[64];
	struct err e = { 0 };
	struct sealed s;

	(void)state;
	l.s.keys.tek.len = hex_get("52a869b79ab9c13bb6a92b0561619cb3", l.s.keys.tek.b);
	l.s.keys.tik.len = hex_get("c6d5a9956133050912b24bbe5c372686", l.s.keys.tik.b);
	hex_get("4cb780efad3b959427b4b8d1635fe2fac6ed75267eef9cf1a73e0fc7d873a412", l.measurement);
	hex_get("ac5474ed4dd32c7d989ec523d92559ec", hdr + PSP_HDR_IV);
	hex_get("bc152cde610e17f0aef557334a2d4fca42c22c4312e3b5b85a3d47b0aac857e5",
		hdr + PSP_HDR_MAC);
	hex_get(packet, cipher);
	sealed_make(&l, &s);
	assert_int_equal(session_packer_new(&l.s.keys, &p, &e), 0);
	assert_int_equal(session_open(p, &kind, hdr, cipher, 64, plain, &e), 0);
	assert_memory_equal(plain, s.table.p, 64);
	assert_int_equal(session_open(p, &kind, s.hdr, s.cipher, 64, plain, &e), 0);
	assert_memory_equal(plain, s.table.p, 64);
	buf_fini(&s.table);
}

static void table_refused(const struct owner_secret *v, size_t n, int code, const char *why)
{
	auto_buf struct buf out = { 0 };
	struct err e = { 0 };

	assert_int_equal(owner_secret_table(v, n, &out, &e), code);
	assert_int_equal(out.len, 0);
	if (!strstr(e.msg, why))
		fail_msg("%s: not in: %s", why, e.msg);
}

static void secrets_that_make_no_table_are_refused(void **state)
{
	static uint8_t big[PSP_SECRET_MAX];
	struct owner_secret v[] = { { .guid = { 1 }, .p = big, .len = sizeof(big) - 39 },
				    { .guid = { 2 }, .p = big, .len = 1 } };
	auto_buf struct buf out = { 0 };
	struct err e = { 0 };

	(void)state;
	table_refused(v, 0, -EINVAL, "no secret");
	table_refused(v, 1, -E2BIG, "16384 bytes");
	v[0].len = SIZE_MAX - 30;
	table_refused(v, 1, -E2BIG, "16384 bytes");
	v[0].len = sizeof(big) - 40;
	table_refused(v, 2, -E2BIG, "16384 bytes");
	assert_int_equal(owner_secret_table(v, 1, &out, &e), 0);
	assert_int_equal(out.len, PSP_SECRET_MAX);
	v[0].len = 0;
	table_refused(v, 2, -EINVAL, "secret 1 is empty");
	v[0].len = 1;
	v[0].guid[0] = 2;
	table_refused(v, 2, -EEXIST, "secrets 1 and 2 have one GUID");
}

static void the_platform_s_report_is_verified_by_its_pek(void **state)
{
	struct fixture *f = *state;
	uint8_t raw[PSP_REPORT_LEN], mnonce[PSP_NONCE_LEN] = "sixteen of once";
	struct psp_room room = { raw, sizeof(raw) };
	struct owner_report r;
	struct sevcert pek;
	struct err e = { 0 };
	struct launched l;
	struct certs a, b;
	struct rd in;

	launched_make(f, &l);
	RUNS(psp_attestation(f->a, l.handle, mnonce, &room));
	certs_of(f->a, &a);
	certs_of(f->b, &b);
	assert_int_equal(owner_report_get(raw, sizeof(raw), &r, &e), 0);
	assert_memory_equal(r.mnonce, mnonce, sizeof(mnonce));
	assert_memory_equal(r.digest, l.digest, sizeof(l.digest));
	assert_int_equal(r.policy, POLICY);
	in = rd_of(a.plat, PSP_CERT_LEN);
	assert_int_equal(sevcert_get(&in, &pek, &e), 0);
	assert_int_equal(owner_report_verify(&r, &pek, &e), 0);
	in = rd_of(b.plat, PSP_CERT_LEN);
	assert_int_equal(sevcert_get(&in, &pek, &e), 0);
	assert_int_equal(owner_report_verify(&r, &pek, &e), -EKEYREJECTED);
	decommission(f->a, l.handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_platform_takes_the_session_meant_for_it),
		cmocka_unit_test(no_other_platform_and_no_other_policy_does),
		cmocka_unit_test(two_sessions_share_nothing),
		cmocka_unit_test(a_session_is_made_for_a_pdh_only),
		cmocka_unit_test(the_platform_s_measurement_is_the_one_expected),
		cmocka_unit_test(the_secret_arrives_in_private_memory),
		cmocka_unit_test(a_changed_secret_and_one_for_another_launch_do_not),
		cmocka_unit_test(sevctl_s_packet_holds_our_table),
		cmocka_unit_test(secrets_that_make_no_table_are_refused),
		cmocka_unit_test(the_platform_s_report_is_verified_by_its_pek),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
