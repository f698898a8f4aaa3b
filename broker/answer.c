/* SPDX-License-Identifier: Apache-2.0 */

/* From a request to a decision. What decides is read from the owner's own files; of the request
 * only what was checked is used. */

#include "broker/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "abi/handler.h"
#include "base/buf.h"
#include "base/rdwr.h"
#include "owner/joined.h"
#include "owner/launch.h"
#include "owner/root.h"
#include "owner/secret.h"
#include "owner/session.h"
#include "owner/text.h"

/* A request under way, and what the log will say of it. */
struct ask {
	struct broker *b;
	const json_t *in;
	char kind[16], guest[64], platform[OWNER_PLATFORM_ID_LEN];
	const char *role;
	json_t *out; /* owned */
};

static void ask_fini(struct ask *a)
{
	json_decref(a->out);
}

static const char *text_of(const struct ask *a, const char *what)
{
	return json_string_value(json_object_get(a->in, what));
}

static int bytes_get(const struct ask *a, const char *what, uint8_t *out, size_t cap, size_t *len,
		     struct err *e)
{
	const char *text = text_of(a, what);
	int r = text ? owner_base64_get(text, strlen(text), out, cap, len, e)
		     : err_set(e, -EINVAL, "missing");

	return r < 0 ? err_wrap(e, r, "%s", what) : 0;
}

static json_t *base64_json(const uint8_t *p, size_t len)
{
	auto_mem char *text = malloc(OWNER_BASE64_LEN(len));

	if (!text)
		return NULL;
	owner_base64_put(p, len, text);
	return json_string(text);
}

/* --- a session, for a platform that may have this guest ----------------------------------------
 */

static bool listed(const uint8_t v[][BROKER_DIGEST_LEN], size_t n,
		   const uint8_t hash[BROKER_DIGEST_LEN])
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(v[i], hash, BROKER_DIGEST_LEN) == 0)
			return true;
	return false;
}

static int chain_verify(struct ask *a, const struct broker_guest *g, struct owner_set *set,
			struct owner_certs *certs, struct err *e)
{
	uint8_t hash[BROKER_DIGEST_LEN];
	const uint8_t *ark;
	size_t len = 0;
	int r = owner_set_certs(set, certs, e);

	if (r < 0)
		return r;
	ark = owner_set_find(set, SEVCERT_ARK, &len);
	r = crypto_sha256(ark, len, hash, e);
	if (r == 0 && !listed(g->root, g->nroot, hash))
		r = err_set(e, -EACCES, "its root is none that the owner trusts");
	if (r == 0)
		r = owner_chain_verify(certs, ark, len, e);
	if (r == 0)
		r = owner_platform_id(certs, a->platform, e);
	if (r == 0)
		r = owner_hex_get(a->platform, hash, sizeof(hash), e);
	if (r == 0 && g->nplatform && !listed(g->platform, g->nplatform, hash))
		r = err_set(e, -EACCES, "platform %s is not on the owner's list", a->platform);
	return r;
}

static int session_answer(struct ask *a, const struct broker_guest *g, struct broker_ticket *t,
			  const struct owner_certs *certs, struct err *e)
{
	auto_owner_session struct owner_session s = { 0 };
	int r = owner_session_make(certs->pdh, g->policy, &s, e);

	if (r < 0)
		return r;
	t->keys = s.keys;
	snprintf(t->guest, sizeof(t->guest), "%s", g->name);
	snprintf(t->platform, sizeof(t->platform), "%s", a->platform);
	r = broker_ticket_put(a->b, t, e);
	if (r < 0)
		return r;
	a->out = json_pack("{s:s, s:I, s:o, s:o}", "ticket", t->id, "policy", (json_int_t)g->policy,
			   "godh", base64_json(s.godh, sizeof(s.godh)), "session",
			   base64_json(s.blob, sizeof(s.blob)));
	return a->out ? 0 : err_set(e, -ENOMEM, "no memory");
}

static int session_decide(struct ask *a, struct err *e)
{
	static uint8_t raw[OWNER_JOINED_MAX]; /* the folder's lock is held */
	static struct owner_set set;
	auto_broker_ticket struct broker_ticket t = { 0 };
	auto_secret struct secret key = { 0 };
	struct owner_certs certs;
	struct broker_guest g;
	const char *name = text_of(a, "guest");
	size_t len = 0;
	int r;

	memset(&set, 0, sizeof(set));
	if (!name || !a->role)
		return err_set(e, -EINVAL, "guest, or role start or arrive, is missing");
	t.arrives = strcmp(a->role, "arrive") == 0;
	r = broker_guest_get(a->b, name, &g, e);
	if (r < 0)
		return r;
	snprintf(a->guest, sizeof(a->guest), "%s", g.name);
	if (t.arrives)
		r = broker_key_get(a->b, g.name, &key, e);
	if (r == 0)
		r = bytes_get(a, "chain", raw, sizeof(raw), &len, e);
	if (r == 0)
		r = owner_set_add(&set, raw, len, e);
	if (r == 0)
		r = chain_verify(a, &g, &set, &certs, e);
	return r < 0 ? r : session_answer(a, &g, &t, &certs, e);
}

/* --- the key, for a launch that is this guest's ------------------------------------------------
 */

static int number_get(const struct ask *a, const char *what, uint8_t *out, struct err *e)
{
	const json_t *n = json_object_get(a->in, what);
	json_int_t v = json_integer_value(n);

	if (!json_is_integer(n) || v < 0 || v > 255)
		return err_set(e, -EINVAL, "%s: not a number up to 255", what);
	*out = (uint8_t)v;
	return 0;
}

/* One of the digests must have been measured, under the ticket's key. */
static int measurement_check(const struct ask *a, const struct broker_guest *g,
			     const struct broker_ticket *t,
			     const uint8_t measurement[PSP_MEASURE_LEN], struct err *e)
{
	struct session_measured m = { .policy = g->policy };
	struct err other;
	int r = number_get(a, "api-major", &m.api_major, e);

	if (r == 0)
		r = number_get(a, "api-minor", &m.api_minor, e);
	if (r == 0)
		r = number_get(a, "build", &m.build, e);
	if (r < 0)
		return r;
	r = -EKEYREJECTED;
	for (size_t i = 0; i < g->ndigest && r == -EKEYREJECTED; i++) {
		memcpy(m.digest, g->digest[i], sizeof(m.digest));
		r = owner_launch_check(&t->keys.tik, &m, measurement, &other);
	}
	if (r < 0)
		return err_set(e, r,
			       "what was measured is no launch of this guest that the owner knows "
			       "(digests, policy and firmware version go into it)");
	return 0;
}

static void entry_make(const struct broker_guest *g, bool arrives, const struct secret *key,
		       uint8_t out[HANDLER_S_LEN])
{
	uint32_t flags = HANDLER_F_MAY_SEND | (arrives ? HANDLER_F_MAY_RECEIVE : 0) |
			 (g->zero_visible ? HANDLER_F_ZERO_VISIBLE : 0);
	struct wr w = wr_of(out, HANDLER_S_LEN);

	wr_le16(&w, 1);
	wr_le16(&w, HANDLER_VERSION);
	wr_le32(&w, flags);
	wr_bytes(&w, key->b, BROKER_ID_LEN + BROKER_KEY_LEN);
}
_Static_assert(HANDLER_S_GUEST == 8 && HANDLER_S_KEY == 8 + BROKER_ID_LEN &&
		       HANDLER_S_LEN == HANDLER_S_KEY + BROKER_KEY_LEN,
	       "see doc/HANDLER.md");

static void entry_wipe(uint8_t (*entry)[HANDLER_S_LEN])
{
	crypto_wipe(entry, sizeof(*entry));
}

static void table_wipe(struct buf *b)
{
	if (b->p)
		crypto_wipe(b->p, b->cap);
	buf_fini(b);
}

static int packet_answer(struct ask *a, const struct broker_guest *g, const struct broker_ticket *t,
			 const uint8_t measurement[PSP_MEASURE_LEN], struct err *e)
{
	cleanup_with(entry_wipe) uint8_t entry[HANDLER_S_LEN];
	cleanup_with(table_wipe) struct buf table = { 0 };
	auto_secret struct secret key = { 0 };
	struct owner_secret s = { .p = entry, .len = sizeof(entry) };
	uint8_t hdr[PSP_HDR_LEN], cipher[512];
	int r = t->arrives ? broker_key_get(a->b, g->name, &key, e) : broker_key_make(&key, e);

	if (r == 0)
		r = owner_guid_get(HANDLER_SECRET_GUID, s.guid, e);
	/* In one piece: a table that grows would leave a copy of itself behind. */
	if (r == 0)
		r = buf_reserve(&table, sizeof(cipher), e);
	if (r < 0)
		return r;
	entry_make(g, t->arrives, &key, entry);
	r = owner_secret_table(&s, 1, &table, e);
	if (r == 0 && table.len > sizeof(cipher))
		r = err_set(e, -EMSGSIZE, "a secret of %zu bytes", table.len);
	if (r == 0)
		r = owner_secret_seal(&t->keys, measurement + PSP_MEASURE_MAC, table.p, table.len,
				      hdr, cipher, e);
	/* From here on the guest that ran before has no key any more. */
	if (r == 0 && !t->arrives)
		r = broker_key_put(a->b, g->name, &key, e);
	if (r < 0)
		return r;
	a->out = json_pack("{s:o, s:o, s:I}", "packet-header", base64_json(hdr, sizeof(hdr)),
			   "secret", base64_json(cipher, table.len), "gpa",
			   (json_int_t)HANDLER_SECRET);
	return a->out ? 0 : err_set(e, -ENOMEM, "no memory");
}

static int secret_decide(struct ask *a, struct err *e)
{
	auto_broker_ticket struct broker_ticket t = { 0 };
	uint8_t measurement[PSP_MEASURE_LEN];
	const char *id = text_of(a, "ticket");
	struct broker_guest g;
	size_t len = 0;
	int r;

	if (!id)
		return err_set(e, -EINVAL, "ticket is missing");
	r = broker_ticket_take(a->b, id, &t, e);
	if (r < 0)
		return r;
	a->role = t.arrives ? "arrive" : "start";
	snprintf(a->guest, sizeof(a->guest), "%s", t.guest);
	snprintf(a->platform, sizeof(a->platform), "%s", t.platform);
	r = broker_guest_get(a->b, t.guest, &g, e);
	if (r == 0)
		r = bytes_get(a, "measurement", measurement, sizeof(measurement), &len, e);
	if (r == 0 && len != sizeof(measurement))
		r = err_set(e, -EINVAL, "measurement: %zu bytes, not %u", len, PSP_MEASURE_LEN);
	if (r == 0)
		r = measurement_check(a, &g, &t, measurement, e);
	return r < 0 ? r : packet_answer(a, &g, &t, measurement, e);
}

/* --- decide, log, answer ---------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*decide)(struct ask *a, struct err *e);
} kinds[] = { { "session", session_decide }, { "secret", secret_decide } };

static int decide(struct ask *a, struct err *e)
{
	const char *kind = text_of(a, "request"), *role = text_of(a, "role");

	if (role && (strcmp(role, "start") == 0 || strcmp(role, "arrive") == 0))
		a->role = role;
	for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i].name) != 0)
			continue;
		snprintf(a->kind, sizeof(a->kind), "%s", kind);
		return kinds[i].decide(a, e);
	}
	return err_set(e, -EINVAL, "request: neither session nor secret");
}

static int log_decision(const struct ask *a, const char *peer, int r, const struct err *why,
			struct err *e)
{
	auto_of(json) json_t *line = NULL;
	time_t now = (time_t)a->b->now();
	char stamp[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	line = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "time", stamp, "peer", peer,
			 "request", a->kind, "guest", a->guest, "role", a->role ? a->role : "",
			 "platform", a->platform, "decision", r < 0 ? "refused" : "granted",
			 "reason", r < 0 ? why->msg : "");
	if (!line)
		return err_set(e, -ENOMEM, "audit log: no memory");
	return broker_log(a->b, line, e);
}

/* What failed in here, with its path, is in the log and not the asker's business; that it was
 * refused, and why, is. */
static json_t *refusal(const struct ask *a, const struct err *why)
{
	return json_pack("{s:s}", "error",
			 strstr(why->msg, a->b->dir) ? "the broker cannot decide; its log says why"
						     : why->msg);
}

static int answer_put(struct ask *a, const char *peer, char **answer, struct err *e)
{
	struct err why = { 0 };
	int r = decide(a, &why), logged = log_decision(a, peer, r, &why, e);

	if (logged < 0)
		return logged;
	if (r < 0) {
		json_decref(a->out);
		a->out = refusal(a, &why);
	}
	*answer = a->out ? json_dumps(a->out, JSON_COMPACT) : NULL;
	return *answer ? 0 : err_set(e, -ENOMEM, "no memory");
}

int broker_answer(struct broker *b, const char *peer, const char *request, size_t len,
		  char **answer, struct err *e)
{
	cleanup_with(ask_fini) struct ask a = { .b = b };
	auto_of(json) json_t *in = NULL;
	json_error_t why;
	int r;

	*answer = NULL;
	if (len <= BROKER_TEXT_MAX)
		in = json_loadb(request, len, JSON_REJECT_DUPLICATES, &why);
	a.in = in;
	/* One decision at a time, whichever process takes it. */
	if (flock(b->fd, LOCK_EX) < 0)
		return err_set(e, -errno, "%s: %m", b->dir);
	r = answer_put(&a, peer, answer, e);
	flock(b->fd, LOCK_UN);
	return r;
}
