/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/psp_fixture.h"

/* Each command once, with arguments that suit it; SUCCESS or the state's refusal. */
static enum psp_status run(struct psp *p, enum psp_cmd cmd)
{
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_PLAT_CHAIN_LEN];
	struct psp_room r1 = { pdh, sizeof(pdh) }, r2 = { chain, sizeof(chain) };
	struct psp_platform_status st;
	struct psp_guest_status gs;
	uint32_t handle = 0;

	switch (cmd) {
	case PSP_CMD_INIT:
		return psp_init(p, true);
	case PSP_CMD_SHUTDOWN:
		return psp_shutdown(p);
	case PSP_CMD_PLATFORM_RESET:
		return psp_platform_reset(p);
	case PSP_CMD_PLATFORM_STATUS:
		return psp_platform_status(p, &st);
	case PSP_CMD_PEK_GEN:
		return psp_pek_gen(p);
	case PSP_CMD_PEK_CSR:
		return psp_pek_csr(p, &r1);
	case PSP_CMD_PEK_CERT_IMPORT:
		return psp_pek_cert_import(p, none, none);
	case PSP_CMD_PDH_CERT_EXPORT:
		return psp_pdh_cert_export(p, &r1, &r2);
	case PSP_CMD_PDH_GEN:
		return psp_pdh_gen(p);
	case PSP_CMD_DF_FLUSH:
		return psp_df_flush(p);
	case PSP_CMD_GET_ID:
		return psp_get_id(p, &r1);
	case PSP_CMD_START:
		return psp_launch_start(p, &handle, 0, none, none);
	case PSP_CMD_GUEST:
		return psp_guest_status(p, 99, &gs);
	case PSP_PLATFORM_CMDS:
		break;
	}
	fail();
	return PSP_HWERROR_PLATFORM;
}

static void enter_state(struct psp *p, enum psp_platform_state s)
{
	uint32_t handle = 0;

	RUNS(psp_shutdown(p));
	if (s == PSP_PSTATE_UNINIT)
		return;
	RUNS(psp_init(p, true));
	if (s == PSP_PSTATE_WORKING)
		RUNS(psp_launch_start(p, &handle, 0, none, none));
	assert_int_equal(p->state, s);
}

static void each_command_runs_in_its_states_only(void **state)
{
	static const char *const legal[PSP_PLATFORM_CMDS] = {
		[PSP_CMD_INIT] = "U",
		[PSP_CMD_SHUTDOWN] = "UIW",
		[PSP_CMD_PLATFORM_RESET] = "U",
		[PSP_CMD_PLATFORM_STATUS] = "UIW",
		[PSP_CMD_PEK_GEN] = "I",
		[PSP_CMD_PEK_CSR] = "IW",
		[PSP_CMD_PEK_CERT_IMPORT] = "I",
		[PSP_CMD_PDH_CERT_EXPORT] = "IW",
		[PSP_CMD_PDH_GEN] = "IW",
		[PSP_CMD_DF_FLUSH] = "IW",
		[PSP_CMD_GET_ID] = "UIW",
		[PSP_CMD_START] = "IW",
		[PSP_CMD_GUEST] = "IW",
	};
	struct fixture *f = *state;

	for (int cmd = 0; cmd < PSP_PLATFORM_CMDS; cmd++)
		for (int s = 0; s < 3; s++) {
			enum psp_status got;

			enter_state(f->b, (enum psp_platform_state)s);
			got = run(f->b, (enum psp_cmd)cmd);
			if (!strchr(legal[cmd], "UIW"[s]))
				assert_int_equal(got, PSP_INVALID_PLATFORM_STATE);
			else if (cmd == PSP_CMD_PEK_CERT_IMPORT)
				assert_int_equal(got, PSP_INVALID_LEN);
			else if (cmd == PSP_CMD_GUEST)
				assert_int_equal(got, PSP_INVALID_GUEST);
			else
				assert_int_equal(got, PSP_SUCCESS);
		}
	enter_state(f->b, PSP_PSTATE_INIT);
}

static void status_tells_state_owner_es_and_guests(void **state)
{
	struct fixture *f = *state;
	struct psp_platform_status st;
	uint32_t h1 = 0, h2 = 0;

	enter_state(f->b, PSP_PSTATE_UNINIT);
	RUNS(psp_platform_status(f->b, &st));
	assert_int_equal(st.api_major, 1);
	assert_int_equal(st.api_minor, 55);
	assert_int_equal(st.build, 21);
	assert_int_equal(st.state, PSP_PSTATE_UNINIT);
	assert_int_equal(st.flags, 0);
	RUNS(psp_init(f->b, false));
	RUNS(psp_platform_status(f->b, &st));
	assert_int_equal(st.flags, 0);
	RUNS(psp_shutdown(f->b));
	RUNS(psp_init(f->b, true));
	RUNS(psp_launch_start(f->b, &h1, 0, none, none));
	RUNS(psp_launch_start(f->b, &h2, 0, none, none));
	RUNS(psp_platform_status(f->b, &st));
	assert_int_equal(st.flags, PSP_STATUS_ES);
	assert_int_equal(st.guest_count, 2);
	assert_int_equal(st.state, PSP_PSTATE_WORKING);
	RUNS(psp_decommission(f->b, h1));
	RUNS(psp_decommission(f->b, h2));
	RUNS(psp_platform_status(f->b, &st));
	assert_int_equal(st.state, PSP_PSTATE_INIT);
	assert_int_equal(st.guest_count, 0);
}

static void length_queries_store_what_is_needed(void **state)
{
	struct fixture *f = *state;
	uint8_t out[PSP_PLAT_CHAIN_LEN];
	struct psp_room r1 = { 0 }, r2 = { 0 };

	assert_int_equal(psp_pek_csr(f->b, &r1), PSP_INVALID_LEN);
	assert_int_equal(r1.len, 0x824);
	r1 = (struct psp_room){ out, 0x823 };
	assert_int_equal(psp_pek_csr(f->b, &r1), PSP_INVALID_LEN);
	r1 = (struct psp_room){ 0 };
	assert_int_equal(psp_pdh_cert_export(f->b, &r1, &r2), PSP_INVALID_LEN);
	assert_int_equal(r1.len, 0x824);
	assert_int_equal(r2.len, 0x186c);
	r1 = (struct psp_room){ out, sizeof(out) };
	r2 = (struct psp_room){ out, 0x186b };
	assert_int_equal(psp_pdh_cert_export(f->b, &r1, &r2), PSP_INVALID_LEN);
	assert_int_equal(r1.len, 0x824);
	assert_int_equal(r2.len, 0x186c);
	r1 = (struct psp_room){ out, 63 };
	assert_int_equal(psp_get_id(f->b, &r1), PSP_INVALID_LEN);
	assert_int_equal(r1.len, 64);
	r1 = (struct psp_room){ out, 128 };
	RUNS(psp_get_id(f->b, &r1));
	assert_int_equal(r1.len, 64);
}

static bool differs(const uint8_t *a, const uint8_t *b)
{
	return !crypto_equal(a, b, PSP_CERT_LEN);
}

static void each_generation_changes_what_it_should(void **state)
{
	struct fixture *f = *state;
	struct certs one, two;
	const size_t oca = PSP_CERT_LEN, cek = 2 * PSP_CERT_LEN;
	uint64_t changes = psp_nv_changes(f->b);

	certs_of(f->b, &one);
	RUNS(psp_pdh_gen(f->b));
	certs_of(f->b, &two);
	assert_true(differs(one.pdh, two.pdh));
	assert_memory_equal(one.plat, two.plat, sizeof(one.plat));
	assert_true(psp_nv_changes(f->b) > changes);
	RUNS(psp_pek_gen(f->b));
	certs_of(f->b, &one);
	assert_true(differs(one.pdh, two.pdh));
	assert_true(differs(one.plat, two.plat));
	assert_true(differs(one.plat + oca, two.plat + oca));
	assert_false(differs(one.plat + cek, two.plat + cek));
	RUNS(psp_shutdown(f->b));
	RUNS(psp_init(f->b, true));
	certs_of(f->b, &two);
	assert_memory_equal(&one, &two, sizeof(one));
	RUNS(psp_shutdown(f->b));
	RUNS(psp_platform_reset(f->b));
	RUNS(psp_init(f->b, true));
	certs_of(f->b, &two);
	assert_true(differs(one.pdh, two.pdh));
	assert_true(differs(one.plat + oca, two.plat + oca));
	assert_false(differs(one.plat + cek, two.plat + cek));
}

static void csr_has_the_form_owners_tools_check(void **state)
{
	struct fixture *f = *state;
	uint8_t csr[PSP_CERT_LEN];
	struct psp_room room = { csr, sizeof(csr) };
	struct rd in = rd_of(csr, sizeof(csr));
	struct err e = { 0 };
	struct sevcert c;

	RUNS(psp_pek_csr(f->b, &room));
	assert_int_equal(sevcert_get(&in, &c, &e), 0);
	assert_int_equal(c.usage, SEVCERT_PEK);
	assert_int_equal(c.algo, SEVCERT_ECDSA_SHA256);
	assert_int_equal(c.api_major, 1);
	assert_int_equal(c.api_minor, 55);
	for (int i = 0; i < SEVCERT_SIGS; i++) {
		assert_int_equal(c.sig[i].usage, SEVCERT_NONE);
		assert_int_equal(c.sig[i].algo, 0);
		assert_true(crypto_is_zero(c.sig[i].bytes, SEVCERT_SIG_LEN));
	}
}

/* An owner outside: a key, its certificate, and its signature on the platform's request. */
struct owner {
	struct ec_key *key;
	uint8_t oca[PSP_CERT_LEN], pek[PSP_CERT_LEN];
};

static void owner_sign(struct psp *p, struct owner *o, unsigned slot)
{
	struct sevcert_head head = { .usage = SEVCERT_OCA, .algo = SEVCERT_ECDSA_SHA256 };
	struct psp_room room = { o->pek, PSP_CERT_LEN };
	struct err e = { 0 };

	assert_int_equal(ec_key_generate(&o->key, &e), 0);
	assert_int_equal(sevcert_make(&head, o->key, o->oca, &e), 0);
	assert_int_equal(sevcert_sign(o->oca, 0, SEVCERT_OCA, o->key, &e), 0);
	RUNS(psp_pek_csr(p, &room));
	assert_int_equal(sevcert_sign(o->pek, slot, SEVCERT_OCA, o->key, &e), 0);
}

static enum psp_status import(struct psp *p, const struct owner *o)
{
	return psp_pek_cert_import(p, (struct psp_bytes){ o->pek, PSP_CERT_LEN },
				   (struct psp_bytes){ o->oca, PSP_CERT_LEN });
}

static void chain_holds(const struct certs *c)
{
	struct rd in = rd_of(c->plat, sizeof(c->plat)), in2 = rd_of(c->pdh, sizeof(c->pdh));
	struct sevcert pek, oca, cek, pdh;
	struct err e = { 0 };

	assert_int_equal(sevcert_get(&in, &pek, &e), 0);
	assert_int_equal(sevcert_get(&in, &oca, &e), 0);
	assert_int_equal(sevcert_get(&in, &cek, &e), 0);
	assert_int_equal(sevcert_get(&in2, &pdh, &e), 0);
	assert_int_equal(sevcert_verify(&pdh, &pek, &e), 0);
	assert_int_equal(sevcert_verify(&pek, &oca, &e), 0);
	assert_int_equal(sevcert_verify(&pek, &cek, &e), 0);
	assert_int_equal(sevcert_verify(&oca, &oca, &e), 0);
}

static void import_makes_the_platform_owned_in_either_slot(void **state)
{
	struct fixture *f = *state;
	struct psp_platform_status st;
	struct certs before, after;

	for (unsigned slot = 0; slot < 2; slot++) {
		struct owner o = { 0 };

		owner_sign(f->b, &o, slot);
		certs_of(f->b, &before);
		RUNS(import(f->b, &o));
		certs_of(f->b, &after);
		chain_holds(&after);
		assert_true(differs(before.pdh, after.pdh));
		assert_false(differs(after.plat + PSP_CERT_LEN, o.oca));
		RUNS(psp_platform_status(f->b, &st));
		assert_int_equal(st.flags & PSP_STATUS_OWNED, PSP_STATUS_OWNED);
		assert_int_equal(import(f->b, &o), PSP_ALREADY_OWNED);
		RUNS(psp_pek_gen(f->b)); /* self-owned again */
		RUNS(psp_platform_status(f->b, &st));
		assert_int_equal(st.flags & PSP_STATUS_OWNED, 0);
		ec_key_free(o.key);
	}
}

static void import_refuses_wrong_certificates(void **state)
{
	struct fixture *f = *state;
	struct owner o = { 0 }, other = { 0 };
	struct psp_bytes pek = { o.pek, PSP_CERT_LEN }, oca = { o.oca, PSP_CERT_LEN };
	struct psp_bytes cut = { o.pek, PSP_CERT_LEN - 1 };
	struct certs before, after;

	owner_sign(f->b, &o, 0);
	owner_sign(f->b, &other, 0);
	certs_of(f->b, &before);
	assert_int_equal(psp_pek_cert_import(f->b, cut, oca), PSP_INVALID_LEN);
	cut.p = o.oca;
	assert_int_equal(psp_pek_cert_import(f->b, pek, cut), PSP_INVALID_LEN);
	assert_int_equal(psp_pek_cert_import(f->b, oca, oca), PSP_INVALID_CERTIFICATE);
	assert_int_equal(psp_pek_cert_import(f->b, pek, pek), PSP_INVALID_CERTIFICATE);
	oca.p = other.oca;
	assert_int_equal(psp_pek_cert_import(f->b, pek, oca), PSP_BAD_SIGNATURE);
	oca.p = o.oca;
	o.oca[0x41c] ^= 1;
	assert_int_equal(psp_pek_cert_import(f->b, pek, oca), PSP_BAD_SIGNATURE);
	o.oca[0x41c] ^= 1;
	RUNS(psp_pek_gen(f->b)); /* the request is stale now */
	assert_int_equal(psp_pek_cert_import(f->b, pek, oca), PSP_INVALID_CERTIFICATE);
	certs_of(f->b, &after);
	chain_holds(&after);
	ec_key_free(o.key);
	ec_key_free(other.key);
}

static void another_platforms_root_or_owner_can_be_used(void **state)
{
	struct fixture *f = *state;
	struct psp_make m = {
		.ca = f->a, .oca = f->a, .api_major = 1, .api_minor = 40, .build = 2
	};
	struct psp *p = psp_of(&m);
	struct psp_platform_status st;
	struct psp *no = NULL;
	struct certs of_a, of_p;
	struct err e = { 0 };

	RUNS(psp_init(p, true));
	RUNS(psp_platform_status(p, &st));
	assert_int_equal(st.api_minor, 40);
	assert_int_equal(st.build, 2);
	assert_int_equal(st.flags & PSP_STATUS_OWNED, PSP_STATUS_OWNED);
	certs_of(f->a, &of_a);
	certs_of(p, &of_p);
	chain_holds(&of_p);
	assert_int_equal(of_a.amd_len, of_p.amd_len);
	assert_memory_equal(of_a.amd, of_p.amd, of_a.amd_len);
	assert_false(differs(of_a.plat + PSP_CERT_LEN, of_p.plat + PSP_CERT_LEN));
	assert_true(differs(of_a.plat + 2 * PSP_CERT_LEN, of_p.plat + 2 * PSP_CERT_LEN));
	m.ca = p; /* which only borrows its root, */
	assert_int_equal(psp_make(&m, &no, &e), -ENOKEY);
	m.ca = f->a;
	m.oca = p; /* and its owner */
	assert_int_equal(psp_make(&m, &no, &e), -ENOKEY);
	assert_null(no);
	psp_free(p);
}

static void amd_chain_wants_room(void **state)
{
	struct fixture *f = *state;
	uint8_t out[2 * PSP_AMD_CERT_LEN_2048];
	struct err e = { 0 };
	size_t len = 0;

	assert_int_equal(psp_amd_chain(f->a, out, sizeof(out) - 1, &len, &e), -EMSGSIZE);
	assert_int_equal(psp_amd_chain(f->a, out, sizeof(out), &len, &e), 0);
	assert_int_equal(len, sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_runs_in_its_states_only),
		cmocka_unit_test(status_tells_state_owner_es_and_guests),
		cmocka_unit_test(length_queries_store_what_is_needed),
		cmocka_unit_test(each_generation_changes_what_it_should),
		cmocka_unit_test(csr_has_the_form_owners_tools_check),
		cmocka_unit_test(import_makes_the_platform_owned_in_either_slot),
		cmocka_unit_test(import_refuses_wrong_certificates),
		cmocka_unit_test(another_platforms_root_or_owner_can_be_used),
		cmocka_unit_test(amd_chain_wants_room),
	};

	return cmocka_run_group_tests_name("psp_platform", tests, fixture_setup, fixture_teardown);
}
