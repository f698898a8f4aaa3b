/* SPDX-License-Identifier: Apache-2.0 */

/* The host's side of the owner's broker: it shows this platform's certificates, then what was
 * measured. Nothing here is secret: what comes back only the Secure Processor can open. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "broker/broker.h"
#include "chan/chan.h"
#include "cli/run.h"
#include "owner/text.h"

#define BROKER_MS 15000
#define PACKET_MAX 16384u

DEFINE_AUTO(chan, struct chan *, chan_free)

static int talk(struct chan *c, const char *request, json_t **answer, struct err *e)
{
	struct chan_msg m = { .type = BROKER_REQUEST,
			      .head = (const uint8_t *)request,
			      .head_len = strlen(request) };
	json_error_t why;
	int r = chan_send(c, &m, e);

	if (r == 0)
		r = chan_recv(c, &m, BROKER_MS, e);
	if (r < 0)
		return r;
	*answer = m.type == BROKER_ANSWER ? json_loadb((const char *)m.head, m.head_len, 0, &why)
					  : NULL;
	return *answer ? 0 : err_set(e, -EPROTO, "what it answers is no answer");
}

/* Takes the request. A refusal is an error with the broker's reason. */
static int call(const struct run_cfg *cfg, json_t *request, json_t **answer, struct err *e)
{
	const struct chan_tls_config tls = { .dir = cfg->tls_dir };
	auto_of(json) json_t *in = request;
	auto_of(chan) struct chan *c = NULL;
	auto_mem char *text = in ? json_dumps(in, JSON_COMPACT) : NULL;
	const char *refused;
	int r;

	*answer = NULL;
	if (!text)
		return err_set(e, -ENOMEM, "no memory");
	r = chan_connect(cfg->broker, &tls, BROKER_MS, &c, e);
	if (r == 0)
		r = talk(c, text, answer, e);
	refused = json_string_value(json_object_get(*answer, "error"));
	if (r == 0 && refused)
		r = err_set(e, -EACCES, "refused: %s", refused);
	return r < 0 ? err_wrap(e, r, "broker %s", cfg->broker) : 0;
}

static json_t *base64_json(const uint8_t *p, size_t len)
{
	auto_mem char *text = malloc(OWNER_BASE64_LEN(len));

	if (!text)
		return NULL;
	owner_base64_put(p, len, text);
	return json_string(text);
}

static int bytes_get(const json_t *answer, const char *what, struct buf *out, struct err *e)
{
	const char *text = json_string_value(json_object_get(answer, what));
	size_t len = 0;
	int r;

	if (!text || strlen(text) > 2 * PACKET_MAX)
		return err_set(e, -EPROTO, "the broker's answer has no %s", what);
	r = buf_reserve(out, strlen(text), e);
	if (r == 0)
		r = owner_base64_get(text, strlen(text), out->p, out->cap, &len, e);
	out->len = len;
	return r < 0 ? err_wrap(e, r, "the broker's %s", what) : 0;
}

static json_t *chain_json(const struct sev_peer_certs *c)
{
	auto_buf struct buf all = { 0 };
	struct err ignored;

	if (buf_add(&all, c->pdh, sizeof(c->pdh), &ignored) < 0 ||
	    buf_add(&all, c->plat, sizeof(c->plat), &ignored) < 0 ||
	    buf_add(&all, c->amd, c->amd_len, &ignored) < 0)
		return NULL;
	return base64_json(all.p, all.len);
}

static int session_take(struct run_broker *b, const json_t *answer, struct err *e)
{
	const char *ticket = json_string_value(json_object_get(answer, "ticket"));
	json_int_t policy = json_integer_value(json_object_get(answer, "policy"));
	int r;

	if (!ticket || strlen(ticket) >= sizeof(b->ticket))
		return err_set(e, -EPROTO, "the broker's answer has no ticket");
	if (policy != b->cfg->policy_bits)
		return err_set(e, -EINVAL,
			       "the owner's policy for this guest is %#llx, --policy says %#x",
			       (long long)policy, b->cfg->policy_bits);
	snprintf(b->ticket, sizeof(b->ticket), "%s", ticket);
	r = bytes_get(answer, "godh", &b->dh, e);
	return r < 0 ? r : bytes_get(answer, "session", &b->session, e);
}

static int secret_take(struct run_broker *b, const json_t *answer, struct vm_secret *out,
		       struct err *e)
{
	const json_t *at = json_object_get(answer, "gpa");
	auto_buf struct buf hdr = { 0 };
	int r = bytes_get(answer, "packet-header", &hdr, e);

	if (r == 0)
		r = bytes_get(answer, "secret", &b->packet, e);
	if (r == 0 && (hdr.len != sizeof(out->hdr) || !json_is_integer(at)))
		r = err_set(e, -EPROTO, "the broker's answer has no whole packet");
	if (r < 0)
		return r;
	memcpy(out->hdr, hdr.p, sizeof(out->hdr));
	out->at = gpa((uint64_t)json_integer_value(at));
	out->packet = b->packet.p;
	out->len = b->packet.len;
	log_info("run", "the owner's broker has given this guest its key");
	return 0;
}

static int secret_ask(void *ctx, const uint8_t measurement[SEV_MEASURE_LEN], struct vm_secret *out,
		      struct err *e)
{
	struct run_broker *b = ctx;
	auto_of(json) json_t *answer = NULL;
	int r = call(b->cfg,
		     json_pack("{s:s, s:s, s:o, s:i, s:i, s:i}", "request", "secret", "ticket",
			       b->ticket, "measurement", base64_json(measurement, SEV_MEASURE_LEN),
			       "api-major", b->api.api_major, "api-minor", b->api.api_minor,
			       "build", b->api.build),
		     &answer, e);

	return r < 0 ? r : secret_take(b, answer, out, e);
}

int run_broker_begin(struct run_broker *b, struct run *r, struct vm_boot *boot, struct err *e)
{
	const struct run_cfg *cfg = r->cfg;
	auto_of(json) json_t *answer = NULL;
	struct sev_peer_certs certs;
	int ret = sev_certs_export(r->platform, &certs, e);

	b->cfg = cfg;
	b->role = cfg->incoming ? "arrive" : "start";
	b->api = r->api;
	if (ret == 0)
		ret = call(cfg,
			   json_pack("{s:s, s:s, s:s, s:o}", "request", "session", "guest",
				     cfg->broker_guest ? cfg->broker_guest : cfg->name, "role",
				     b->role, "chain", chain_json(&certs)),
			   &answer, e);
	if (ret == 0)
		ret = session_take(b, answer, e);
	if (ret < 0)
		return ret;
	boot->dh = b->dh.p;
	boot->dh_len = b->dh.len;
	boot->session = b->session.p;
	boot->session_len = b->session.len;
	boot->secret = secret_ask;
	boot->secret_ctx = b;
	return 0;
}

void run_broker_fini(struct run_broker *b)
{
	buf_fini(&b->dh);
	buf_fini(&b->session);
	buf_fini(&b->packet);
}
