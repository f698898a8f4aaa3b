/* SPDX-License-Identifier: Apache-2.0 */

/* SEND_*: a running guest's memory, encrypted for another platform. SEV API chapter 6. */

#include "psp/state.h"

static int session_make(const struct psp *p, const struct ec_key *target, uint32_t policy,
			struct session_keys *keys, uint8_t out[PSP_SESSION_LEN], struct err *e)
{
	auto_session_master struct session_master m = { 0 };
	uint8_t nonce[PSP_NONCE_LEN], iv[PSP_IV_LEN];
	int r = crypto_random(nonce, sizeof(nonce), e);

	if (r == 0)
		r = crypto_random(iv, sizeof(iv), e);
	if (r == 0)
		r = session_keys_random(keys, e);
	if (r == 0)
		r = session_master_agree(p->id.pdh, target, nonce, &m, e);
	return r < 0 ? r : session_wrap(&m, keys, policy, nonce, iv, out, e);
}

enum psp_status psp_send_start(struct psp *p, uint32_t handle, const struct psp_send_to *to,
			       struct psp_room *session, uint32_t *policy)
{
	auto_session_keys struct session_keys keys = { 0 };
	auto_ec_key struct ec_key *target = NULL;
	struct psp_guest *g;
	struct err e = { 0 };
	enum psp_status s = psp_guest_enter(p, PSP_CMD_SEND_START, handle, &g);
	bool small = !session->p || session->len < PSP_SESSION_LEN;

	if (s != PSP_SUCCESS)
		return s;
	if (g->policy & PSP_POLICY_NOSEND)
		return PSP_POLICY_FAILURE;
	session->len = PSP_SESSION_LEN;
	if (small)
		return PSP_INVALID_LEN;
	s = psp_chain_check(p, g->policy, to, &target);
	if (s != PSP_SUCCESS)
		return s;
	if (session_make(p, target, g->policy, &keys, session->p, &e) < 0)
		return PSP_HWERROR_PLATFORM;
	s = psp_guest_key(g, &keys);
	if (s != PSP_SUCCESS)
		return s;
	*policy = g->policy;
	psp_guest_leave(g, PSP_CMD_SEND_START);
	return PSP_SUCCESS;
}

/* What a length query without a guest length is answered: one page, KVM's limit. */
#define QUERY_LEN 4096u

static enum psp_status update(struct psp *p, enum psp_guest_cmd cmd, uint8_t domain,
			      uint32_t handle, struct psp_bytes plain, struct psp_room *hdr,
			      struct psp_room *packet)
{
	const struct session_packet kind = { .domain = domain };
	struct psp_guest *g;
	struct err e = { 0 };
	enum psp_status s = psp_guest_enter(p, cmd, handle, &g);
	bool small;

	if (s != PSP_SUCCESS)
		return s;
	if (plain.len > PSP_PACKET_MAX)
		return PSP_INVALID_LEN;
	small = !hdr->p || hdr->len < PSP_HDR_LEN || !packet->p || packet->len < plain.len;
	hdr->len = PSP_HDR_LEN;
	packet->len = plain.len ? (uint32_t)plain.len : QUERY_LEN;
	if (small)
		return PSP_INVALID_LEN;
	s = psp_span_check(plain.p, plain.len);
	if (s != PSP_SUCCESS)
		return s;
	if (session_seal(g->packer, &kind, plain.p, (uint32_t)plain.len, hdr->p, packet->p, &e) < 0)
		return PSP_HWERROR_PLATFORM;
	return PSP_SUCCESS;
}

enum psp_status psp_send_update_data(struct psp *p, uint32_t handle, const uint8_t *src,
				     size_t guest_len, struct psp_room *hdr,
				     struct psp_room *packet)
{
	return update(p, PSP_CMD_SEND_UPDATE_DATA, PSP_MAC_DATA, handle,
		      (struct psp_bytes){ src, guest_len }, hdr, packet);
}

enum psp_status psp_send_update_vmsa(struct psp *p, uint32_t handle, const uint8_t *src,
				     size_t guest_len, struct psp_room *hdr,
				     struct psp_room *packet)
{
	return update(p, PSP_CMD_SEND_UPDATE_VMSA, PSP_MAC_VMSA, handle,
		      (struct psp_bytes){ src, guest_len }, hdr, packet);
}

static enum psp_status end(struct psp *p, enum psp_guest_cmd cmd, uint32_t handle)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, cmd, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	psp_guest_unkey(g);
	psp_guest_leave(g, cmd);
	return PSP_SUCCESS;
}

enum psp_status psp_send_finish(struct psp *p, uint32_t handle)
{
	return end(p, PSP_CMD_SEND_FINISH, handle);
}

enum psp_status psp_send_cancel(struct psp *p, uint32_t handle)
{
	return end(p, PSP_CMD_SEND_CANCEL, handle);
}
