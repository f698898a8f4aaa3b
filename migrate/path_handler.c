/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Private pages by the guest's own migration handler: doc/HANDLER.md. Sealed pages lie in its
 * window, where batches have their bodies, so the channel sends from there and receives there, and
 * nothing is copied in between.
 */

#include "migrate/path.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "abi/psp.h"
#include "base/log.h"
#include "migrate/handler_call.h"
#include "migrate/queue.h"

_Static_assert(HANDLER_BATCH == STREAM_BATCH_PAGES && HANDLER_NONCE_LEN == STREAM_NONCE_LEN &&
		       HANDLER_RECORD_LEN == STREAM_RECORD_LEN && MIG_CREW_MAX == HANDLER_VCPUS_MAX,
	       "see doc/HANDLER.md");

/* The session's bytes in START: this, the handler's version, zero (4), the nonce, zeros. */
static const uint8_t magic[8] = { 's', 'v', 'm', 'g', 'h', 'a', 'n', 'd' };

/* --- pages ----------------------------------------------------------------------------------- */

/* One message's pages, dealt out to the handler's vCPUs. */
struct deal {
	struct mig_path *p;
	enum handler_command command;
	struct mig_handler_page v[HANDLER_BATCH];
	uint32_t n;
};

static int deal_part(void *ctx, unsigned i, struct err *e)
{
	struct deal *d = ctx;
	uint32_t parts = d->p->handler.crew.n;
	uint32_t from = d->n * i / parts, to = d->n * (i + 1) / parts;

	if (from == to)
		return 0;
	return mig_handler_pages(d->p->handler.mirror, i, d->command, d->v + from, to - from, e);
}

static int window_offset(const struct mig_path *p, const uint8_t *at, uint32_t *out, struct err *e)
{
	uint64_t offset = (uint64_t)(at - p->handler.mirror->window);

	if (at < p->handler.mirror->window || offset >= HANDLER_WINDOW_LEN)
		return err_set(e, -EINVAL, "a page's packet does not lie in the handler's window");
	*out = (uint32_t)offset;
	return 0;
}

static void header_put(const struct mig_handler_page *v, uint8_t hdr[STREAM_PACKET_HDR_LEN])
{
	struct wr out = wr_of(hdr, STREAM_PACKET_HDR_LEN);

	wr_le64(&out, v->epoch);
	wr_bytes(&out, v->tag, sizeof(v->tag));
	wr_zero(&out, STREAM_PACKET_HDR_LEN - out.len);
}

static void header_get(const uint8_t hdr[STREAM_PACKET_HDR_LEN], struct mig_handler_page *v)
{
	struct rd in = rd_of(hdr, STREAM_PACKET_HDR_LEN);

	rd_le64(&in, &v->epoch);
	rd_bytes(&in, v->tag, sizeof(v->tag));
}

/* Pages of zeros left gaps. */
static void close_up(const struct deal *d, uint8_t *body)
{
	size_t len = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		if (d->v[i].len && len != (size_t)i * PAGE_LEN)
			memmove(body + len, body + (size_t)i * PAGE_LEN, PAGE_LEN);
		len += d->v[i].len;
	}
}

static int handler_send_pages(struct mig_path *p, struct stream_private_entry *v, uint32_t n,
			      uint8_t *body, struct err *e)
{
	struct deal d = { .p = p, .command = HANDLER_EXPORT, .n = n };
	uint32_t offset = 0;
	int r = window_offset(p, body, &offset, e);

	for (uint32_t i = 0; i < n; i++)
		d.v[i] = (struct mig_handler_page){ .at = v[i].at,
						    .offset = offset + i * (uint32_t)PAGE_LEN };
	if (r == 0)
		r = mig_crew_run(&p->handler.crew, deal_part, &d, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		v[i].len = d.v[i].len;
		header_put(&d.v[i], v[i].hdr);
	}
	close_up(&d, body);
	return 0;
}

static int handler_recv_pages(struct mig_path *p, struct stream_private *m, struct err *e)
{
	struct deal d = { .p = p, .command = HANDLER_IMPORT };
	struct stream_private_entry v;

	while (stream_private_next(m, &v)) {
		struct mig_handler_page *page = &d.v[d.n++];
		int r;

		*page = (struct mig_handler_page){ .at = v.at, .len = v.len };
		header_get(v.hdr, page);
		r = v.len ? window_offset(p, v.packet, &page->offset, e) : 0;
		if (r < 0)
			return r;
	}
	return mig_crew_run(&p->handler.crew, deal_part, &d, e);
}

/* --- a session ------------------------------------------------------------------------------- */

static int vcpus_refuse(struct err *e)
{
	return err_set(e, -ENOTSUP,
		       "the vCPUs of an SEV-ES guest travel by the Secure Processors only");
}

static int handler_send_start(struct mig_path *p, const struct sev_peer_certs *to,
			      struct mig_session *out, struct err *e)
{
	struct wr session = wr_of(out->session, sizeof(out->session));
	struct sev_guest_status st = { 0 };
	int r = sev_guest_status(p->mem->vm->sev, &st, e);

	(void)to;
	if (r == 0)
		r = mig_handler_call(p->handler.mirror, HANDLER_START, p->handler.peer,
				     sizeof(p->handler.peer), NULL, e);
	if (r < 0)
		return r;
	out->policy = st.policy;
	memset(out->pdh, 0, sizeof(out->pdh));
	wr_bytes(&session, magic, sizeof(magic));
	wr_le32(&session, HANDLER_VERSION);
	wr_le32(&session, 0);
	wr_bytes(&session, p->handler.nonce, sizeof(p->handler.nonce));
	wr_zero(&session, sizeof(out->session) - session.len);
	return 0;
}

static int handler_recv_start(struct mig_path *p, const struct stream_start *m, struct err *e)
{
	struct rd in = rd_of(m->session, STREAM_SESSION_LEN);
	uint8_t nonce[HANDLER_NONCE_LEN];
	uint32_t version = 0;

	rd_skip(&in, sizeof(magic));
	rd_le32(&in, &version);
	rd_skip(&in, 4);
	rd_bytes(&in, nonce, sizeof(nonce));
	if (version != HANDLER_VERSION)
		return err_set(e, -EPROTO, "START: a migration handler of version %" PRIu32,
			       version);
	if (m->policy & PSP_POLICY_ES)
		return vcpus_refuse(e);
	return mig_handler_call(p->handler.mirror, HANDLER_START, nonce, sizeof(nonce), NULL, e);
}

static int handler_send_vcpu(struct mig_path *p, struct stream_vmsa *v,
			     uint8_t body[STREAM_VMSA_LEN], struct err *e)
{
	(void)p, (void)v, (void)body;
	return vcpus_refuse(e);
}

static int handler_recv_vcpu(struct mig_path *p, const struct stream_vmsa *v, struct err *e)
{
	(void)p, (void)v;
	return vcpus_refuse(e);
}

/* --- the end --------------------------------------------------------------------------------- */

/* The record in p->handler: what the other side proved, then what this one did. */
static int prove(struct mig_path *p, enum handler_command command, struct err *e)
{
	uint8_t result[HANDLER_RESULT_LEN];
	int r = mig_handler_call(p->handler.mirror, command, p->handler.record,
				 sizeof(p->handler.record), result, e);

	if (r == 0)
		memcpy(p->handler.record, result, sizeof(p->handler.record));
	return r;
}

static int handler_send_finish(struct mig_path *p, struct err *e)
{
	if (p->handler.has != STREAM_PROOF_RECEIPT)
		return err_set(e, -EPROTO, "the target's handler has not said what it holds");
	p->handler.has = 0;
	if (prove(p, HANDLER_SEAL, e) < 0)
		return e->code;
	p->handler.has = STREAM_PROOF_RELEASE;
	return 0;
}

static int handler_send_cancel(struct mig_path *p, struct err *e)
{
	return mig_handler_call(p->handler.mirror, HANDLER_RESET, NULL, 0, NULL, e);
}

static int handler_recv_finish(struct mig_path *p, struct err *e)
{
	if (p->handler.has != STREAM_PROOF_RELEASE)
		return err_set(e, -EPERM,
			       "the source's handler has not given the guest up, and without its "
			       "word it does not run here");
	if (prove(p, HANDLER_RELEASE, e) < 0)
		return e->code;
	p->handler.mirror->ops->close(p->handler.mirror);
	return 0;
}

static int handler_make(struct mig_path *p, enum stream_proof what, struct stream_manifest *out,
			struct err *e)
{
	int r = 0;

	if (what != STREAM_PROOF_RELEASE)
		r = prove(p, what == STREAM_PROOF_MANIFEST ? HANDLER_MANIFEST : HANDLER_VERIFY, e);
	else if (p->handler.has != STREAM_PROOF_RELEASE)
		r = err_set(e, -EPROTO, "the guest was not given up yet");
	if (r < 0)
		return r;
	out->proof = what;
	memcpy(out->record, p->handler.record, sizeof(out->record));
	return 0;
}

static int handler_take(struct mig_path *p, const struct stream_manifest *m, struct err *e)
{
	bool source = p->handler.role == HANDLER_SOURCE;

	if (source != (m->proof == STREAM_PROOF_RECEIPT))
		return err_set(e, -EPROTO, "MANIFEST: of kind %" PRIu32 " to the %s", m->proof,
			       source ? "source" : "target");
	memcpy(p->handler.record, m->record, sizeof(p->handler.record));
	p->handler.has = m->proof;
	return 0;
}

static const struct mig_send_ops handler_send_ops = {
	.start = handler_send_start,
	.pages = handler_send_pages,
	.vcpu = handler_send_vcpu,
	.finish = handler_send_finish,
	.cancel = handler_send_cancel,
};

static const struct mig_recv_ops handler_recv_ops = {
	.start = handler_recv_start,
	.pages = handler_recv_pages,
	.vcpu = handler_recv_vcpu,
	.finish = handler_recv_finish,
};

static const struct mig_proof_ops handler_proof_ops = {
	.make = handler_make,
	.take = handler_take,
};

/* --- making and ending ----------------------------------------------------------------------- */

bool mig_path_handler_meant(const struct stream_start *m)
{
	static const uint8_t nobody[STREAM_CERT_LEN];

	return memcmp(m->session, magic, sizeof(magic)) == 0 &&
	       memcmp(m->pdh, nobody, sizeof(nobody)) == 0;
}

static int session_init(struct mig_path *p, struct err *e)
{
	uint8_t result[HANDLER_RESULT_LEN];
	uint32_t role = p->handler.role;
	int r = mig_handler_call(p->handler.mirror, HANDLER_INIT, &role, sizeof(role), result, e);

	if (r == -EPERM) {
		struct err first = *e;

		/* A session that was broken off may stand in the way. */
		if (mig_handler_call(p->handler.mirror, HANDLER_RESET, NULL, 0, NULL, e) < 0 ||
		    mig_handler_call(p->handler.mirror, HANDLER_INIT, &role, sizeof(role), result,
				     e) < 0) {
			*e = first;
			return r;
		}
		r = 0;
	}
	if (r == 0)
		memcpy(p->handler.nonce, result, sizeof(p->handler.nonce));
	return r;
}

int mig_path_handler(struct mig_path *p, const struct mig_mem *mem, struct mig_mirror *mirror,
		     const struct mig_handler_params *params, struct err *e)
{
	unsigned vcpus = params->vcpus ? params->vcpus : 1;
	int r;

	mig_path_fini(p);
	r = mirror->ops->open(mirror, vcpus, e);
	if (r < 0)
		return r;
	p->mem = mem;
	p->handler.mirror = mirror;
	p->handler.role = params->role;
	r = session_init(p, e);
	if (r == 0)
		r = mig_crew_start(&p->handler.crew, vcpus, e);
	if (r < 0) {
		mig_path_fini(p);
		return r;
	}
	p->send = &handler_send_ops;
	p->recv = &handler_recv_ops;
	p->proof = &handler_proof_ops;
	return 0;
}

uint8_t *mig_path_bodies(const struct mig_path *p)
{
	_Static_assert(MIG_BATCHES * STREAM_BODY_MAX <= HANDLER_WINDOW_LEN, "see doc/HANDLER.md");

	return p->handler.mirror ? p->handler.mirror->window : NULL;
}

void mig_path_fini(struct mig_path *p)
{
	mig_crew_stop(&p->handler.crew);
	if (p->handler.mirror)
		p->handler.mirror->ops->close(p->handler.mirror);
	*p = (struct mig_path){ .mem = p->mem, .platform = p->platform };
}
