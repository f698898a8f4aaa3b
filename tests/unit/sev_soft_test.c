/* SPDX-License-Identifier: Apache-2.0 */

/* The software platform seen through the typed calls: launch, move, life, threads. */

#include <errno.h>
#include <pthread.h>

#include "crypto/session.h"
#include "crypto/sevcert.h"
#include "tests/unit/sev_fixture.h"

enum { LUPDATE = 1, LSECRET = 2, RUNNING = 3, SUPDATE = 4, RUPDATE = 5, SENT = 6 };
enum { NODBG = 1, NOSEND = 8, DOMAIN = 16, SEV = 32 };

static char *dir;
static struct sev_platform *here, *there, *stranger; /* there: the same root; stranger: not */

static int setup(void **state)
{
	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "here"), NULL, NULL);
	fixture_init(fixture_path(dir, "there"), fixture_path(dir, "here"), NULL);
	fixture_init(fixture_path(dir, "stranger"), NULL, NULL);
	here = fixture_open(fixture_path(dir, "here"));
	there = fixture_open(fixture_path(dir, "there"));
	stranger = fixture_open(fixture_path(dir, "stranger"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sev_platform_free(here);
	sev_platform_free(there);
	sev_platform_free(stranger);
	fixture_dir_remove(dir);
	return 0;
}

static void expect_error(int r, const struct err *e, int code, const char *message)
{
	assert_int_equal(r, code);
	assert_string_equal(e->msg, message);
}

/* --- launch ---------------------------------------------------------------------------------- */

static void a_launch_goes_from_update_over_secret_to_running(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);
	uint8_t measure[SEV_MEASURE_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_launch_start(g.vm, NODBG, NULL, 0, NULL, 0, &e), 0);
	assert_int_equal(fixture_state(&g), LUPDATE);
	memset(g.high, 'x', PAGE_LEN);
	assert_int_equal(sev_launch_update(g.vm, g.high, PAGE_LEN, &e), 0);
	assert_int_equal(sev_launch_measure(g.vm, measure, &e), 0);
	assert_int_equal(fixture_state(&g), LSECRET);
	assert_int_equal(sev_launch_finish(g.vm, &e), 0);
	assert_int_equal(fixture_state(&g), RUNNING);
	fixture_guest_free(&g);
}

static void launch_update_moves_plain_text_out_of_the_shared_face(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);

	(void)state;
	fixture_launch(&g, 0);
	fixture_expect_zero(g.low + 0x1000, PAGE_LEN);
	fixture_expect_zero(g.low + 0x180000, PAGE_LEN);
	fixture_expect_zero(g.high, PAGE_LEN);
	fixture_expect_page(&g, 0x1000, 'a');
	fixture_expect_page(&g, 0x180000, 'b');
	fixture_expect_page(&g, FIXTURE_HIGH_AT, 'c');
	fixture_guest_free(&g);
}

static void launch_update_of_parts_of_pages_leaves_their_neighbours(void **state)
{
	struct fixture_guest g = fixture_guest_new(here);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_launch_start(g.vm, 0, NULL, 0, NULL, 0, &e), 0);
	memset(g.high, 'n', 4 * PAGE_LEN);
	assert_int_equal(sev_launch_update(g.vm, g.high + 4080, 16 + PAGE_LEN + 32, &e), 0);
	assert_int_equal(g.high[4079], 'n');
	fixture_expect_zero(g.high + 4080, 16 + PAGE_LEN + 32);
	assert_int_equal(g.high[2 * PAGE_LEN + 32], 'n');
	fixture_expect_page(&g, FIXTURE_HIGH_AT + PAGE_LEN, 'n');
	fixture_guest_free(&g);
}

static void shared_memory_that_has_no_holes_is_wiped_by_writing(void **state)
{
	uint8_t *anon =
		mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct fixture_guest g = fixture_guest_new(here);
	struct sev_ram ram = { .at = gpa(1ull << 33), .size = PAGE_LEN, .shared = anon };
	struct sev_slot slots[SEV_SLOTS_PER_RAM];
	struct err e = { 0 };
	size_t n;

	(void)state;
	assert_int_equal(sev_vm_ram_add(g.vm, &ram, slots, &n, &e), 0);
	assert_int_equal(sev_launch_start(g.vm, 0, NULL, 0, NULL, 0, &e), 0);
	memset(anon, 'p', PAGE_LEN);
	assert_int_equal(sev_launch_update(g.vm, anon, PAGE_LEN, &e), 0);
	fixture_expect_zero(anon, PAGE_LEN);
	fixture_expect_page(&g, 1ull << 33, 'p');
	fixture_guest_free(&g);
	munmap(anon, PAGE_LEN);
}

/* The owner's side of LAUNCH_START: a session for this platform's PDH. */
static void owner_session(uint32_t policy, uint8_t dh[SEVCERT_LEN],
			  uint8_t session[SEV_SESSION_LEN], struct session_keys *keys)
{
	const struct sevcert_head head = { 1, 55, SEVCERT_PDH, SEVCERT_ECDH_SHA256 };
	const uint8_t nonce[16] = { 1 }, iv[16] = { 2 };
	auto_session_master struct session_master m = { 0 };
	auto_ec_key struct ec_key *own = NULL, *pdh = NULL;
	struct sev_peer_certs certs;
	struct sevcert cert;
	struct err e = { 0 };
	struct rd in;

	assert_int_equal(sev_certs_export(here, &certs, &e), 0);
	in = rd_of(certs.pdh, sizeof(certs.pdh));
	assert_int_equal(sevcert_get(&in, &cert, &e), 0);
	assert_int_equal(sevcert_ec_key(&cert, &pdh, &e), 0);
	assert_int_equal(ec_key_generate(&own, &e), 0);
	assert_int_equal(sevcert_make(&head, own, dh, &e), 0);
	assert_int_equal(session_master_agree(own, pdh, nonce, &m, &e), 0);
	assert_int_equal(session_keys_random(keys, &e), 0);
	assert_int_equal(session_wrap(&m, keys, policy, nonce, iv, session, &e), 0);
}

static void an_owners_secret_arrives_in_private_memory(void **state)
{
	auto_session_packer struct session_packer *packer = NULL;
	auto_session_keys struct session_keys keys = { 0 };
	struct fixture_guest g = fixture_guest_new(here);
	uint8_t dh[SEVCERT_LEN], session[SEV_SESSION_LEN], measure[SEV_MEASURE_LEN];
	uint8_t hdr[SEV_PACKET_HDR_LEN], packet[PAGE_LEN], secret[PAGE_LEN];
	const struct session_packet kind = { .domain = 1, .measure = measure };
	struct err e = { 0 };

	(void)state;
	owner_session(NODBG, dh, session, &keys);
	assert_int_equal(
		sev_launch_start(g.vm, NODBG, dh, sizeof(dh), session, sizeof(session), &e), 0);
	assert_int_equal(sev_launch_measure(g.vm, measure, &e), 0);
	assert_int_equal(session_packer_new(&keys, &packer, &e), 0);
	memset(secret, 's', sizeof(secret));
	assert_int_equal(session_seal(packer, &kind, secret, sizeof(secret), hdr, packet, &e), 0);
	assert_int_equal(sev_launch_secret(g.vm, hdr, g.low + 0x5000, packet, PAGE_LEN, &e), 0);
	fixture_expect_page(&g, 0x5000, 's');
	hdr[0x14] ^= 1;
	expect_error(sev_launch_secret(g.vm, hdr, g.low + 0x6000, packet, PAGE_LEN, &e), &e, -EIO,
		     "LAUNCH_SECRET: firmware: BAD_MEASUREMENT (0x0b)");
	fixture_expect_page(&g, 0x6000, 0);
	fixture_guest_free(&g);
}

static void a_session_for_another_policy_is_refused(void **state)
{
	auto_session_keys struct session_keys keys = { 0 };
	struct fixture_guest g = fixture_guest_new(here);
	uint8_t dh[SEVCERT_LEN], session[SEV_SESSION_LEN];
	struct err e = { 0 };

	(void)state;
	owner_session(NODBG, dh, session, &keys);
	expect_error(sev_launch_start(g.vm, 0, dh, sizeof(dh), session, sizeof(session), &e), &e,
		     -EIO, "LAUNCH_START: firmware: BAD_MEASUREMENT (0x0b)");
	fixture_guest_free(&g);
}

/* --- the move -------------------------------------------------------------------------------- */

static const uint64_t pages[] = { 0x1000, 0x180000, FIXTURE_HIGH_AT };
static const char *const letters[] = { "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc" };

static uint8_t *face(struct fixture_guest *g, uint64_t at)
{
	return at >= FIXTURE_HIGH_AT ? g->high + (at - FIXTURE_HIGH_AT) : g->low + at;
}

static void move_start(struct fixture_guest *src, struct fixture_guest *dst)
{
	static struct sev_peer_certs to, from;
	uint8_t session[SEV_SESSION_LEN];
	struct err e = { 0 };
	uint32_t policy = 0;

	if (sev_certs_export(there, &to, &e) < 0 || sev_certs_export(here, &from, &e) < 0 ||
	    sev_send_start(src->vm, &to, session, &policy, &e) < 0 ||
	    sev_receive_start(dst->vm, policy, from.pdh, session, &e) < 0)
		fail_msg("%s", e.msg);
}

static void move_pages(struct fixture_guest *src, struct fixture_guest *dst)
{
	uint8_t hdr[SEV_PACKET_HDR_LEN], packet[PAGE_LEN];
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (sev_send_update(src->vm, face(src, pages[i]), PAGE_LEN, hdr, packet, &e) < 0 ||
		    sev_receive_update(dst->vm, face(dst, pages[i]), PAGE_LEN, hdr, packet, &e) < 0)
			fail_msg("%s", e.msg);
		assert_memory_not_equal(packet, letters[i], 16);
	}
}

static void a_guest_moves_between_platforms_of_one_root(void **state)
{
	struct fixture_guest src = fixture_guest_new(here), dst = fixture_guest_new(there);
	struct err e = { 0 };

	(void)state;
	fixture_launch(&src, NODBG | SEV);
	move_start(&src, &dst);
	assert_int_equal(fixture_state(&src), SUPDATE);
	assert_int_equal(fixture_state(&dst), RUPDATE);
	move_pages(&src, &dst);
	assert_int_equal(sev_send_finish(src.vm, &e), 0);
	assert_int_equal(sev_receive_finish(dst.vm, &e), 0);
	assert_int_equal(fixture_state(&src), SENT);
	assert_int_equal(fixture_state(&dst), RUNNING);
	fixture_expect_page(&dst, 0x1000, 'a');
	fixture_expect_page(&dst, 0x180000, 'b');
	fixture_expect_page(&dst, FIXTURE_HIGH_AT, 'c');
	fixture_expect_zero(dst.low, FIXTURE_LOW);
	fixture_expect_zero(dst.high, FIXTURE_HIGH);
	fixture_guest_free(&src);
	fixture_guest_free(&dst);
}

static void a_sent_guest_cannot_be_sent_again(void **state)
{
	struct fixture_guest src = fixture_guest_new(here), dst = fixture_guest_new(there);
	uint8_t session[SEV_SESSION_LEN];
	struct sev_peer_certs to;
	struct err e = { 0 };
	uint32_t policy;

	(void)state;
	fixture_launch(&src, 0);
	move_start(&src, &dst);
	assert_int_equal(sev_send_finish(src.vm, &e), 0);
	assert_int_equal(sev_certs_export(there, &to, &e), 0);
	expect_error(sev_send_start(src.vm, &to, session, &policy, &e), &e, -EIO,
		     "SEND_START: firmware: INVALID_GUEST_STATE (0x02)");
	fixture_guest_free(&src);
	fixture_guest_free(&dst);
}

static void a_cancelled_send_leaves_a_running_guest_that_can_be_sent(void **state)
{
	struct fixture_guest src = fixture_guest_new(here), dst = fixture_guest_new(there);
	struct fixture_guest dst2 = fixture_guest_new(there);
	struct err e = { 0 };

	(void)state;
	fixture_launch(&src, 0);
	move_start(&src, &dst);
	assert_int_equal(sev_send_cancel(src.vm, &e), 0);
	assert_int_equal(fixture_state(&src), RUNNING);
	fixture_expect_page(&src, 0x1000, 'a');
	move_start(&src, &dst2);
	move_pages(&src, &dst2);
	fixture_expect_page(&dst2, 0x1000, 'a');
	fixture_guest_free(&src);
	fixture_guest_free(&dst);
	fixture_guest_free(&dst2);
}

static void a_packet_that_was_changed_is_refused_and_writes_nothing(void **state)
{
	struct fixture_guest src = fixture_guest_new(here), dst = fixture_guest_new(there);
	uint8_t hdr[SEV_PACKET_HDR_LEN], packet[PAGE_LEN];
	struct err e = { 0 };

	(void)state;
	fixture_launch(&src, 0);
	move_start(&src, &dst);
	assert_int_equal(sev_send_update(src.vm, src.low + 0x1000, PAGE_LEN, hdr, packet, &e), 0);
	packet[77] ^= 1;
	expect_error(sev_receive_update(dst.vm, dst.low + 0x1000, PAGE_LEN, hdr, packet, &e), &e,
		     -EIO, "RECEIVE_UPDATE_DATA: firmware: BAD_MEASUREMENT (0x0b)");
	fixture_expect_page(&dst, 0x1000, 0);
	fixture_guest_free(&src);
	fixture_guest_free(&dst);
}

static void policy_nosend_is_kept_by_the_firmware(void **state)
{
	struct fixture_guest src = fixture_guest_new(here);
	uint8_t session[SEV_SESSION_LEN];
	struct sev_peer_certs to;
	struct err e = { 0 };
	uint32_t policy;

	(void)state;
	fixture_launch(&src, NOSEND);
	assert_int_equal(sev_certs_export(there, &to, &e), 0);
	expect_error(sev_send_start(src.vm, &to, session, &policy, &e), &e, -EIO,
		     "SEND_START: firmware: POLICY_FAILURE (0x07)");
	assert_int_equal(fixture_state(&src), RUNNING);
	fixture_guest_free(&src);
}

static void policy_sev_keeps_a_guest_from_another_root(void **state)
{
	struct fixture_guest src = fixture_guest_new(here);
	uint8_t session[SEV_SESSION_LEN];
	struct sev_peer_certs to;
	struct err e = { 0 };
	uint32_t policy;

	(void)state;
	fixture_launch(&src, SEV);
	assert_int_equal(sev_certs_export(stranger, &to, &e), 0);
	assert_int_equal(sev_send_start(src.vm, &to, session, &policy, &e), -EIO);
	assert_int_equal(fixture_state(&src), RUNNING);
	fixture_guest_free(&src);
}

static void policy_domain_keeps_a_guest_with_its_owner(void **state)
{
	struct fixture_guest src = fixture_guest_new(here);
	uint8_t session[SEV_SESSION_LEN];
	struct sev_platform *own;
	struct sev_peer_certs to;
	struct err e = { 0 };
	uint32_t policy;

	(void)state;
	fixture_init(fixture_path(dir, "own"), fixture_path(dir, "here"),
		     fixture_path(dir, "here"));
	own = fixture_open(fixture_path(dir, "own"));
	fixture_launch(&src, DOMAIN);
	assert_int_equal(sev_certs_export(there, &to, &e), 0);
	expect_error(sev_send_start(src.vm, &to, session, &policy, &e), &e, -EIO,
		     "SEND_START: firmware: POLICY_FAILURE (0x07)");
	assert_int_equal(sev_certs_export(own, &to, &e), 0);
	assert_int_equal(sev_send_start(src.vm, &to, session, &policy, &e), 0);
	assert_int_equal(policy, DOMAIN);
	sev_platform_free(own);
	fixture_guest_free(&src);
}

/* --- life and threads ------------------------------------------------------------------------ */

static uint32_t guest_count(void)
{
	struct sev_user_data_status st;
	struct err e = { 0 };

	assert_int_equal(sev_platform_status(here, &st, &e), 0);
	return st.guest_count;
}

static void a_guests_context_dies_with_its_vm(void **state)
{
	struct fixture_guest a = fixture_guest_new(here), b = fixture_guest_new(here);

	(void)state;
	assert_int_equal(guest_count(), 0);
	fixture_launch(&a, 0);
	fixture_launch(&b, 0);
	assert_int_equal(guest_count(), 2);
	fixture_guest_free(&a);
	assert_int_equal(guest_count(), 1);
	fixture_guest_free(&b);
	assert_int_equal(guest_count(), 0);
}

static void guests_run_out_and_come_back(void **state)
{
	struct sev_vm *vm[512];
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	for (; n < 512; n++) {
		assert_int_equal(sev_vm_new(here, -1, -1, &vm[n], &e), 0);
		if (sev_init(vm[n], 0, &e) < 0)
			break;
	}
	assert_in_range(n, 1, 511);
	expect_error(
		e.code, &e, -EBUSY,
		"INIT: Device or resource busy: no free SEV guest slot (ASID), or the platform "
		"is in use");
	sev_vm_free(vm[0]);
	assert_int_equal(sev_init(vm[n], 0, &e), 0);
	for (size_t i = 1; i <= n; i++)
		sev_vm_free(vm[i]);
}

static void *status_asker(void *arg)
{
	struct fixture_guest *g = arg;

	for (int i = 0; i < 500; i++) {
		struct sev_guest_status st;
		struct err e = { 0 };

		if (sev_guest_status(g->vm, &st, &e) < 0 || guest_count() == 0)
			return g;
	}
	return NULL;
}

static void status_may_be_asked_while_pages_are_sent(void **state)
{
	struct fixture_guest src = fixture_guest_new(here), dst = fixture_guest_new(there);
	pthread_t t;
	void *failed = NULL;

	(void)state;
	fixture_launch(&src, 0);
	move_start(&src, &dst);
	assert_int_equal(pthread_create(&t, NULL, status_asker, &src), 0);
	for (int i = 0; i < 100; i++)
		move_pages(&src, &dst);
	pthread_join(t, &failed);
	assert_null(failed);
	fixture_expect_page(&dst, 0x1000, 'a');
	fixture_guest_free(&src);
	fixture_guest_free(&dst);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_launch_goes_from_update_over_secret_to_running),
		cmocka_unit_test(launch_update_moves_plain_text_out_of_the_shared_face),
		cmocka_unit_test(launch_update_of_parts_of_pages_leaves_their_neighbours),
		cmocka_unit_test(shared_memory_that_has_no_holes_is_wiped_by_writing),
		cmocka_unit_test(an_owners_secret_arrives_in_private_memory),
		cmocka_unit_test(a_session_for_another_policy_is_refused),
		cmocka_unit_test(a_guest_moves_between_platforms_of_one_root),
		cmocka_unit_test(a_sent_guest_cannot_be_sent_again),
		cmocka_unit_test(a_cancelled_send_leaves_a_running_guest_that_can_be_sent),
		cmocka_unit_test(a_packet_that_was_changed_is_refused_and_writes_nothing),
		cmocka_unit_test(policy_nosend_is_kept_by_the_firmware),
		cmocka_unit_test(policy_sev_keeps_a_guest_from_another_root),
		cmocka_unit_test(policy_domain_keeps_a_guest_with_its_owner),
		cmocka_unit_test(a_guests_context_dies_with_its_vm),
		cmocka_unit_test(guests_run_out_and_come_back),
		cmocka_unit_test(status_may_be_asked_while_pages_are_sent),
	};

	return cmocka_run_group_tests_name("sev_soft", tests, setup, teardown);
}
