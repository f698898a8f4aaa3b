/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/path.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "abi/psp.h"
#include "sev/es.h"

_Static_assert(STREAM_PACKET_HDR_LEN == SEV_PACKET_HDR_LEN && STREAM_CERT_LEN == SEV_CERT_LEN &&
		       STREAM_PLAT_LEN == SEV_PLAT_CHAIN_LEN &&
		       STREAM_AMD_LEN == SEV_AMD_CHAIN_MAX &&
		       STREAM_SESSION_LEN == SEV_SESSION_LEN &&
		       STREAM_VMSA_LEN == SEV_VMSA_PACKET_LEN,
	       "see doc/PROTOCOL.md");

/* GUEST_STATUS, SEV API table of guest states. */
enum { GUEST_RUNNING = 3, GUEST_SENT = 6 };

/* Commands are not repeated blindly: after a failure the guest's state says what happened. */
#define TRIES 2

static struct sev_vm *sev_of(const struct mig_path *p)
{
	return p->mem->vm->sev;
}

static bool guest_is(const struct mig_path *p, uint32_t state)
{
	struct sev_guest_status st = { 0 };
	struct err ignored;

	return sev_guest_status(sev_of(p), &st, &ignored) == 0 && st.state == state;
}

static int vcpus_can(const struct mig_path *p, uint32_t policy, bool send, struct err *e)
{
	return policy & PSP_POLICY_ES ? sev_vmsa_movable(sev_of(p), send, e) : 0;
}

static int psp_send_start(struct mig_path *p, const struct sev_peer_certs *to,
			  struct mig_session *out, struct err *e)
{
	struct sev_guest_status st = { 0 };
	struct sev_peer_certs own;
	int r = sev_guest_status(sev_of(p), &st, e);

	if (r < 0 || (r = vcpus_can(p, st.policy, true, e)) < 0 ||
	    (r = sev_certs_export(p->platform, &own, e)) < 0)
		return r;
	memcpy(out->pdh, own.pdh, sizeof(out->pdh));
	return sev_send_start(sev_of(p), to, out->session, &out->policy, e);
}

static int psp_send_pages(struct mig_path *p, struct stream_private_entry *v, uint32_t n,
			  uint8_t *body, struct err *e)
{
	for (uint32_t i = 0; i < n; i++) {
		int r = sev_send_update(sev_of(p), mig_mem_at(p->mem, v[i].at), PAGE_LEN, v[i].hdr,
					body + (size_t)i * PAGE_LEN, e);

		if (r < 0)
			return err_wrap(e, r, "page %#" PRIx64, v[i].at.v);
		v[i].len = PAGE_LEN;
	}
	return 0;
}

static int psp_send_vcpu(struct mig_path *p, struct stream_vmsa *v, uint8_t body[STREAM_VMSA_LEN],
			 struct err *e)
{
	int r = sev_send_update_vmsa(sev_of(p), v->vcpu, v->hdr, body, e);

	if (r < 0)
		return err_wrap(e, r, "vCPU %" PRIu32, v->vcpu);
	v->packet = body;
	return 0;
}

static int psp_send_finish(struct mig_path *p, struct err *e)
{
	int r = sev_send_finish(sev_of(p), e);

	return r < 0 && guest_is(p, GUEST_SENT) ? 0 : r;
}

static int psp_send_cancel(struct mig_path *p, struct err *e)
{
	int r = -EIO;

	for (unsigned i = 0; i < TRIES; i++) {
		r = sev_send_cancel(sev_of(p), e);
		if (r == 0 || guest_is(p, GUEST_RUNNING))
			return 0;
	}
	return r;
}

static int psp_recv_start(struct mig_path *p, const struct stream_start *m, struct err *e)
{
	int r = vcpus_can(p, m->policy, false, e);

	return r < 0 ? r : sev_receive_start(sev_of(p), m->policy, m->pdh, m->session, e);
}

static int psp_recv_pages(struct mig_path *p, struct stream_private *m, struct err *e)
{
	struct stream_private_entry v;

	while (stream_private_next(m, &v)) {
		int r = v.len ? sev_receive_update(sev_of(p), mig_mem_at(p->mem, v.at), v.len,
						   v.hdr, v.packet, e)
			      : err_set(e, -EPROTO, "without a packet");

		if (r < 0)
			return err_wrap(e, r, "page %#" PRIx64, v.at.v);
	}
	return 0;
}

static int psp_recv_vcpu(struct mig_path *p, const struct stream_vmsa *v, struct err *e)
{
	int r = sev_receive_update_vmsa(sev_of(p), v->vcpu, v->hdr, v->packet, e);

	return r < 0 ? err_wrap(e, r, "vCPU %" PRIu32, v->vcpu) : 0;
}

/* The source has given the guest up when this is called, so one failure is not the last word. */
static int psp_recv_finish(struct mig_path *p, struct err *e)
{
	int r = -EIO;

	for (unsigned i = 0; i < TRIES; i++) {
		r = sev_receive_finish(sev_of(p), e);
		if (r == 0 || guest_is(p, GUEST_RUNNING))
			return 0;
	}
	return r;
}

static const struct mig_send_ops send_ops = {
	.start = psp_send_start,
	.pages = psp_send_pages,
	.vcpu = psp_send_vcpu,
	.finish = psp_send_finish,
	.cancel = psp_send_cancel,
};

static const struct mig_recv_ops recv_ops = {
	.start = psp_recv_start,
	.pages = psp_recv_pages,
	.vcpu = psp_recv_vcpu,
	.finish = psp_recv_finish,
};

void mig_path_psp(struct mig_path *p, const struct mig_mem *mem, struct sev_platform *platform)
{
	mig_path_fini(p);
	*p = (struct mig_path){
		.send = &send_ops, .recv = &recv_ops, .mem = mem, .platform = platform
	};
}
