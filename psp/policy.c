/* SPDX-License-Identifier: Apache-2.0 */

/* The guest policy, SEV API chapter 3, as far as a START checks it. The rest is where it applies:
 * NODBG in debug.c, NOSEND in send.c, DOMAIN and SEV in chain.c. */

#include "psp/state.h"

bool psp_policy_api_ok(uint32_t policy, uint8_t major, uint8_t minor)
{
	uint8_t need = PSP_POLICY_API_MAJOR(policy);

	if (major != need)
		return major > need;
	return minor >= PSP_POLICY_API_MINOR(policy);
}

/* Two guests may share memory (one key) when both have the same policy and it allows that. */
static enum psp_status share_check(struct psp *p, uint32_t policy, uint32_t share)
{
	struct psp_guest *with;
	enum psp_status s = psp_guest_find(p, share, &with);

	if (s != PSP_SUCCESS)
		return s;
	if ((policy & PSP_POLICY_NOKS) || with->policy != policy)
		return PSP_POLICY_FAILURE;
	return PSP_SUCCESS;
}

enum psp_status psp_policy_start(struct psp *p, uint32_t policy, uint32_t share)
{
	if (policy & PSP_POLICY_RESERVED)
		return PSP_POLICY_FAILURE;
	if ((policy & PSP_POLICY_ES) && !p->es)
		return PSP_POLICY_FAILURE;
	if (!psp_policy_api_ok(policy, p->chip.api_major, p->chip.api_minor))
		return PSP_POLICY_FAILURE;
	return share ? share_check(p, policy, share) : PSP_SUCCESS;
}
