/* SPDX-License-Identifier: Apache-2.0 */

/* A broker, hosts with two software Secure Processors, and guests launched with what it gave. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/handler.h"
#include "broker/impl.h"
#include "owner/text.h"
#include "tests/unit/psp_fixture.h"

#define POLICY (PSP_POLICY_NODBG | 1u << 16 | 55u << 24)

static int64_t clock_s = 1700000000;

static int64_t clock_now(void)
{
	return clock_s;
}

struct place {
	struct fixture *f;
	char dir[64];
	struct broker *b;
	struct broker_guest g;
};
static struct place place;

static int setup(void **state)
{
	void *f = NULL;

	if (fixture_setup(&f))
		return -1;
	place.f = f;
	*state = &place;
	return 0;
}

static int teardown(void **state)
{
	void *f = ((struct place *)*state)->f;

	return fixture_teardown(&f);
}

/* The plain text of what a guest of this fixture is: one page. */
static void page_fill(struct fixture *f)
{
	memset(f->page, 0x5e, PAGE);
}

static int open_new(void **state)
{
	struct place *p = *state;
	struct certs c;
	struct err e = { 0 };

	snprintf(p->dir, sizeof(p->dir), "/tmp/sevmig-broker.XXXXXX");
	if (!mkdtemp(p->dir) || broker_open(p->dir, clock_now, &p->b, &e) < 0)
		return -1;
	p->g = (struct broker_guest){ .name = "web", .policy = POLICY, .ndigest = 2, .nroot = 1 };
	page_fill(p->f);
	if (crypto_sha256(p->f->page, PAGE, p->g.digest[1], &e) < 0)
		return -1;
	certs_of(p->f->a, &c);
	if (crypto_sha256(c.amd + c.amd_len / 2, c.amd_len / 2, p->g.root[0], &e) < 0)
		return -1;
	return broker_guest_put(p->b, &p->g, &e);
}

static int entry_remove(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

static int close_old(void **state)
{
	struct place *p = *state;

	broker_free(p->b);
	p->b = NULL;
	return nftw(p->dir, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- asking ----------------------------------------------------------------------------------- */

static json_t *ask(struct place *p, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT), *answer = NULL;
	struct err e = { 0 };
	json_error_t why;
	json_t *j;

	json_decref(request);
	assert_int_equal(broker_answer(p->b, "a test", text, strlen(text), &answer, &e), 0);
	j = json_loads(answer, 0, &why);
	assert_non_null(j);
	free(text);
	free(answer);
	return j;
}

static const char *field(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s ? s : "";
}

static void refused(json_t *answer, const char *why)
{
	if (!strstr(field(answer, "error"), why))
		print_error("\"%s\" instead of \"%s\"\n", field(answer, "error"), why);
	assert_non_null(strstr(field(answer, "error"), why));
	assert_int_equal(json_object_size(answer), 1);
	json_decref(answer);
}

static json_t *text64(const void *p, size_t len)
{
	char *text = malloc(OWNER_BASE64_LEN(len));
	json_t *j;

	owner_base64_put(p, len, text);
	j = json_string(text);
	free(text);
	return j;
}

static size_t bytes64(const json_t *j, const char *name, uint8_t *out, size_t cap)
{
	size_t len = 0;
	struct err e = { 0 };

	assert_int_equal(
		owner_base64_get(field(j, name), strlen(field(j, name)), out, cap, &len, &e), 0);
	return len;
}

static json_t *chain_of(struct psp *psp)
{
	static uint8_t all[sizeof(struct certs)];
	struct certs c;

	certs_of(psp, &c);
	memcpy(all, c.pdh, PSP_CERT_LEN);
	memcpy(all + PSP_CERT_LEN, c.plat, PSP_PLAT_CHAIN_LEN);
	memcpy(all + PSP_CERT_LEN + PSP_PLAT_CHAIN_LEN, c.amd, c.amd_len);
	return text64(all, PSP_CERT_LEN + PSP_PLAT_CHAIN_LEN + c.amd_len);
}

static json_t *session_request(const char *guest, const char *role, struct psp *psp)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "request", "session", "guest", guest, "role", role,
			 "chain", chain_of(psp));
}

/* A launch with the session of an answer, measured. */
struct launched {
	struct psp *psp;
	uint32_t handle;
	char ticket[64];
	uint8_t measurement[PSP_MEASURE_LEN];
};

static void launch(struct place *p, struct psp *psp, json_t *session, struct launched *out)
{
	struct psp_room room = { out->measurement, sizeof(out->measurement) };
	uint8_t godh[PSP_CERT_LEN], blob[PSP_SESSION_LEN];

	*out = (struct launched){ .psp = psp };
	snprintf(out->ticket, sizeof(out->ticket), "%s", field(session, "ticket"));
	assert_int_equal(bytes64(session, "godh", godh, sizeof(godh)), sizeof(godh));
	assert_int_equal(bytes64(session, "session", blob, sizeof(blob)), sizeof(blob));
	assert_int_equal(json_integer_value(json_object_get(session, "policy")), POLICY);
	RUNS(psp_launch_start(psp, &out->handle, POLICY, (struct psp_bytes){ godh, sizeof(godh) },
			      (struct psp_bytes){ blob, sizeof(blob) }));
	RUNS(psp_activate(psp, out->handle, asid_for(psp, POLICY)));
	page_fill(p->f);
	RUNS(psp_launch_update_data(psp, out->handle, p->f->page, p->f->page, PAGE));
	RUNS(psp_launch_measure(psp, out->handle, &room));
	json_decref(session);
}

static json_t *secret_request(const struct launched *l, const char *ticket)
{
	return json_pack("{s:s, s:s, s:o, s:i, s:i, s:i}", "request", "secret", "ticket", ticket,
			 "measurement", text64(l->measurement, sizeof(l->measurement)), "api-major",
			 1, "api-minor", 55, "build", 21);
}

/* What the handler will find in its page. */
static void secret_open(const struct launched *l, json_t *answer, uint8_t out[PAGE])
{
	uint8_t hdr[PSP_HDR_LEN], packet[512];
	size_t len = bytes64(answer, "secret", packet, sizeof(packet));

	assert_int_equal(bytes64(answer, "packet-header", hdr, sizeof(hdr)), sizeof(hdr));
	assert_int_equal(json_integer_value(json_object_get(answer, "gpa")), HANDLER_SECRET);
	memset(out, 0, PAGE);
	RUNS(psp_launch_secret(l->psp, l->handle, (struct psp_bytes){ hdr, sizeof(hdr) },
			       (struct psp_bytes){ packet, len }, out, len));
	json_decref(answer);
}

static void forget(const struct launched *l)
{
	(void)!psp_deactivate(l->psp, l->handle);
	RUNS(psp_decommission(l->psp, l->handle));
}

/* Start or arrival to the end; the 56 bytes of the handler's entry. */
static void grant(struct place *p, const char *role, struct psp *psp, uint8_t entry[HANDLER_S_LEN])
{
	uint8_t page[PAGE] __attribute__((aligned(16)));
	struct launched l;

	launch(p, psp, ask(p, session_request("web", role, psp)), &l);
	secret_open(&l, ask(p, secret_request(&l, l.ticket)), page);
	memcpy(entry, page + 40, HANDLER_S_LEN); /* behind two heads of GUID and length */
	forget(&l);
}

/* --- what is granted -------------------------------------------------------------------------- */

static void source_and_target_get_the_same_key_and_their_own_rights(void **state)
{
	struct place *p = *state;
	uint8_t source[HANDLER_S_LEN], target[HANDLER_S_LEN];

	grant(p, "start", p->f->a, source);
	grant(p, "arrive", p->f->b, target);
	assert_int_equal(source[HANDLER_S_VERSION], 1);
	assert_int_equal(source[HANDLER_S_FLAGS], HANDLER_F_MAY_SEND);
	assert_int_equal(target[HANDLER_S_FLAGS], HANDLER_F_MAY_SEND | HANDLER_F_MAY_RECEIVE);
	assert_memory_equal(source + HANDLER_S_GUEST, target + HANDLER_S_GUEST, 48);
	assert_false(crypto_is_zero(source + HANDLER_S_KEY, 32));
}

static void each_start_makes_a_new_key(void **state)
{
	struct place *p = *state;
	uint8_t first[HANDLER_S_LEN], second[HANDLER_S_LEN], target[HANDLER_S_LEN];

	grant(p, "start", p->f->a, first);
	grant(p, "start", p->f->a, second);
	grant(p, "arrive", p->f->b, target);
	assert_memory_not_equal(first + HANDLER_S_GUEST, second + HANDLER_S_GUEST, 16);
	assert_memory_not_equal(first + HANDLER_S_KEY, second + HANDLER_S_KEY, 32);
	assert_memory_equal(second + HANDLER_S_GUEST, target + HANDLER_S_GUEST, 48);
}

static void the_record_survives_the_broker(void **state)
{
	struct place *p = *state;
	uint8_t source[HANDLER_S_LEN], target[HANDLER_S_LEN];
	struct err e = { 0 };

	p->g.zero_visible = true;
	assert_int_equal(broker_guest_put(p->b, &p->g, &e), 0);
	grant(p, "start", p->f->a, source);
	broker_free(p->b);
	assert_int_equal(broker_open(p->dir, clock_now, &p->b, &e), 0);
	grant(p, "arrive", p->f->b, target);
	assert_memory_equal(source + HANDLER_S_GUEST, target + HANDLER_S_GUEST, 48);
	assert_true(target[HANDLER_S_FLAGS] & HANDLER_F_ZERO_VISIBLE);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void an_arrival_before_any_start_is_refused(void **state)
{
	struct place *p = *state;

	refused(ask(p, session_request("web", "arrive", p->f->b)), "never started");
}

static void unknown_guests_and_names_that_are_paths_are_refused(void **state)
{
	struct place *p = *state;

	refused(ask(p, session_request("mail", "start", p->f->a)), "no guest of this name");
	refused(ask(p, session_request("../tickets/x", "start", p->f->a)), "no guest of this");
	refused(ask(p, session_request("", "start", p->f->a)), "no guest of this name");
	refused(ask(p, session_request("web", "both", p->f->a)), "role start or arrive");
}

static void a_platform_under_another_root_is_refused(void **state)
{
	struct place *p = *state;
	struct err e = { 0 };

	p->g.root[0][0] ^= 1;
	assert_int_equal(broker_guest_put(p->b, &p->g, &e), 0);
	refused(ask(p, session_request("web", "start", p->f->a)), "root is none that the owner");
}

static void a_platform_that_is_not_listed_is_refused(void **state)
{
	struct place *p = *state;
	struct owner_certs oc;
	char id[OWNER_PLATFORM_ID_LEN];
	struct certs c;
	struct err e = { 0 };

	certs_of(p->f->b, &c);
	oc = (struct owner_certs){ c.pdh, c.plat, c.amd, c.amd_len };
	assert_int_equal(owner_platform_id(&oc, id, &e), 0);
	assert_int_equal(owner_hex_get(id, p->g.platform[0], 32, &e), 0);
	p->g.nplatform = 1;
	assert_int_equal(broker_guest_put(p->b, &p->g, &e), 0);
	refused(ask(p, session_request("web", "start", p->f->a)), "is not on the owner's list");
	json_decref(ask(p, session_request("web", "start", p->f->b)));
}

static void a_broken_chain_names_its_link(void **state)
{
	struct place *p = *state;
	struct certs c;
	uint8_t all[PSP_CERT_LEN + PSP_PLAT_CHAIN_LEN + PSP_AMD_CHAIN_MAX];
	json_t *r;

	certs_of(p->f->a, &c);
	c.plat[PSP_CERT_LEN - 1000] ^= 1;
	memcpy(all, c.pdh, PSP_CERT_LEN);
	memcpy(all + PSP_CERT_LEN, c.plat, PSP_PLAT_CHAIN_LEN);
	memcpy(all + PSP_CERT_LEN + PSP_PLAT_CHAIN_LEN, c.amd, c.amd_len);
	r = session_request("web", "start", p->f->a);
	json_object_set_new(r, "chain", text64(all, PSP_CERT_LEN + PSP_PLAT_CHAIN_LEN + c.amd_len));
	refused(ask(p, r), "PEK");
	r = session_request("web", "start", p->f->a);
	json_object_set_new(r, "chain", json_string("AAAA"));
	refused(ask(p, r), "");
}

static void another_measurement_gets_no_key(void **state)
{
	struct place *p = *state;
	struct launched l;
	struct err e = { 0 };

	p->g.digest[1][5] ^= 1;
	assert_int_equal(broker_guest_put(p->b, &p->g, &e), 0);
	launch(p, p->f->a, ask(p, session_request("web", "start", p->f->a)), &l);
	refused(ask(p, secret_request(&l, l.ticket)), "no launch of this guest");
	refused(ask(p, session_request("web", "arrive", p->f->b)), "never started");
	forget(&l);
}

static void another_firmware_version_gets_no_key(void **state)
{
	struct place *p = *state;
	struct launched l;
	json_t *r;

	launch(p, p->f->a, ask(p, session_request("web", "start", p->f->a)), &l);
	r = secret_request(&l, l.ticket);
	json_object_set_new(r, "build", json_integer(22));
	refused(ask(p, r), "no launch of this guest");
	forget(&l);
}

static void a_ticket_is_good_once_and_for_a_while(void **state)
{
	struct place *p = *state;
	uint8_t page[PAGE];
	struct launched l;

	launch(p, p->f->a, ask(p, session_request("web", "start", p->f->a)), &l);
	secret_open(&l, ask(p, secret_request(&l, l.ticket)), page);
	refused(ask(p, secret_request(&l, l.ticket)), "or it was used");
	refused(ask(p, secret_request(&l, "../guests/web")), "no such ticket");
	forget(&l);
	launch(p, p->f->a, ask(p, session_request("web", "start", p->f->a)), &l);
	clock_s += BROKER_TICKET_SECONDS + 1;
	refused(ask(p, secret_request(&l, l.ticket)), "s old");
	forget(&l);
}

static void old_tickets_leave_no_keys_behind(void **state)
{
	struct place *p = *state;
	const struct timespec long_ago[2] = { { 1, 0 }, { 1, 0 } };
	char path[160];
	json_t *r = ask(p, session_request("web", "start", p->f->a));

	snprintf(path, sizeof(path), "%s/tickets/%s.key", p->dir, field(r, "ticket"));
	json_decref(r);
	json_decref(ask(p, session_request("web", "start", p->f->a)));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	json_decref(ask(p, session_request("web", "start", p->f->a)));
	assert_int_equal(access(path, F_OK), -1);
}

static void the_asker_learns_nothing_of_the_brokers_files(void **state)
{
	struct place *p = *state;
	char path[160];

	snprintf(path, sizeof(path), "%s/guests/web.json", p->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(ask(p, session_request("web", "start", p->f->a)), "cannot decide");
}

/* The secret of one launch is of no use to another, though the guest is the same. */
static void a_ticket_is_for_its_own_launch(void **state)
{
	struct place *p = *state;
	struct launched one, two;

	launch(p, p->f->a, ask(p, session_request("web", "start", p->f->a)), &one);
	launch(p, p->f->a, ask(p, session_request("web", "start", p->f->a)), &two);
	refused(ask(p, secret_request(&one, two.ticket)), "no launch of this guest");
	forget(&one);
	forget(&two);
}

static void what_is_no_request_is_refused(void **state)
{
	struct place *p = *state;
	static const char *const texts[] = { "",
					     "{",
					     "[]",
					     "null",
					     "{}",
					     "{\"request\":7}",
					     "{\"request\":\"key\"}",
					     "{\"request\":\"secret\"}" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct err e = { 0 };
		char *answer = NULL;

		assert_int_equal(
			broker_answer(p->b, "a test", texts[i], strlen(texts[i]), &answer, &e), 0);
		assert_memory_equal(answer, "{\"error\":", 9);
		free(answer);
	}
}

/* --- the log ---------------------------------------------------------------------------------- */

static void every_decision_is_in_the_log(void **state)
{
	struct place *p = *state;
	uint8_t entry[HANDLER_S_LEN];
	char path[96], line[4096];
	unsigned granted = 0, refusals = 0;
	FILE *f;

	grant(p, "start", p->f->a, entry);
	refused(ask(p, session_request("mail", "start", p->f->a)), "");
	snprintf(path, sizeof(path), "%s/audit.log", p->dir);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		json_error_t why;
		json_t *j = json_loads(line, 0, &why);

		assert_non_null(j);
		assert_string_equal(field(j, "peer"), "a test");
		granted += strcmp(field(j, "decision"), "granted") == 0 &&
			   strcmp(field(j, "guest"), "web") == 0 &&
			   strlen(field(j, "platform")) == 64;
		refusals += strcmp(field(j, "decision"), "refused") == 0 && *field(j, "reason");
		json_decref(j);
	}
	fclose(f);
	assert_int_equal(granted, 2);
	assert_int_equal(refusals, 1);
}

static void without_a_log_nothing_is_granted(void **state)
{
	struct place *p = *state;
	char path[96], *answer = NULL, *text;
	struct err e = { 0 };
	json_t *r = session_request("web", "start", p->f->a);

	snprintf(path, sizeof(path), "%s/audit.log", p->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	text = json_dumps(r, 0);
	assert_int_equal(broker_answer(p->b, "a test", text, strlen(text), &answer, &e), -EIO);
	assert_null(answer);
	free(text);
	json_decref(r);
}

static void a_folder_that_others_may_read_is_refused(void **state)
{
	struct place *p = *state;
	struct broker *b = NULL;
	struct err e = { 0 };

	assert_int_equal(chmod(p->dir, 0755), 0);
	assert_int_equal(broker_open(p->dir, NULL, &b, &e), -EPERM);
	assert_int_equal(chmod(p->dir, 0700), 0);
}

#define broker_test(f) cmocka_unit_test_setup_teardown(f, open_new, close_old)

int main(void)
{
	const struct CMUnitTest tests[] = {
		broker_test(source_and_target_get_the_same_key_and_their_own_rights),
		broker_test(each_start_makes_a_new_key),
		broker_test(the_record_survives_the_broker),
		broker_test(an_arrival_before_any_start_is_refused),
		broker_test(unknown_guests_and_names_that_are_paths_are_refused),
		broker_test(a_platform_under_another_root_is_refused),
		broker_test(a_platform_that_is_not_listed_is_refused),
		broker_test(a_broken_chain_names_its_link),
		broker_test(another_measurement_gets_no_key),
		broker_test(another_firmware_version_gets_no_key),
		broker_test(a_ticket_is_good_once_and_for_a_while),
		broker_test(a_ticket_is_for_its_own_launch),
		broker_test(old_tickets_leave_no_keys_behind),
		broker_test(the_asker_learns_nothing_of_the_brokers_files),
		broker_test(what_is_no_request_is_refused),
		broker_test(every_decision_is_in_the_log),
		broker_test(without_a_log_nothing_is_granted),
		broker_test(a_folder_that_others_may_read_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
