/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/psp_fixture.h"

/* What each guest command needs to succeed in a state that allows it. */
struct parts {
	struct fixture *f;
	struct psp *p;
	uint32_t handle;
	uint32_t asid;
	uint8_t session[PSP_SESSION_LEN];
	uint8_t page[PAGE] __attribute__((aligned(16)));
	uint8_t hdr[PSP_HDR_LEN];
	uint8_t packet[PAGE];
};

/* ES, so that the VMSA commands are legal too. */
#define POLICY PSP_POLICY_ES

static enum psp_status run_launch(struct parts *x, enum psp_guest_cmd cmd)
{
	struct psp_bytes hdr = { x->hdr, PSP_HDR_LEN }, packet = { x->packet, 16 };
	struct psp_room out = { x->packet, sizeof(x->packet) };
	const uint8_t mnonce[PSP_NONCE_LEN] = { 0 };

	switch ((int)cmd) {
	case PSP_CMD_LAUNCH_UPDATE_DATA:
		return psp_launch_update_data(x->p, x->handle, x->page, x->page, PAGE);
	case PSP_CMD_LAUNCH_UPDATE_VMSA:
		return psp_launch_update_vmsa(x->p, x->handle, x->page, x->page, PAGE);
	case PSP_CMD_LAUNCH_MEASURE:
		return psp_launch_measure(x->p, x->handle, &out);
	case PSP_CMD_LAUNCH_SECRET:
		return psp_launch_secret(x->p, x->handle, hdr, packet, x->page, 16);
	case PSP_CMD_LAUNCH_FINISH:
		return psp_launch_finish(x->p, x->handle);
	case PSP_CMD_ATTESTATION:
		return psp_attestation(x->p, x->handle, mnonce, &out);
	case PSP_CMD_DBG_DECRYPT:
		return psp_dbg_decrypt(x->p, x->handle, x->page, x->packet, 7);
	case PSP_CMD_DBG_ENCRYPT:
		return psp_dbg_encrypt(x->p, x->handle, x->packet, x->page, 7);
	default:
		fail();
		return PSP_HWERROR_PLATFORM;
	}
}

static enum psp_status run_send_start(struct parts *x)
{
	struct psp_room session = { x->session, PSP_SESSION_LEN };
	struct psp_send_to to;
	uint32_t policy;
	struct certs c;

	certs_of(x->f->b, &c);
	to = to_certs(&c);
	return psp_send_start(x->p, x->handle, &to, &session, &policy);
}

static enum psp_status run_move(struct parts *x, enum psp_guest_cmd cmd)
{
	struct psp_bytes in_hdr = { x->hdr, PSP_HDR_LEN }, in = { x->packet, PAGE };
	struct psp_room hdr = { x->hdr, PSP_HDR_LEN }, out = { x->packet, PAGE };

	switch ((int)cmd) {
	case PSP_CMD_SEND_START:
		return run_send_start(x);
	case PSP_CMD_SEND_UPDATE_DATA:
		return psp_send_update_data(x->p, x->handle, x->page, PAGE, &hdr, &out);
	case PSP_CMD_SEND_UPDATE_VMSA:
		return psp_send_update_vmsa(x->p, x->handle, x->page, PAGE, &hdr, &out);
	case PSP_CMD_SEND_FINISH:
		return psp_send_finish(x->p, x->handle);
	case PSP_CMD_SEND_CANCEL:
		return psp_send_cancel(x->p, x->handle);
	case PSP_CMD_RECEIVE_UPDATE_DATA:
		return psp_receive_update_data(x->p, x->handle, in_hdr, in, x->page, PAGE);
	case PSP_CMD_RECEIVE_UPDATE_VMSA:
		return psp_receive_update_vmsa(x->p, x->handle, in_hdr, in, x->page, PAGE);
	case PSP_CMD_RECEIVE_FINISH:
		return psp_receive_finish(x->p, x->handle);
	default:
		return run_launch(x, cmd);
	}
}

static enum psp_status run(struct parts *x, enum psp_guest_cmd cmd)
{
	struct psp_guest_status st;
	enum psp_status s;

	switch ((int)cmd) {
	case PSP_CMD_ACTIVATE:
		RUNS(psp_deactivate(x->p, x->handle));
		s = psp_activate(x->p, x->handle, x->asid);
		return s;
	case PSP_CMD_DEACTIVATE:
		s = psp_deactivate(x->p, x->handle);
		RUNS(psp_activate(x->p, x->handle, x->asid));
		return s;
	case PSP_CMD_DECOMMISSION:
		s = psp_decommission(x->p, x->handle);
		return s == PSP_ACTIVE ? PSP_SUCCESS : s; /* allowed, but for the ASID */
	case PSP_CMD_GUEST_STATUS:
		return psp_guest_status(x->p, x->handle, &st);
	default:
		return run_move(x, cmd);
	}
}

/* A guest of f->a in state s; RUPDATE is f->b's, and x gets a packet for it. */
static void parts_make(struct fixture *f, struct parts *x, enum psp_guest_state s, uint8_t domain)
{
	const struct session_packet kind = { .domain = domain };
	struct psp_guest *g;
	struct err e = { 0 };

	memset(x, 0, sizeof(*x));
	x->f = f;
	x->p = f->a;
	x->handle = guest_launch(f, POLICY, s < PSP_GSTATE_RUNNING ? s : PSP_GSTATE_RUNNING);
	RUNS(psp_guest_find(f->a, x->handle, &g));
	if (s == PSP_GSTATE_LSECRET) {
		const struct session_packet secret = { PSP_MAC_SECRET, g->measure };

		assert_int_equal(
			session_seal(g->packer, &secret, x->page, 16, x->hdr, x->packet, &e), 0);
	}
	if (s >= PSP_GSTATE_SUPDATE)
		guest_send_start(f, x->handle, f->b, x->session);
	if (s == PSP_GSTATE_SENT)
		RUNS(psp_send_finish(f->a, x->handle));
	if (s == PSP_GSTATE_RUPDATE) {
		assert_int_equal(
			session_seal(g->packer, &kind, x->page, PAGE, x->hdr, x->packet, &e), 0);
		guest_end(f->a, x->handle);
		x->p = f->b;
		x->handle = guest_receive_start(f, POLICY, x->session);
	}
	RUNS(psp_guest_find(x->p, x->handle, &g));
	x->asid = g->asid;
}

/* SEV API's table, written from the specification's side: where each command is legal, and the
 * state after it. */
static const struct {
	enum psp_guest_cmd cmd;
	const char *legal; /* by the state's number */
	int next;          /* -1: the same */
} api[] = {
	{ PSP_CMD_LAUNCH_UPDATE_DATA, "1", -1 },  { PSP_CMD_LAUNCH_UPDATE_VMSA, "1", -1 },
	{ PSP_CMD_LAUNCH_MEASURE, "1", 2 },       { PSP_CMD_LAUNCH_SECRET, "2", -1 },
	{ PSP_CMD_LAUNCH_FINISH, "2", 3 },        { PSP_CMD_ATTESTATION, "234", -1 },
	{ PSP_CMD_SEND_START, "3", 4 },           { PSP_CMD_SEND_UPDATE_DATA, "4", -1 },
	{ PSP_CMD_SEND_UPDATE_VMSA, "4", -1 },    { PSP_CMD_SEND_FINISH, "4", 6 },
	{ PSP_CMD_SEND_CANCEL, "4", 3 },          { PSP_CMD_RECEIVE_UPDATE_DATA, "5", -1 },
	{ PSP_CMD_RECEIVE_UPDATE_VMSA, "5", -1 }, { PSP_CMD_RECEIVE_FINISH, "5", 3 },
	{ PSP_CMD_DBG_DECRYPT, "1234", -1 },      { PSP_CMD_DBG_ENCRYPT, "1234", -1 },
	{ PSP_CMD_ACTIVATE, "123456", -1 },       { PSP_CMD_DEACTIVATE, "123456", -1 },
	{ PSP_CMD_DECOMMISSION, "123456", -1 },   { PSP_CMD_GUEST_STATUS, "123456", -1 },
};

_Static_assert(sizeof(api) / sizeof(api[0]) == PSP_GUEST_CMDS, "every command is walked");

static void walk(struct fixture *f, size_t i, enum psp_guest_state s)
{
	bool vmsa = api[i].cmd == PSP_CMD_RECEIVE_UPDATE_VMSA;
	bool legal = strchr(api[i].legal, '0' + (int)s) != NULL;
	uint8_t after = (uint8_t)(legal && api[i].next >= 0 ? api[i].next : (int)s);
	enum psp_status got;
	struct parts x;

	parts_make(f, &x, s, vmsa ? PSP_MAC_VMSA : PSP_MAC_DATA);
	got = run(&x, api[i].cmd);
	if (got != (legal ? PSP_SUCCESS : PSP_INVALID_GUEST_STATE))
		fail_msg("command %zu in state %d gave %#x", i, s, got);
	assert_int_equal(state_of(x.p, x.handle), after);
	guest_end(x.p, x.handle);
}

static void each_command_runs_in_its_states_only(void **state)
{
	for (size_t i = 0; i < PSP_GUEST_CMDS; i++)
		for (int s = PSP_GSTATE_LUPDATE; s <= PSP_GSTATE_SENT; s++)
			walk(*state, i, (enum psp_guest_state)s);
}

static void unknown_handle_is_an_invalid_guest(void **state)
{
	struct fixture *f = *state;

	for (int cmd = 0; cmd < PSP_GUEST_CMDS; cmd++) {
		struct parts x = { .f = f, .p = f->a, .handle = 0x7fffffff };

		if (cmd == PSP_CMD_ACTIVATE)
			assert_int_equal(psp_activate(f->a, x.handle, 1), PSP_INVALID_GUEST);
		else if (cmd == PSP_CMD_DEACTIVATE)
			assert_int_equal(psp_deactivate(f->a, x.handle), PSP_INVALID_GUEST);
		else
			assert_int_equal(run(&x, (enum psp_guest_cmd)cmd), PSP_INVALID_GUEST);
	}
	assert_int_equal(psp_decommission(f->a, 0), PSP_INVALID_GUEST);
}

static void memory_commands_need_an_active_guest(void **state)
{
	static const struct {
		enum psp_guest_cmd cmd;
		enum psp_guest_state in;
	} need[] = {
		{ PSP_CMD_LAUNCH_UPDATE_DATA, PSP_GSTATE_LUPDATE },
		{ PSP_CMD_LAUNCH_UPDATE_VMSA, PSP_GSTATE_LUPDATE },
		{ PSP_CMD_LAUNCH_SECRET, PSP_GSTATE_LSECRET },
		{ PSP_CMD_SEND_UPDATE_DATA, PSP_GSTATE_SUPDATE },
		{ PSP_CMD_SEND_UPDATE_VMSA, PSP_GSTATE_SUPDATE },
		{ PSP_CMD_RECEIVE_UPDATE_DATA, PSP_GSTATE_RUPDATE },
		{ PSP_CMD_RECEIVE_UPDATE_VMSA, PSP_GSTATE_RUPDATE },
		{ PSP_CMD_DBG_DECRYPT, PSP_GSTATE_RUNNING },
		{ PSP_CMD_DBG_ENCRYPT, PSP_GSTATE_RUNNING },
	};

	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
		struct parts x;

		parts_make(*state, &x, need[i].in, PSP_MAC_DATA);
		RUNS(psp_deactivate(x.p, x.handle));
		assert_int_equal(run(&x, need[i].cmd), PSP_INACTIVE);
		guest_end(x.p, x.handle);
	}
}

static void asids_are_exclusive_and_fit_the_kind_of_guest(void **state)
{
	struct fixture *f = *state;
	uint32_t es = 0, plain = 0;

	RUNS(psp_launch_start(f->a, &es, PSP_POLICY_ES, none, none));
	RUNS(psp_launch_start(f->a, &plain, 0, none, none));
	assert_int_not_equal(es, plain);
	assert_int_equal(psp_activate(f->a, es, 0), PSP_INVALID_ASID);
	assert_int_equal(psp_activate(f->a, es, PSP_ASID_MIN_SEV), PSP_INVALID_ASID);
	assert_int_equal(psp_activate(f->a, plain, PSP_ASID_MIN_SEV - 1), PSP_INVALID_ASID);
	assert_int_equal(psp_activate(f->a, plain, PSP_ASID_MAX + 1), PSP_INVALID_ASID);
	RUNS(psp_activate(f->a, es, PSP_ASID_MIN_SEV - 1));
	RUNS(psp_activate(f->a, plain, PSP_ASID_MAX));
	assert_int_equal(psp_activate(f->a, plain, PSP_ASID_MAX), PSP_ACTIVE);
	assert_int_equal(psp_decommission(f->a, plain), PSP_ACTIVE);
	RUNS(psp_deactivate(f->a, plain));
	assert_int_equal(psp_deactivate(f->a, plain), PSP_INACTIVE);
	guest_end(f->a, es);
	es = 0;
	RUNS(psp_launch_start(f->a, &es, 0, none, none));
	RUNS(psp_activate(f->a, es, PSP_ASID_MAX));
	assert_int_equal(psp_activate(f->a, plain, PSP_ASID_MAX), PSP_ASID_OWNED);
	guest_end(f->a, es);
	guest_end(f->a, plain);
}

static void guests_share_memory_only_as_policy_allows(void **state)
{
	struct fixture *f = *state;
	uint32_t a = 0, b, c = 0;

	RUNS(psp_launch_start(f->a, &a, 0, none, none));
	RUNS(psp_launch_start(f->a, &c, PSP_POLICY_NOKS, none, none));
	b = a;
	RUNS(psp_launch_start(f->a, &b, 0, none, none));
	assert_int_not_equal(a, b);
	guest_end(f->a, b);
	b = a; /* another policy */
	assert_int_equal(psp_launch_start(f->a, &b, PSP_POLICY_NODBG, none, none),
			 PSP_POLICY_FAILURE);
	b = c; /* NOKS */
	assert_int_equal(psp_launch_start(f->a, &b, PSP_POLICY_NOKS, none, none),
			 PSP_POLICY_FAILURE);
	b = 0x7fffffff;
	assert_int_equal(psp_launch_start(f->a, &b, 0, none, none), PSP_INVALID_GUEST);
	assert_int_equal(b, 0x7fffffff);
	guest_end(f->a, a);
	guest_end(f->a, c);
}

static void start_checks_reserved_bits_es_and_minimum_api(void **state)
{
	static const struct {
		uint32_t policy;
		enum psp_status want;
	} cases[] = {
		{ 0x00000000, PSP_SUCCESS },        { 0x0000003f, PSP_SUCCESS },
		{ 0x00000040, PSP_POLICY_FAILURE }, { 0x00008000, PSP_POLICY_FAILURE },
		{ 0x37010000, PSP_SUCCESS }, /* 1.55 */
		{ 0x38010000, PSP_POLICY_FAILURE }, { 0x00020000, PSP_POLICY_FAILURE },
		{ 0xff000000, PSP_SUCCESS }, /* 0.255 */
	};
	struct fixture *f = *state;
	uint32_t handle;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		handle = 0;
		assert_int_equal(psp_launch_start(f->a, &handle, cases[i].policy, none, none),
				 cases[i].want);
		if (handle)
			guest_end(f->a, handle);
	}
	RUNS(psp_shutdown(f->a));
	RUNS(psp_init(f->a, false));
	handle = 0;
	assert_int_equal(psp_launch_start(f->a, &handle, PSP_POLICY_ES, none, none),
			 PSP_POLICY_FAILURE);
	RUNS(psp_shutdown(f->a));
	RUNS(psp_init(f->a, true));
}

static void debug_copies_unless_the_policy_says_no(void **state)
{
	struct fixture *f = *state;
	uint32_t free_one = guest_launch(f, 0, PSP_GSTATE_RUNNING);
	uint32_t closed = guest_launch(f, PSP_POLICY_NODBG, PSP_GSTATE_RUNNING);
	uint8_t out[32] = { 0 }, zero[32] = { 0 };

	memset(f->page, 0xab, PAGE);
	RUNS(psp_dbg_decrypt(f->a, free_one, f->page + 3, out, 32));
	assert_memory_equal(out, f->page, 32);
	memset(out, 0xcd, 32);
	RUNS(psp_dbg_encrypt(f->a, free_one, out, f->page, 32));
	assert_memory_equal(out, f->page, 32);
	assert_int_equal(psp_dbg_decrypt(f->a, free_one, f->page, out, 0), PSP_INVALID_LEN);
	memset(out, 0, 32);
	assert_int_equal(psp_dbg_decrypt(f->a, closed, f->page, out, 32), PSP_POLICY_FAILURE);
	assert_memory_equal(out, zero, 32);
	assert_int_equal(psp_dbg_encrypt(f->a, closed, out, f->page, 32), PSP_POLICY_FAILURE);
	assert_int_equal(f->page[0], 0xcd);
	guest_end(f->a, free_one);
	guest_end(f->a, closed);
}

static void keys_are_wiped_when_a_states_work_ends(void **state)
{
	static const enum psp_guest_cmd ends[] = { PSP_CMD_LAUNCH_FINISH, PSP_CMD_SEND_FINISH,
						   PSP_CMD_SEND_CANCEL, PSP_CMD_RECEIVE_FINISH };
	static const enum psp_guest_state in[] = { PSP_GSTATE_LSECRET, PSP_GSTATE_SUPDATE,
						   PSP_GSTATE_SUPDATE, PSP_GSTATE_RUPDATE };

	for (size_t i = 0; i < 4; i++) {
		struct psp_guest *g;
		struct parts x;

		parts_make(*state, &x, in[i], PSP_MAC_DATA);
		RUNS(psp_guest_find(x.p, x.handle, &g));
		assert_false(crypto_is_zero(&g->keys, sizeof(g->keys)));
		RUNS(run(&x, ends[i]));
		assert_true(crypto_is_zero(&g->keys, sizeof(g->keys)));
		assert_null(g->packer);
		guest_end(x.p, x.handle);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_runs_in_its_states_only),
		cmocka_unit_test(unknown_handle_is_an_invalid_guest),
		cmocka_unit_test(memory_commands_need_an_active_guest),
		cmocka_unit_test(asids_are_exclusive_and_fit_the_kind_of_guest),
		cmocka_unit_test(guests_share_memory_only_as_policy_allows),
		cmocka_unit_test(start_checks_reserved_bits_es_and_minimum_api),
		cmocka_unit_test(debug_copies_unless_the_policy_says_no),
		cmocka_unit_test(keys_are_wiped_when_a_states_work_ends),
	};

	return cmocka_run_group_tests_name("psp_guest", tests, fixture_setup, fixture_teardown);
}
