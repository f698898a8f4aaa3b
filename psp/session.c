/* SPDX-License-Identifier: Apache-2.0 */

/* Sessions and packets as commands see them: lengths and statuses around crypto/session.h. */

#include <errno.h>

#include "psp/state.h"

_Static_assert(PSP_SESSION_LEN == SESSION_BUF_LEN, "see doc/PROTOCOL.md");
_Static_assert(PSP_HDR_LEN == SESSION_HDR_LEN, "see doc/PROTOCOL.md");

static enum psp_status status_of(int r)
{
	switch (r) {
	case 0:
		return PSP_SUCCESS;
	case -EBADMSG:
		return PSP_BAD_MEASUREMENT;
	case -ENOTSUP:
		return PSP_UNSUPPORTED;
	case -EINVAL:
		return PSP_INVALID_PARAM;
	default:
		return PSP_HWERROR_PLATFORM;
	}
}

enum psp_status psp_session_take(const struct psp *p, uint32_t policy, struct psp_bytes dh,
				 struct psp_bytes session, struct session_keys *out)
{
	auto_session_master struct session_master m = { 0 };
	auto_ec_key struct ec_key *peer = NULL;
	struct err e = { 0 };
	enum psp_status s;

	if (!session.p || session.len < PSP_SESSION_LEN)
		return PSP_INVALID_LEN;
	s = psp_chain_dh(dh, &peer);
	if (s != PSP_SUCCESS)
		return s;
	if (session_master_agree(p->id.pdh, peer, session.p + PSP_SESSION_NONCE, &m, &e) < 0)
		return PSP_HWERROR_PLATFORM;
	return status_of(session_unwrap(&m, policy, session.p, out, &e));
}

enum psp_status psp_session_open(struct psp_guest *g, const struct session_packet *k,
				 struct psp_bytes hdr, struct psp_bytes packet, uint8_t *dst,
				 size_t guest_len)
{
	struct err e = { 0 };

	if (hdr.len != PSP_HDR_LEN)
		return PSP_INVALID_LEN;
	if (guest_len == 0 || guest_len > PSP_PACKET_MAX || packet.len != guest_len)
		return PSP_INVALID_LEN;
	return status_of(
		session_open(g->packer, k, hdr.p, packet.p, (uint32_t)packet.len, dst, &e));
}

enum psp_status psp_span_check(const uint8_t *private, size_t len)
{
	if ((uintptr_t) private & 15)
		return PSP_INVALID_ADDRESS;
	return len == 0 || len & 15 ? PSP_INVALID_LEN : PSP_SUCCESS;
}
