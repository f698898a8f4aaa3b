/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/psp_fixture.h"

/* A guest owner: DH key and certificate, session keys, session buffer. */
struct owner {
	struct ec_key *key;
	uint8_t cert[PSP_CERT_LEN];
	struct session_keys keys;
	uint8_t session[PSP_SESSION_LEN];
};

static void owner_make(struct psp *p, uint32_t policy, struct owner *o)
{
	const struct sevcert_head head = { .usage = SEVCERT_PDH, .algo = SEVCERT_ECDH_SHA256 };
	const uint8_t nonce[16] = { 1 }, iv[16] = { 2 };
	auto_ec_key struct ec_key *pdh = NULL;
	struct session_master m;
	struct certs c;
	struct err e = { 0 };

	memset(o, 0, sizeof(*o));
	certs_of(p, &c);
	RUNS(psp_chain_dh((struct psp_bytes){ c.pdh, PSP_CERT_LEN }, &pdh));
	assert_int_equal(ec_key_generate(&o->key, &e), 0);
	assert_int_equal(sevcert_make(&head, o->key, o->cert, &e), 0);
	assert_int_equal(session_keys_random(&o->keys, &e), 0);
	assert_int_equal(session_master_agree(o->key, pdh, nonce, &m, &e), 0);
	assert_int_equal(session_wrap(&m, &o->keys, policy, nonce, iv, o->session, &e), 0);
}

static enum psp_status start(struct psp *p, const struct owner *o, uint32_t policy,
			     uint32_t *handle)
{
	*handle = 0;
	return psp_launch_start(p, handle, policy, (struct psp_bytes){ o->cert, PSP_CERT_LEN },
				(struct psp_bytes){ o->session, PSP_SESSION_LEN });
}

static void measure_of(struct psp *p, uint32_t handle, uint8_t out[PSP_MEASURE_LEN])
{
	struct psp_room room = { out, PSP_MEASURE_LEN };

	RUNS(psp_launch_measure(p, handle, &room));
	assert_int_equal(room.len, PSP_MEASURE_LEN);
}

static void owner_recomputes_the_measurement_of_pieces_in_order(void **state)
{
	struct fixture *f = *state;
	struct session_measured m = { .api_major = 1, .api_minor = 55, .build = 21, .policy = 4 };
	uint8_t src[PAGE] __attribute__((aligned(16))), mac[HMAC_LEN], got[PSP_MEASURE_LEN];
	struct owner o;
	uint32_t handle;
	struct err e = { 0 };

	owner_make(f->a, 4, &o);
	RUNS(start(f->a, &o, 4, &handle));
	RUNS(psp_activate(f->a, handle, 1));
	for (size_t i = 0; i < PAGE; i++)
		src[i] = (uint8_t)(i * 7);
	memset(f->page, 0, PAGE);
	RUNS(psp_launch_update_data(f->a, handle, src, f->page, 1024));
	RUNS(psp_launch_update_data(f->a, handle, src + 1024, f->page + 1024, PAGE - 1024 - 16));
	RUNS(psp_launch_update_vmsa(f->a, handle, src + PAGE - 16, f->page + PAGE - 16, 16));
	assert_memory_equal(f->page, src, PAGE);
	measure_of(f->a, handle, got);
	assert_int_equal(crypto_sha256(src, PAGE, m.digest, &e), 0);
	memcpy(m.mnonce, got + PSP_MEASURE_MNONCE, sizeof(m.mnonce));
	assert_int_equal(session_measure(&o.keys.tik, &m, mac, &e), 0);
	assert_memory_equal(mac, got, HMAC_LEN);
	guest_end(f->a, handle);
	ec_key_free(o.key);
}

static void measure_query_stores_the_length_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	uint32_t handle = guest_launch(f, 0, PSP_GSTATE_LUPDATE);
	uint8_t out[PSP_MEASURE_LEN];
	struct psp_room room = { NULL, 0 };

	assert_int_equal(psp_launch_measure(f->a, handle, &room), PSP_INVALID_LEN);
	assert_int_equal(room.len, 48);
	room = (struct psp_room){ out, 47 };
	assert_int_equal(psp_launch_measure(f->a, handle, &room), PSP_INVALID_LEN);
	assert_int_equal(room.len, 48);
	assert_int_equal(state_of(f->a, handle), PSP_GSTATE_LUPDATE);
	measure_of(f->a, handle, out);
	assert_int_equal(state_of(f->a, handle), PSP_GSTATE_LSECRET);
	guest_end(f->a, handle);
}

static void start_refuses_a_session_that_is_not_for_it(void **state)
{
	struct fixture *f = *state;
	struct owner o;
	uint32_t handle;

	owner_make(f->a, 1, &o);
	assert_int_equal(start(f->b, &o, 1, &handle), PSP_BAD_MEASUREMENT);
	assert_int_equal(start(f->a, &o, 0, &handle), PSP_BAD_MEASUREMENT);
	assert_int_equal(handle, 0);
	for (size_t i = 0; i < PSP_SESSION_LEN; i++) {
		o.session[i] ^= 0x20;
		assert_int_equal(start(f->a, &o, 1, &handle), PSP_BAD_MEASUREMENT);
		o.session[i] ^= 0x20;
	}
	RUNS(start(f->a, &o, 1, &handle));
	guest_end(f->a, handle);
	RUNS(psp_pdh_gen(f->a));
	assert_int_equal(start(f->a, &o, 1, &handle), PSP_BAD_MEASUREMENT);
	ec_key_free(o.key);
}

static void start_refuses_wrong_sizes_and_certificates(void **state)
{
	struct fixture *f = *state;
	struct psp_bytes dh, session;
	struct owner o;
	uint32_t handle = 0;

	owner_make(f->a, 0, &o);
	dh = (struct psp_bytes){ o.cert, PSP_CERT_LEN - 1 };
	session = (struct psp_bytes){ o.session, PSP_SESSION_LEN };
	assert_int_equal(psp_launch_start(f->a, &handle, 0, dh, session), PSP_INVALID_LEN);
	dh.len = PSP_CERT_LEN;
	session.len = PSP_SESSION_LEN - 1;
	assert_int_equal(psp_launch_start(f->a, &handle, 0, dh, session), PSP_INVALID_LEN);
	assert_int_equal(psp_launch_start(f->a, &handle, 0, dh, none), PSP_INVALID_LEN);
	session.len = PSP_SESSION_LEN;
	o.cert[8] = 2; /* a PEK's usage */
	assert_int_equal(psp_launch_start(f->a, &handle, 0, dh, session), PSP_INVALID_CERTIFICATE);
	o.cert[8] = 3;
	o.cert[0x14] ^= 1; /* off the curve */
	assert_int_equal(psp_launch_start(f->a, &handle, 0, dh, session), PSP_INVALID_CERTIFICATE);
	RUNS(psp_launch_start(f->a, &handle, 0, none, session)); /* no owner: ignored */
	guest_end(f->a, handle);
	ec_key_free(o.key);
}

static void update_wants_multiples_of_16_and_es_for_vmsa(void **state)
{
	struct fixture *f = *state;
	uint32_t handle = guest_launch(f, 0, PSP_GSTATE_LUPDATE);
	uint8_t *at = f->page;

	assert_int_equal(psp_launch_update_data(f->a, handle, at, at, 0), PSP_INVALID_LEN);
	assert_int_equal(psp_launch_update_data(f->a, handle, at, at, 24), PSP_INVALID_LEN);
	assert_int_equal(psp_launch_update_data(f->a, handle, at, at + 8, 16), PSP_INVALID_ADDRESS);
	assert_int_equal(psp_launch_update_vmsa(f->a, handle, at, at, 16), PSP_POLICY_FAILURE);
	guest_end(f->a, handle);
}

/* A launched guest in LSECRET and a packet for it. */
struct secret_case {
	struct owner o;
	uint32_t handle;
	uint8_t hdr[PSP_HDR_LEN], packet[32], plain[32];
};

static void secret_make(struct fixture *f, struct secret_case *c)
{
	auto_session_packer struct session_packer *packer = NULL;
	uint8_t m[PSP_MEASURE_LEN];
	struct session_packet kind = { .domain = PSP_MAC_SECRET, .measure = m };
	struct err e = { 0 };

	owner_make(f->a, 0, &c->o);
	RUNS(start(f->a, &c->o, 0, &c->handle));
	RUNS(psp_activate(f->a, c->handle, asid_for(f->a, 0)));
	RUNS(psp_launch_update_data(f->a, c->handle, f->page, f->page, PAGE));
	measure_of(f->a, c->handle, m);
	memcpy(c->plain, "the key of the guest's own disk", 32);
	assert_int_equal(session_packer_new(&c->o.keys, &packer, &e), 0);
	assert_int_equal(session_seal(packer, &kind, c->plain, 32, c->hdr, c->packet, &e), 0);
}

static enum psp_status secret_run(struct fixture *f, struct secret_case *c, size_t len)
{
	return psp_launch_secret(f->a, c->handle, (struct psp_bytes){ c->hdr, PSP_HDR_LEN },
				 (struct psp_bytes){ c->packet, len }, f->page, len);
}

static void secret_reaches_the_guest_and_may_be_repeated(void **state)
{
	struct fixture *f = *state;
	struct secret_case c;

	secret_make(f, &c);
	for (int i = 0; i < 2; i++) {
		memset(f->page, 0, PAGE);
		RUNS(secret_run(f, &c, 32));
		assert_memory_equal(f->page, c.plain, 32);
	}
	guest_end(f->a, c.handle);
	ec_key_free(c.o.key);
}

static void every_changed_byte_of_a_secret_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t before[PAGE];
	struct secret_case c;

	secret_make(f, &c);
	memset(f->page, 0x31, PAGE);
	memcpy(before, f->page, PAGE);
	for (size_t i = 0; i < PSP_HDR_LEN + 32; i++) {
		uint8_t *at = i < PSP_HDR_LEN ? c.hdr + i : c.packet + (i - PSP_HDR_LEN);

		*at ^= 1;
		assert_int_equal(secret_run(f, &c, 32), PSP_BAD_MEASUREMENT);
		*at ^= 1;
	}
	assert_int_equal(secret_run(f, &c, 31), PSP_BAD_MEASUREMENT);
	assert_int_equal(secret_run(f, &c, 0), PSP_INVALID_LEN);
	assert_int_equal(psp_launch_secret(f->a, c.handle, (struct psp_bytes){ c.hdr, 51 },
					   (struct psp_bytes){ c.packet, 32 }, f->page, 32),
			 PSP_INVALID_LEN);
	assert_int_equal(psp_launch_secret(f->a, c.handle, (struct psp_bytes){ c.hdr, PSP_HDR_LEN },
					   (struct psp_bytes){ c.packet, 32 }, f->page, 48),
			 PSP_INVALID_LEN);
	assert_memory_equal(f->page, before, PAGE);
	guest_end(f->a, c.handle);
	ec_key_free(c.o.key);
}

/* Nobody knows the keys of a guest without an owner. */
static void secret_for_another_or_ownerless_guest_is_refused(void **state)
{
	struct fixture *f = *state;
	struct secret_case c, other;
	uint32_t own;

	secret_make(f, &c);
	secret_make(f, &other);
	own = c.handle;
	c.handle = other.handle;
	assert_int_equal(secret_run(f, &c, 32), PSP_BAD_MEASUREMENT);
	c.handle = guest_launch(f, 0, PSP_GSTATE_LSECRET);
	assert_int_equal(secret_run(f, &c, 32), PSP_BAD_MEASUREMENT);
	guest_end(f->a, c.handle);
	guest_end(f->a, own);
	guest_end(f->a, other.handle);
	ec_key_free(c.o.key);
	ec_key_free(other.o.key);
}

static void attestation_is_signed_by_the_pek_after_finish(void **state)
{
	struct fixture *f = *state;
	const uint8_t mnonce[PSP_NONCE_LEN] = { 0xab };
	uint8_t report[PSP_REPORT_LEN], digest[32];
	struct psp_room room = { NULL, 0 };
	auto_ec_key struct ec_key *pek = NULL;
	struct certs c;
	struct rd in = rd_of(c.plat, PSP_CERT_LEN);
	struct sevcert cert;
	struct err e = { 0 };
	uint32_t handle;

	memset(f->page, 0x42, PAGE);
	handle = guest_launch(f, 0x20, PSP_GSTATE_RUNNING);
	assert_int_equal(psp_attestation(f->a, handle, mnonce, &room), PSP_INVALID_LEN);
	assert_int_equal(room.len, 208);
	room = (struct psp_room){ report, sizeof(report) };
	RUNS(psp_attestation(f->a, handle, mnonce, &room));
	certs_of(f->a, &c);
	assert_int_equal(sevcert_get(&in, &cert, &e), 0);
	assert_int_equal(sevcert_ec_key(&cert, &pek, &e), 0);
	assert_int_equal(ec_key_verify(pek, CRYPTO_SHA256, report, 0x34, report + 0x40, &e), 0);
	assert_int_equal(crypto_sha256(f->page, PAGE, digest, &e), 0);
	assert_memory_equal(report, mnonce, 16);
	assert_memory_equal(report + 0x10, digest, 32);
	assert_int_equal(report[0x30], 0x20);
	assert_int_equal(report[0x34] | report[0x35] << 8, SEVCERT_PEK);
	assert_int_equal(report[0x38], SEVCERT_ECDSA_SHA256);
	guest_end(f->a, handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_recomputes_the_measurement_of_pieces_in_order),
		cmocka_unit_test(measure_query_stores_the_length_and_changes_nothing),
		cmocka_unit_test(start_refuses_a_session_that_is_not_for_it),
		cmocka_unit_test(start_refuses_wrong_sizes_and_certificates),
		cmocka_unit_test(update_wants_multiples_of_16_and_es_for_vmsa),
		cmocka_unit_test(secret_reaches_the_guest_and_may_be_repeated),
		cmocka_unit_test(every_changed_byte_of_a_secret_is_refused),
		cmocka_unit_test(secret_for_another_or_ownerless_guest_is_refused),
		cmocka_unit_test(attestation_is_signed_by_the_pek_after_finish),
	};

	return cmocka_run_group_tests_name("psp_launch", tests, fixture_setup, fixture_teardown);
}
