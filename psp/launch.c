/* SPDX-License-Identifier: Apache-2.0 */

/* LAUNCH_*: a guest's first memory, its measurement, the owner's secrets. SEV API chapter 6. */

#include <string.h>

#include "psp/state.h"

/* Without an owner nobody knows the keys: the measurement says nothing to anybody, and no secret
 * packet can be made for the guest. */
static enum psp_status launch_keys(const struct psp *p, uint32_t policy, struct psp_bytes dh,
				   struct psp_bytes session, struct session_keys *out)
{
	struct err e = { 0 };

	if (dh.p)
		return psp_session_take(p, policy, dh, session, out);
	return session_keys_random(out, &e) < 0 ? PSP_HWERROR_PLATFORM : PSP_SUCCESS;
}

enum psp_status psp_launch_start(struct psp *p, uint32_t *handle, uint32_t policy,
				 struct psp_bytes dh, struct psp_bytes session)
{
	return psp_guest_start(p, PSP_GSTATE_LUPDATE, launch_keys, handle, policy, dh, session);
}

/* What is measured is what went into private memory: the host may change src meanwhile. */
static enum psp_status measure_into(struct psp_guest *g, const uint8_t *src, uint8_t *dst,
				    size_t len)
{
	enum psp_status s = psp_span_check(dst, len);
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	if (src != dst)
		memmove(dst, src, len);
	return crypto_hash_add(g->hash, dst, len, &e) < 0 ? PSP_HWERROR_PLATFORM : PSP_SUCCESS;
}

enum psp_status psp_launch_update_data(struct psp *p, uint32_t handle, const uint8_t *src,
				       uint8_t *dst, size_t len)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_LAUNCH_UPDATE_DATA, handle, &g);

	return s == PSP_SUCCESS ? measure_into(g, src, dst, len) : s;
}

enum psp_status psp_launch_update_vmsa(struct psp *p, uint32_t handle, const uint8_t *src,
				       uint8_t *dst, size_t len)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_LAUNCH_UPDATE_VMSA, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	if (!(g->policy & PSP_POLICY_ES))
		return PSP_POLICY_FAILURE;
	return measure_into(g, src, dst, len);
}

static int measure(const struct psp *p, struct psp_guest *g, uint8_t out[PSP_MEASURE_LEN],
		   struct err *e)
{
	struct session_measured m = {
		.api_major = p->chip.api_major,
		.api_minor = p->chip.api_minor,
		.build = p->chip.build,
		.policy = g->policy,
	};
	int r = crypto_hash_get(g->hash, m.digest, e);

	if (r == 0)
		r = crypto_random(m.mnonce, sizeof(m.mnonce), e);
	if (r == 0)
		r = session_measure(&g->keys.tik, &m, out + PSP_MEASURE_MAC, e);
	if (r < 0)
		return r;
	memcpy(out + PSP_MEASURE_MNONCE, m.mnonce, sizeof(m.mnonce));
	memcpy(g->digest, m.digest, sizeof(g->digest));
	memcpy(g->measure, out + PSP_MEASURE_MAC, sizeof(g->measure));
	return 0;
}

enum psp_status psp_launch_measure(struct psp *p, uint32_t handle, struct psp_room *out)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_LAUNCH_MEASURE, handle, &g);
	bool small = !out->p || out->len < PSP_MEASURE_LEN;
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	out->len = PSP_MEASURE_LEN;
	if (small)
		return PSP_INVALID_LEN;
	if (measure(p, g, out->p, &e) < 0)
		return PSP_HWERROR_PLATFORM;
	psp_guest_leave(g, PSP_CMD_LAUNCH_MEASURE);
	return PSP_SUCCESS;
}

/* Any address and length: AMD's own packaging tool makes secrets that are no multiple of 16. */
enum psp_status psp_launch_secret(struct psp *p, uint32_t handle, struct psp_bytes hdr,
				  struct psp_bytes packet, uint8_t *dst, size_t guest_len)
{
	struct session_packet kind = { .domain = PSP_MAC_SECRET };
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_LAUNCH_SECRET, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	kind.measure = g->measure;
	return psp_session_open(g, &kind, hdr, packet, dst, guest_len);
}

enum psp_status psp_launch_finish(struct psp *p, uint32_t handle)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_LAUNCH_FINISH, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	psp_guest_unkey(g);
	psp_guest_leave(g, PSP_CMD_LAUNCH_FINISH);
	return PSP_SUCCESS;
}
