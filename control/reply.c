/* SPDX-License-Identifier: Apache-2.0 */
#include "control/reply.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/gpa.h"

#define NS_PER_MS 1000000u

static json_int_t ms(uint64_t ns)
{
	return (json_int_t)(ns / NS_PER_MS);
}

static json_int_t num(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (json_int_t)v;
}

/* A reason may quote bytes of the peer's that are not UTF-8, which JSON cannot carry. */
static json_t *text(const char *s)
{
	char plain[sizeof(((struct err *)0)->msg)];
	json_t *j = json_string(s);
	size_t i;

	if (j)
		return j;
	for (i = 0; s[i] && i < sizeof(plain) - 1; i++)
		plain[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
	plain[i] = '\0';
	return json_string(plain);
}

json_t *control_version_json(void)
{
	return json_pack("{s:s, s:s}", "package", "sevmig", "version", SEVMIG_VERSION);
}

json_t *control_greeting_json(void)
{
	return json_pack("{s:{s:o, s:[]}}", "QMP", "version", control_version_json(),
			 "capabilities");
}

json_t *control_commands_json(void)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < CONTROL_CMD_N; i++)
		if (json_array_append_new(
			    all, json_pack("{s:s}", "name", control_cmd_name((enum control_cmd)i))))
			break;
	return all;
}

static const char *paused_state(const struct control_state *s)
{
	if (s->role != CONTROL_ROLE_SOURCE)
		return "paused";
	if (s->mig.outcome == MIG_OUTCOME_MOVED || s->mig.outcome == MIG_OUTCOME_UNKNOWN)
		return "postmigrate";
	if (s->mig.outcome == MIG_OUTCOME_NONE && s->mig.phase >= MIG_PHASE_STOPPED)
		return "finish-migrate";
	return "paused";
}

const char *control_run_state(const struct control_state *s)
{
	switch (s->vm) {
	case VM_NEW:
		return "prelaunch";
	case VM_INCOMING:
		return "inmigrate";
	case VM_PAUSED:
		return paused_state(s);
	case VM_RUNNING:
		return "running";
	case VM_ENDED:
		return s->end == VM_END_ERROR ? "internal-error" : "shutdown";
	}
	return "internal-error";
}

const char *control_migration_status(const struct control_state *s)
{
	if (s->role == CONTROL_ROLE_NONE)
		return "none";
	switch (s->mig.outcome) {
	case MIG_OUTCOME_MOVED:
		return "completed";
	case MIG_OUTCOME_STAYED:
		return s->cancelled ? "cancelled" : "failed";
	case MIG_OUTCOME_UNKNOWN:
		return "failed";
	case MIG_OUTCOME_ANSWERED:
		return "none";
	case MIG_OUTCOME_NONE:
		break;
	}
	return s->mig.phase <= MIG_PHASE_HANDSHAKE ? "setup" : "active";
}

/* {"host": {"ready": true}, "guest": {"ready": false, "reason": "..."}, ...} */
static json_t *consent_json(const struct control_state *s)
{
	json_t *all = json_object();

	for (unsigned who = 0; who < MIG_PARTY_N; who++) {
		json_t *one = json_pack("{s:b}", "ready", (int)!s->no[who]);

		if (s->no[who])
			json_object_set_new(one, "reason", text(s->no[who]));
		json_object_set_new(all, mig_party_name((enum mig_party)who), one);
	}
	return all;
}

json_t *control_status_json(const struct control_state *s)
{
	json_t *own = json_pack("{s:o, s:o, s:o, s:I, s:i, s:I, s:I, s:b, s:o}", "name",
				text(s->name), "uri", text(s->uri), "platform",
				text(s->platform ? s->platform : ""), "memory", num(s->memory),
				"vcpus", (int)s->vcpus, "policy", num(s->sev.policy),
				"shared-pages", num(s->shared_pages), "migration-msr-written",
				(int)s->msr_written, "negotiation", consent_json(s));

	if (own && s->msr_written)
		json_object_set_new(own, "migration-msr", json_integer(num(s->msr)));
	if (own && s->why)
		json_object_set_new(own, "end", text(s->why));
	return json_pack("{s:s, s:b, s:b, s:o}", "status", control_run_state(s), "running",
			 (int)(s->vm == VM_RUNNING), "singlestep", 0, "x-sevmig", own);
}

static json_t *ram_json(const struct mig_stats *m)
{
	uint64_t sent = m->pages_private + m->pages_shared;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "transferred",
			 num(m->bytes_sent), "total", num(m->pages_total * PAGE_LEN), "remaining",
			 num(m->pages_left * PAGE_LEN), "normal", num(sent), "normal-bytes",
			 num(sent * PAGE_LEN), "duplicate", num(m->pages_zero), "dirty-pages-rate",
			 num(m->dirty_rate), "dirty-sync-count", num(m->pass), "pages-per-second",
			 num(m->send_rate), "page-size", (int)PAGE_LEN);
}

static json_t *lines_json(const struct lines *l)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < l->n; i++)
		json_array_append_new(all, text(l->v[i]));
	return all;
}

static json_t *own_json(const struct control_state *s)
{
	const struct mig_stats *m = &s->mig;

	return json_pack(
		"{s:s, s:o, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:s, "
		"s:o}",
		"role", s->role == CONTROL_ROLE_SOURCE ? "source" : "target", "uri", text(s->uri),
		"phase", mig_phase_name(m->phase), "outcome", mig_outcome_name(m->outcome), "pass",
		(int)m->pass, "total-pages", num(m->pages_total), "left-pages", num(m->pages_left),
		"dirty-pages", num(m->pages_dirty), "private-pages", num(m->pages_private),
		"shared-pages", num(m->pages_shared), "zero-pages", num(m->pages_zero),
		"never-written-pages", num(m->pages_never), "reason", text(m->reason),
		"differences", lines_json(&s->differences), "path", mig_way_name(m->way),
		"path-reason", text(m->way_why));
}

/* As in QEMU: nothing at all when there never was a migration, "downtime" only when it is over,
 * "expected-downtime" only before. */
json_t *control_migrate_json(const struct control_state *s)
{
	const struct mig_stats *m = &s->mig;
	json_t *j;

	if (s->role == CONTROL_ROLE_NONE)
		return json_object();
	j = json_pack("{s:s, s:I, s:I, s:o, s:o}", "status", control_migration_status(s),
		      "total-time", ms(m->total_ns), "setup-time", ms(s->setup_ns), "ram",
		      ram_json(m), "x-sevmig", own_json(s));
	if (!j)
		return NULL;
	if (m->outcome == MIG_OUTCOME_NONE)
		json_object_set_new(j, "expected-downtime",
				    json_integer(ms(m->expected_downtime_ns)));
	else
		json_object_set_new(j, "downtime", json_integer(ms(m->downtime_ns)));
	if (m->outcome > MIG_OUTCOME_MOVED)
		json_object_set_new(j, "error-desc", text(m->reason));
	return j;
}

json_t *control_sev_json(const struct control_state *s)
{
	static const char *const states[] = { "uninit",  "launch-update", "launch-secret",
					      "running", "send-update",   "receive-update",
					      "sent" };
	unsigned n = sizeof(states) / sizeof(states[0]);

	return json_pack("{s:b, s:i, s:i, s:i, s:s, s:s, s:I, s:I}", "enabled", 1, "api-major",
			 s->api_major, "api-minor", s->api_minor, "build-id", s->build, "state",
			 s->sev.state < n ? states[s->sev.state] : "uninit", "sev-type", "sev",
			 "policy", num(s->sev.policy), "handle", num(s->sev.handle));
}

static void base64(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) { /* len is a multiple of three here */
		uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = digits[v >> shift & 63];
	}
	*out = '\0';
}

_Static_assert(SEV_MEASURE_LEN % 3 == 0, "base64() does not pad");

json_t *control_measure_json(const struct control_state *s)
{
	char text[SEV_MEASURE_LEN / 3 * 4 + 1];

	base64(s->measurement, SEV_MEASURE_LEN, text);
	return json_pack("{s:s}", "data", text);
}

static json_t *with_id(json_t *reply, json_t *id)
{
	if (reply && id)
		json_object_set(reply, "id", id);
	return reply;
}

json_t *control_return_json(json_t *value, json_t *id)
{
	return with_id(json_pack("{s:o}", "return", value), id);
}

json_t *control_error_json(const struct err *e, json_t *id)
{
	const char *class = e->code == -ENOSYS ? "CommandNotFound" : "GenericError";

	return with_id(json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc", text(e->msg)),
		       id);
}

json_t *control_event_json(const char *name, json_t *data)
{
	struct timespec now;
	json_t *j;

	clock_gettime(CLOCK_REALTIME, &now);
	j = json_pack("{s:s, s:{s:I, s:I}}", "event", name, "timestamp", "seconds",
		      (json_int_t)now.tv_sec, "microseconds", (json_int_t)(now.tv_nsec / 1000));
	if (j && data)
		json_object_set_new(j, "data", data);
	else
		json_decref(data);
	return j;
}
