/* SPDX-License-Identifier: Apache-2.0 */

/* DBG_*: the host reads and writes private memory when the policy lets it. */

#include <string.h>

#include "psp/state.h"

/* Any address and length: Linux cuts unaligned requests up before the firmware sees them. */
static enum psp_status copy(struct psp *p, enum psp_guest_cmd cmd, uint32_t handle,
			    const uint8_t *src, uint8_t *dst, size_t len)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, cmd, handle, &g);

	if (s != PSP_SUCCESS)
		return s;
	if (g->policy & PSP_POLICY_NODBG)
		return PSP_POLICY_FAILURE;
	if (len == 0)
		return PSP_INVALID_LEN;
	memmove(dst, src, len);
	return PSP_SUCCESS;
}

enum psp_status psp_dbg_decrypt(struct psp *p, uint32_t handle, const uint8_t *src, uint8_t *dst,
				size_t len)
{
	return copy(p, PSP_CMD_DBG_DECRYPT, handle, src, dst, len);
}

enum psp_status psp_dbg_encrypt(struct psp *p, uint32_t handle, const uint8_t *src, uint8_t *dst,
				size_t len)
{
	return copy(p, PSP_CMD_DBG_ENCRYPT, handle, src, dst, len);
}

int psp_debug_digest(const uint8_t *p, size_t len, uint8_t out[PSP_DIGEST_LEN], struct err *e)
{
	return crypto_sha256(p, len, out, e);
}
