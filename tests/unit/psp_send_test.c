/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/psp_fixture.h"

/* --- SEND_START ----------------------------------------------------------------------------- */

static enum psp_status send_start(struct psp *p, uint32_t handle, const struct certs *c)
{
	uint8_t session[PSP_SESSION_LEN];
	struct psp_room room = { session, sizeof(session) };
	struct psp_send_to to = to_certs(c);
	uint32_t policy = 0;

	return psp_send_start(p, handle, &to, &room, &policy);
}

static void query_comes_before_any_certificate(void **state)
{
	struct fixture *f = *state;
	uint32_t handle = guest_launch(f, PSP_POLICY_SEV, PSP_GSTATE_RUNNING);
	struct psp_send_to to = { 0 };
	struct psp_room room = { 0 };
	uint8_t session[PSP_SESSION_LEN];
	uint32_t policy = 0;

	assert_int_equal(psp_send_start(f->a, handle, &to, &room, &policy), PSP_INVALID_LEN);
	assert_int_equal(room.len, PSP_SESSION_LEN);
	room = (struct psp_room){ session, PSP_SESSION_LEN - 1 };
	assert_int_equal(psp_send_start(f->a, handle, &to, &room, &policy), PSP_INVALID_LEN);
	assert_int_equal(room.len, PSP_SESSION_LEN);
	assert_int_equal(state_of(f->a, handle), PSP_GSTATE_RUNNING);
	guest_end(f->a, handle);
}

static void lengths_must_be_exact(void **state)
{
	struct fixture *f = *state;
	uint32_t handle = guest_launch(f, PSP_POLICY_SEV, PSP_GSTATE_RUNNING);
	uint8_t session[PSP_SESSION_LEN];
	uint32_t policy = 0;
	struct certs c;

	certs_of(f->b, &c);
	for (int i = 0; i < 3; i++) {
		struct psp_room room = { session, sizeof(session) };
		struct psp_send_to to = to_certs(&c);

		(i == 0 ? &to.pdh : i == 1 ? &to.plat : &to.amd)->len--;
		assert_int_equal(psp_send_start(f->a, handle, &to, &room, &policy),
				 PSP_INVALID_LEN);
	}
	assert_int_equal(state_of(f->a, handle), PSP_GSTATE_RUNNING);
	guest_end(f->a, handle);
}

static void policy_decides_who_may_receive(void **state)
{
	struct fixture *f = *state;
	struct psp_make own = { .root_bits = 2048 };
	struct psp_make old = { .ca = f->a, .oca = f->a, .api_major = 1, .api_minor = 40 };
	struct psp *stranger = psp_of(&own), *ours = psp_of(&old);
	const struct {
		uint32_t policy;
		struct psp *to;
		enum psp_status want;
	} cases[] = {
		{ 0, f->b, PSP_SUCCESS },
		{ 0, stranger, PSP_SUCCESS },
		{ PSP_POLICY_SEV, f->b, PSP_SUCCESS },
		{ PSP_POLICY_SEV, stranger, PSP_INVALID_CERTIFICATE },
		{ PSP_POLICY_DOMAIN, ours, PSP_SUCCESS },
		{ PSP_POLICY_DOMAIN, f->b, PSP_POLICY_FAILURE },
		{ PSP_POLICY_DOMAIN | PSP_POLICY_SEV, ours, PSP_SUCCESS },
		{ PSP_POLICY_NOSEND, f->b, PSP_POLICY_FAILURE },
		{ 0x28010000, ours, PSP_SUCCESS },        /* 1.40 */
		{ 0x29010000, ours, PSP_POLICY_FAILURE }, /* 1.41 */
		{ 0x29010000, f->b, PSP_SUCCESS },
	};

	RUNS(psp_init(stranger, true));
	RUNS(psp_init(ours, true));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t handle = guest_launch(f, cases[i].policy, PSP_GSTATE_RUNNING);
		enum psp_status s;
		struct certs c;

		certs_of(cases[i].to, &c);
		s = send_start(f->a, handle, &c);
		if (s != cases[i].want)
			fail_msg("case %zu gave %#x", i, s);
		assert_int_equal(state_of(f->a, handle),
				 s == PSP_SUCCESS ? PSP_GSTATE_SUPDATE : PSP_GSTATE_RUNNING);
		guest_end(f->a, handle);
	}
	psp_free(stranger);
	psp_free(ours);
}

/* Change one byte that a signature covers, or of a signature, in each certificate. */
static void every_broken_link_is_refused(void **state)
{
	enum { PDH, PEK, OCA, CEK, ASK, ARK };
	static const struct {
		int cert;
		size_t at;
		enum psp_status want;
	} links[] = {
		{ PDH, 0x05, PSP_BAD_SIGNATURE },       { PDH, 0x41c, PSP_BAD_SIGNATURE },
		{ PDH, 0x414, PSP_BAD_SIGNATURE },      { PEK, 0x05, PSP_BAD_SIGNATURE },
		{ PEK, 0x41c, PSP_BAD_SIGNATURE },      { PEK, 0x624, PSP_BAD_SIGNATURE },
		{ OCA, 0x05, PSP_BAD_SIGNATURE },       { OCA, 0x41c, PSP_BAD_SIGNATURE },
		{ CEK, 0x05, PSP_BAD_SIGNATURE },       { CEK, 0x41c, PSP_BAD_SIGNATURE },
		{ CEK, 0x14, PSP_BAD_SIGNATURE },       { ASK, 0x04, PSP_BAD_SIGNATURE },
		{ ASK, 0x14, PSP_BAD_SIGNATURE },       { ASK, 0x300, PSP_BAD_SIGNATURE },
		{ ARK, 0x04, PSP_INVALID_CERTIFICATE }, { ARK, 0x300, PSP_INVALID_CERTIFICATE },
		{ PDH, 0x08, PSP_INVALID_CERTIFICATE }, { PEK, 0x08, PSP_INVALID_CERTIFICATE },
		{ OCA, 0x00, PSP_INVALID_CERTIFICATE }, { CEK, 0x0c, PSP_INVALID_CERTIFICATE },
		{ ASK, 0x24, PSP_INVALID_CERTIFICATE },
	};
	struct fixture *f = *state;
	uint32_t handle = guest_launch(f, PSP_POLICY_SEV, PSP_GSTATE_RUNNING);
	struct certs good;

	certs_of(f->b, &good);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct certs bad = good;
		uint8_t *at = links[i].cert == PDH ? bad.pdh
			      : links[i].cert <= CEK
				      ? bad.plat + (links[i].cert - PEK) * PSP_CERT_LEN
				      : bad.amd + (links[i].cert - ASK) * PSP_AMD_CERT_LEN_2048;
		enum psp_status s;

		at[links[i].at] ^= 0x40;
		s = send_start(f->a, handle, &bad);
		if (s != links[i].want)
			fail_msg("link %zu gave %#x", i, s);
		assert_int_equal(state_of(f->a, handle), PSP_GSTATE_RUNNING);
	}
	RUNS(send_start(f->a, handle, &good));
	guest_end(f->a, handle);
}

/* --- SEND_UPDATE, RECEIVE_UPDATE ------------------------------------------------------------ */

struct pair {
	uint32_t from, to;
	uint8_t session[PSP_SESSION_LEN];
	uint8_t hdr[PSP_HDR_LEN], packet[PAGE];
	uint8_t dst[PAGE] __attribute__((aligned(16)));
};

static void pair_make(struct fixture *f, uint32_t policy, struct pair *x)
{
	memset(x, 0, sizeof(*x));
	x->from = guest_launch(f, policy, PSP_GSTATE_RUNNING);
	guest_send_start(f, x->from, f->b, x->session);
	x->to = guest_receive_start(f, policy, x->session);
}

static void pair_end(struct fixture *f, struct pair *x)
{
	guest_end(f->a, x->from);
	guest_end(f->b, x->to);
}

static void page_send(struct fixture *f, struct pair *x, size_t len)
{
	struct psp_room hdr = { x->hdr, PSP_HDR_LEN }, packet = { x->packet, sizeof(x->packet) };

	RUNS(psp_send_update_data(f->a, x->from, f->page, len, &hdr, &packet));
	assert_int_equal(hdr.len, PSP_HDR_LEN);
	assert_int_equal(packet.len, len);
}

static enum psp_status page_receive(struct fixture *f, struct pair *x, size_t len)
{
	return psp_receive_update_data(f->b, x->to, (struct psp_bytes){ x->hdr, PSP_HDR_LEN },
				       (struct psp_bytes){ x->packet, len }, x->dst, len);
}

static void page_fill(struct fixture *f, unsigned seed)
{
	for (size_t i = 0; i < PAGE; i++)
		f->page[i] = (uint8_t)(i * 13 + seed);
}

static void a_guest_moves_page_by_page(void **state)
{
	struct fixture *f = *state;
	struct pair x;

	pair_make(f, PSP_POLICY_SEV, &x);
	for (unsigned i = 0; i < 20; i++) {
		size_t len = i % 2 ? PAGE : 16 * (i + 1);

		page_fill(f, i);
		page_send(f, &x, len);
		assert_memory_not_equal(x.packet, f->page, len);
		memset(x.dst, 0, PAGE);
		RUNS(page_receive(f, &x, len));
		assert_memory_equal(x.dst, f->page, len);
	}
	RUNS(psp_receive_finish(f->b, x.to));
	RUNS(psp_send_finish(f->a, x.from));
	assert_int_equal(state_of(f->b, x.to), PSP_GSTATE_RUNNING);
	assert_int_equal(state_of(f->a, x.from), PSP_GSTATE_SENT);
	pair_end(f, &x);
}

/* What arrived can leave again, and a cancelled guest can be sent a second time. */
static void a_moved_guest_moves_back_after_a_cancelled_try(void **state)
{
	struct fixture *f = *state;
	struct fixture swapped = { .a = f->b, .b = f->a };
	uint8_t session[PSP_SESSION_LEN];
	struct pair x;
	uint32_t back;

	pair_make(f, 0, &x);
	RUNS(psp_receive_finish(f->b, x.to));
	RUNS(psp_send_finish(f->a, x.from));
	guest_send_start(&swapped, x.to, f->a, session);
	RUNS(psp_send_cancel(f->b, x.to));
	assert_int_equal(state_of(f->b, x.to), PSP_GSTATE_RUNNING);
	guest_send_start(&swapped, x.to, f->a, session);
	back = guest_receive_start(&swapped, 0, session);
	RUNS(psp_receive_finish(f->a, back));
	guest_end(f->a, back);
	pair_end(f, &x);
}

static void every_changed_byte_is_refused_and_writes_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t before[PAGE];
	struct pair x;

	pair_make(f, 0, &x);
	page_fill(f, 5);
	page_send(f, &x, PAGE);
	memset(x.dst, 0x66, PAGE);
	memcpy(before, x.dst, PAGE);
	for (size_t i = 0; i < PSP_HDR_LEN + PAGE; i++) {
		uint8_t *at = i < PSP_HDR_LEN ? x.hdr + i : x.packet + (i - PSP_HDR_LEN);

		*at ^= 1;
		assert_int_equal(page_receive(f, &x, PAGE), PSP_BAD_MEASUREMENT);
		*at ^= 1;
	}
	assert_int_equal(page_receive(f, &x, PAGE - 16), PSP_BAD_MEASUREMENT);
	assert_memory_equal(x.dst, before, PAGE);
	assert_int_equal(state_of(f->b, x.to), PSP_GSTATE_RUPDATE);
	RUNS(page_receive(f, &x, PAGE));
	assert_memory_equal(x.dst, f->page, PAGE);
	pair_end(f, &x);
}

static void packets_of_another_session_or_kind_are_refused(void **state)
{
	struct fixture *f = *state;
	struct psp_room hdr, packet;
	struct pair x, other;

	pair_make(f, PSP_POLICY_ES, &x);
	pair_make(f, PSP_POLICY_ES, &other);
	page_send(f, &x, PAGE);
	memcpy(other.hdr, x.hdr, sizeof(x.hdr));
	memcpy(other.packet, x.packet, sizeof(x.packet));
	assert_int_equal(page_receive(f, &other, PAGE), PSP_BAD_MEASUREMENT);
	hdr = (struct psp_room){ x.hdr, PSP_HDR_LEN };
	packet = (struct psp_room){ x.packet, PAGE };
	RUNS(psp_send_update_vmsa(f->a, x.from, f->page, PAGE, &hdr, &packet));
	assert_int_equal(page_receive(f, &x, PAGE), PSP_BAD_MEASUREMENT);
	RUNS(psp_receive_update_vmsa(f->b, x.to, (struct psp_bytes){ x.hdr, PSP_HDR_LEN },
				     (struct psp_bytes){ x.packet, PAGE }, x.dst, PAGE));
	assert_memory_equal(x.dst, f->page, PAGE);
	pair_end(f, &x);
	pair_end(f, &other);
}

static void receive_start_checks_policy_and_source(void **state)
{
	struct fixture *f = *state;
	uint32_t from = guest_launch(f, 0x5, PSP_GSTATE_RUNNING), handle = 0;
	uint8_t session[PSP_SESSION_LEN];
	struct psp_bytes in = { session, PSP_SESSION_LEN }, dh;
	struct certs of_a, of_b;

	guest_send_start(f, from, f->b, session);
	certs_of(f->a, &of_a);
	certs_of(f->b, &of_b);
	dh = (struct psp_bytes){ of_a.pdh, PSP_CERT_LEN };
	assert_int_equal(psp_receive_start(f->b, &handle, 0x4, dh, in), PSP_BAD_MEASUREMENT);
	assert_int_equal(psp_receive_start(f->b, &handle, 0x5, none, in), PSP_INVALID_LEN);
	assert_int_equal(psp_receive_start(f->b, &handle, 0x45, dh, in), PSP_POLICY_FAILURE);
	assert_int_equal(psp_receive_start(f->b, &handle, 0x38010005, dh, in), PSP_POLICY_FAILURE);
	in.len--;
	assert_int_equal(psp_receive_start(f->b, &handle, 0x5, dh, in), PSP_INVALID_LEN);
	in.len++;
	dh.p = of_b.pdh;
	assert_int_equal(psp_receive_start(f->b, &handle, 0x5, dh, in), PSP_BAD_MEASUREMENT);
	dh.p = of_a.pdh;
	assert_int_equal(psp_receive_start(f->a, &handle, 0x5, dh, in), PSP_BAD_MEASUREMENT);
	RUNS(psp_pdh_gen(f->b)); /* rotated meanwhile */
	assert_int_equal(psp_receive_start(f->b, &handle, 0x5, dh, in), PSP_BAD_MEASUREMENT);
	assert_int_equal(handle, 0);
	guest_end(f->a, from);
}

static void update_queries_and_bad_spans_change_nothing(void **state)
{
	struct fixture *f = *state;
	struct psp_room hdr = { 0 }, packet = { 0 };
	uint8_t big[PSP_PACKET_MAX + 16];
	struct pair x;

	pair_make(f, 0, &x);
	assert_int_equal(psp_send_update_data(f->a, x.from, NULL, 0, &hdr, &packet),
			 PSP_INVALID_LEN);
	assert_int_equal(hdr.len, 52);
	assert_int_equal(packet.len, 4096);
	hdr = (struct psp_room){ x.hdr, 51 };
	packet = (struct psp_room){ x.packet, PAGE };
	assert_int_equal(psp_send_update_data(f->a, x.from, f->page, 32, &hdr, &packet),
			 PSP_INVALID_LEN);
	assert_int_equal(packet.len, 32);
	hdr.len = 52;
	packet.len = 31;
	assert_int_equal(psp_send_update_data(f->a, x.from, f->page, 32, &hdr, &packet),
			 PSP_INVALID_LEN);
	packet.len = PAGE;
	assert_int_equal(psp_send_update_data(f->a, x.from, f->page, 24, &hdr, &packet),
			 PSP_INVALID_LEN);
	packet.len = PAGE;
	assert_int_equal(psp_send_update_data(f->a, x.from, f->page + 4, 16, &hdr, &packet),
			 PSP_INVALID_ADDRESS);
	packet = (struct psp_room){ big, sizeof(big) };
	assert_int_equal(psp_send_update_data(f->a, x.from, big, sizeof(big), &hdr, &packet),
			 PSP_INVALID_LEN);
	page_send(f, &x, 64);
	assert_int_equal(page_receive(f, &x, 0), PSP_INVALID_LEN);
	assert_int_equal(psp_receive_update_data(f->b, x.to, (struct psp_bytes){ x.hdr, 51 },
						 (struct psp_bytes){ x.packet, 64 }, x.dst, 64),
			 PSP_INVALID_LEN);
	assert_int_equal(psp_receive_update_data(f->b, x.to, (struct psp_bytes){ x.hdr, 52 },
						 (struct psp_bytes){ x.packet, 64 }, x.dst, 80),
			 PSP_INVALID_LEN);
	assert_int_equal(psp_receive_update_data(f->b, x.to, (struct psp_bytes){ x.hdr, 52 },
						 (struct psp_bytes){ x.packet, 64 }, x.dst + 2, 64),
			 PSP_INVALID_ADDRESS);
	assert_int_equal(psp_receive_update_data(f->b, x.to, (struct psp_bytes){ x.hdr, 52 },
						 (struct psp_bytes){ big, sizeof(big) }, big,
						 sizeof(big)),
			 PSP_INVALID_LEN);
	pair_end(f, &x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_comes_before_any_certificate),
		cmocka_unit_test(lengths_must_be_exact),
		cmocka_unit_test(policy_decides_who_may_receive),
		cmocka_unit_test(every_broken_link_is_refused),
		cmocka_unit_test(a_guest_moves_page_by_page),
		cmocka_unit_test(a_moved_guest_moves_back_after_a_cancelled_try),
		cmocka_unit_test(every_changed_byte_is_refused_and_writes_nothing),
		cmocka_unit_test(packets_of_another_session_or_kind_are_refused),
		cmocka_unit_test(receive_start_checks_policy_and_source),
		cmocka_unit_test(update_queries_and_bad_spans_change_nothing),
	};

	return cmocka_run_group_tests_name("psp_send", tests, fixture_setup, fixture_teardown);
}
