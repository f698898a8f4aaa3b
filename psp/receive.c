/* SPDX-License-Identifier: Apache-2.0 */

/* RECEIVE_*: what another platform's SEND_* made becomes a guest here. SEV API chapter 6. */

#include "psp/state.h"

enum psp_status psp_receive_start(struct psp *p, uint32_t *handle, uint32_t policy,
				  struct psp_bytes dh, struct psp_bytes session)
{
	return psp_guest_start(p, PSP_GSTATE_RUPDATE, psp_session_take, handle, policy, dh,
			       session);
}

static enum psp_status update(struct psp *p, enum psp_guest_cmd cmd, uint8_t domain,
			      uint32_t handle, struct psp_bytes hdr, struct psp_bytes packet,
			      struct psp_room to)
{
	const struct session_packet kind = { .domain = domain };
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, cmd, handle, &g);

	if (s == PSP_SUCCESS)
		s = psp_span_check(to.p, to.len);
	return s == PSP_SUCCESS ? psp_session_open(g, &kind, hdr, packet, to.p, to.len) : s;
}

enum psp_status psp_receive_update_data(struct psp *p, uint32_t handle, struct psp_bytes hdr,
					struct psp_bytes packet, uint8_t *dst, size_t guest_len)
{
	if (guest_len > PSP_PACKET_MAX)
		return PSP_INVALID_LEN;
	return update(p, PSP_CMD_RECEIVE_UPDATE_DATA, PSP_MAC_DATA, handle, hdr, packet,
		      (struct psp_room){ dst, (uint32_t)guest_len });
}

enum psp_status psp_receive_update_vmsa(struct psp *p, uint32_t handle, struct psp_bytes hdr,
					struct psp_bytes packet, uint8_t *dst, size_t guest_len)
{
	if (guest_len > PSP_PACKET_MAX)
		return PSP_INVALID_LEN;
	return update(p, PSP_CMD_RECEIVE_UPDATE_VMSA, PSP_MAC_VMSA, handle, hdr, packet,
		      (struct psp_room){ dst, (uint32_t)guest_len });
}

enum psp_status psp_receive_finish(struct psp *p, uint32_t handle)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_RECEIVE_FINISH, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	psp_guest_unkey(g);
	psp_guest_leave(g, PSP_CMD_RECEIVE_FINISH);
	return PSP_SUCCESS;
}
