/* SPDX-License-Identifier: Apache-2.0 */

/* Guest contexts: from START to DECOMMISSION, and binding to an ASID. */

#include "psp/state.h"

#define GUESTS_MAX 4096

static void guest_free(struct psp_guest *g)
{
	if (!g)
		return;
	psp_guest_unkey(g);
	crypto_hash_free(g->hash);
	free(g);
}

DEFINE_AUTO(guest, struct psp_guest *, guest_free)

enum psp_status psp_guest_find(struct psp *p, uint32_t handle, struct psp_guest **out)
{
	for (struct psp_guest *g = p->guests; g; g = g->next)
		if (g->handle == handle) {
			*out = g;
			return PSP_SUCCESS;
		}
	return PSP_INVALID_GUEST;
}

enum psp_status psp_guest_enter(struct psp *p, enum psp_guest_cmd cmd, uint32_t handle,
				struct psp_guest **out)
{
	struct psp_guest *g = NULL;
	enum psp_status s;

	if (!psp_platform_allows(PSP_CMD_GUEST, p->state))
		return PSP_INVALID_PLATFORM_STATE;
	s = psp_guest_find(p, handle, &g);
	if (s != PSP_SUCCESS)
		return s;
	if (psp_guest_next(cmd, g->state) == PSP_GSTATE_UNINIT)
		return PSP_INVALID_GUEST_STATE;
	if (psp_guest_needs_active(cmd) && !g->asid)
		return PSP_INACTIVE;
	*out = g;
	return PSP_SUCCESS;
}

void psp_guest_leave(struct psp_guest *g, enum psp_guest_cmd cmd)
{
	g->state = (uint8_t)psp_guest_next(cmd, g->state);
}

enum psp_status psp_guest_key(struct psp_guest *g, const struct session_keys *keys)
{
	auto_session_packer struct session_packer *packer = NULL;
	struct err e = { 0 };

	if (session_packer_new(keys, &packer, &e) < 0)
		return PSP_HWERROR_PLATFORM;
	psp_guest_unkey(g);
	g->packer = steal_ptr(&packer);
	g->keys = *keys;
	return PSP_SUCCESS;
}

void psp_guest_unkey(struct psp_guest *g)
{
	session_packer_free(steal_ptr(&g->packer));
	session_keys_wipe(&g->keys);
}

enum psp_status psp_guest_add(struct psp *p, uint32_t policy, enum psp_guest_state st,
			      const struct session_keys *keys, struct psp_guest **out)
{
	auto_of(guest) struct psp_guest *g = NULL;
	struct err e = { 0 };
	enum psp_status s;

	if (p->guest_count >= GUESTS_MAX || p->next_handle == UINT32_MAX)
		return PSP_RESOURCE_LIMIT;
	g = calloc(1, sizeof(*g));
	if (!g || crypto_hash_new(&g->hash, &e) < 0)
		return PSP_HWERROR_PLATFORM;
	s = psp_guest_key(g, keys);
	if (s != PSP_SUCCESS)
		return s;
	g->handle = ++p->next_handle;
	g->policy = policy;
	g->state = (uint8_t)st;
	g->next = p->guests;
	p->guests = g;
	p->guest_count++;
	p->state = PSP_PSTATE_WORKING;
	*out = steal_ptr(&g);
	return PSP_SUCCESS;
}

enum psp_status psp_guest_start(struct psp *p, enum psp_guest_state st, psp_start_keys *take,
				uint32_t *handle, uint32_t policy, struct psp_bytes dh,
				struct psp_bytes session)
{
	auto_session_keys struct session_keys keys = { 0 };
	struct psp_guest *g;
	enum psp_status s;

	if (!psp_platform_allows(PSP_CMD_START, p->state))
		return PSP_INVALID_PLATFORM_STATE;
	s = psp_policy_start(p, policy, *handle);
	if (s == PSP_SUCCESS)
		s = take(p, policy, dh, session, &keys);
	if (s == PSP_SUCCESS)
		s = psp_guest_add(p, policy, st, &keys, &g);
	if (s == PSP_SUCCESS)
		*handle = g->handle;
	return s;
}

static void guest_remove(struct psp *p, struct psp_guest *g)
{
	struct psp_guest **at = &p->guests;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	guest_free(g);
	if (--p->guest_count == 0)
		p->state = PSP_PSTATE_INIT;
}

void psp_guest_remove_all(struct psp *p)
{
	while (p->guests)
		guest_remove(p, p->guests);
}

static bool asid_in_use(const struct psp *p, uint32_t asid)
{
	for (const struct psp_guest *g = p->guests; g; g = g->next)
		if (g->asid == asid)
			return true;
	return false;
}

static bool asid_fits(uint32_t policy, uint32_t asid)
{
	bool es = policy & PSP_POLICY_ES;

	if (asid == 0 || asid > PSP_ASID_MAX)
		return false;
	return es == (asid < PSP_ASID_MIN_SEV);
}

/* WBINVD and DF_FLUSH between uses of an ASID have nothing to flush here. */
enum psp_status psp_activate(struct psp *p, uint32_t handle, uint32_t asid)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_ACTIVATE, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	if (g->asid)
		return PSP_ACTIVE;
	if (!asid_fits(g->policy, asid))
		return PSP_INVALID_ASID;
	if (asid_in_use(p, asid))
		return PSP_ASID_OWNED;
	g->asid = asid;
	return PSP_SUCCESS;
}

enum psp_status psp_deactivate(struct psp *p, uint32_t handle)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_DEACTIVATE, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	if (!g->asid)
		return PSP_INACTIVE;
	g->asid = 0;
	return PSP_SUCCESS;
}

enum psp_status psp_decommission(struct psp *p, uint32_t handle)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_DECOMMISSION, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	if (g->asid)
		return PSP_ACTIVE;
	guest_remove(p, g);
	return PSP_SUCCESS;
}

enum psp_status psp_guest_status(struct psp *p, uint32_t handle, struct psp_guest_status *out)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_GUEST_STATUS, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	out->policy = g->policy;
	out->asid = g->asid;
	out->state = g->state;
	return PSP_SUCCESS;
}
