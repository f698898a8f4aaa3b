/* SPDX-License-Identifier: Apache-2.0 */

/* ATTESTATION: the launch digest of a guest, signed by the platform. */

#include <string.h>

#include "psp/state.h"

static int report_make(const struct psp *p, const struct psp_guest *g,
		       const uint8_t mnonce[PSP_NONCE_LEN], uint8_t out[PSP_REPORT_LEN],
		       struct err *e)
{
	struct wr w = wr_of(out, PSP_REPORT_LEN);

	wr_bytes(&w, mnonce, PSP_NONCE_LEN);
	wr_bytes(&w, g->digest, PSP_DIGEST_LEN);
	wr_le32(&w, g->policy);
	wr_le32(&w, SEVCERT_PEK);
	wr_le32(&w, SEVCERT_ECDSA_SHA256);
	wr_le32(&w, 0);
	return ec_key_sign(p->id.pek, CRYPTO_SHA256, out, PSP_REPORT_SIGNED_LEN,
			   out + PSP_REPORT_SIG, e);
}

enum psp_status psp_attestation(struct psp *p, uint32_t handle, const uint8_t mnonce[PSP_NONCE_LEN],
				struct psp_room *report)
{
	struct psp_guest *g;
	enum psp_status s = psp_guest_enter(p, PSP_CMD_ATTESTATION, handle, &g);
	bool small = !report->p || report->len < PSP_REPORT_LEN;
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	report->len = PSP_REPORT_LEN;
	if (small)
		return PSP_INVALID_LEN;
	return report_make(p, g, mnonce, report->p, &e) < 0 ? PSP_HWERROR_PLATFORM : PSP_SUCCESS;
}
