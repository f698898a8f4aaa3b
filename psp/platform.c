/* SPDX-License-Identifier: Apache-2.0 */

/* Platform commands, SEV API chapter 5: life cycle, status, key generation, id. */

#include <string.h>

#include "psp/state.h"

static enum psp_status enter(const struct psp *p, enum psp_cmd cmd)
{
	return psp_platform_allows(cmd, p->state) ? PSP_SUCCESS : PSP_INVALID_PLATFORM_STATE;
}

enum psp_status psp_init(struct psp *p, bool es)
{
	enum psp_status s = enter(p, PSP_CMD_INIT);
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	if (!p->id.present && psp_identity_make(p, &e) < 0)
		return PSP_HWERROR_PLATFORM;
	p->es = es;
	p->state = PSP_PSTATE_INIT;
	return PSP_SUCCESS;
}

enum psp_status psp_shutdown(struct psp *p)
{
	enum psp_status s = enter(p, PSP_CMD_SHUTDOWN);

	if (s != PSP_SUCCESS)
		return s;
	psp_guest_remove_all(p);
	p->es = false;
	p->state = PSP_PSTATE_UNINIT;
	return PSP_SUCCESS;
}

enum psp_status psp_platform_reset(struct psp *p)
{
	enum psp_status s = enter(p, PSP_CMD_PLATFORM_RESET);

	if (s != PSP_SUCCESS)
		return s;
	psp_identity_fini(&p->id);
	p->nv_changes++;
	return PSP_SUCCESS;
}

enum psp_status psp_platform_status(struct psp *p, struct psp_platform_status *out)
{
	enum psp_status s = enter(p, PSP_CMD_PLATFORM_STATUS);

	if (s != PSP_SUCCESS)
		return s;
	memset(out, 0, sizeof(*out));
	out->api_major = p->chip.api_major;
	out->api_minor = p->chip.api_minor;
	out->build = p->chip.build;
	out->state = p->state;
	if (p->state == PSP_PSTATE_UNINIT)
		return PSP_SUCCESS;
	out->flags = (p->id.oca ? 0 : PSP_STATUS_OWNED) | (p->es ? PSP_STATUS_ES : 0);
	out->guest_count = p->guest_count;
	return PSP_SUCCESS;
}

enum psp_status psp_pek_gen(struct psp *p)
{
	enum psp_status s = enter(p, PSP_CMD_PEK_GEN);
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	return psp_identity_make(p, &e) < 0 ? PSP_HWERROR_PLATFORM : PSP_SUCCESS;
}

enum psp_status psp_pdh_gen(struct psp *p)
{
	enum psp_status s = enter(p, PSP_CMD_PDH_GEN);
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	return psp_identity_make_pdh(p, &e) < 0 ? PSP_HWERROR_PLATFORM : PSP_SUCCESS;
}

enum psp_status psp_df_flush(struct psp *p)
{
	return enter(p, PSP_CMD_DF_FLUSH);
}

enum psp_status psp_get_id(struct psp *p, struct psp_room *id)
{
	enum psp_status s = enter(p, PSP_CMD_GET_ID);

	if (s != PSP_SUCCESS)
		return s;
	if (!id->p || id->len < PSP_CHIP_ID_LEN) {
		id->len = PSP_CHIP_ID_LEN;
		return PSP_INVALID_LEN;
	}
	memcpy(id->p, p->chip.id, PSP_CHIP_ID_LEN);
	id->len = PSP_CHIP_ID_LEN;
	return PSP_SUCCESS;
}
