/* SPDX-License-Identifier: Apache-2.0 */

/* Platform commands that carry certificates: PEK_CSR, PEK_CERT_IMPORT, PDH_CERT_EXPORT. */

#include <string.h>

#include "crypto/secret.h"
#include "psp/state.h"

_Static_assert(PSP_CERT_LEN == SEVCERT_LEN, "see doc/PROTOCOL.md");
_Static_assert(PSP_AMD_CERT_LEN_2048 == AMDCERT_LEN_2048, "see doc/PROTOCOL.md");
_Static_assert(PSP_AMD_CERT_LEN_4096 == AMDCERT_LEN_4096, "see doc/PROTOCOL.md");

static enum psp_status enter(const struct psp *p, enum psp_cmd cmd)
{
	return psp_platform_allows(cmd, p->state) ? PSP_SUCCESS : PSP_INVALID_PLATFORM_STATE;
}

static bool room_small(const struct psp_room *r, uint32_t need)
{
	return !r->p || r->len < need;
}

enum psp_status psp_pek_csr(struct psp *p, struct psp_room *csr)
{
	enum psp_status s = enter(p, PSP_CMD_PEK_CSR);
	bool small = room_small(csr, PSP_CERT_LEN);
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	csr->len = PSP_CERT_LEN;
	if (small)
		return PSP_INVALID_LEN;
	return psp_identity_csr(p, csr->p, &e) < 0 ? PSP_HWERROR_PLATFORM : PSP_SUCCESS;
}

enum psp_status psp_pdh_cert_export(struct psp *p, struct psp_room *pdh, struct psp_room *chain)
{
	enum psp_status s = enter(p, PSP_CMD_PDH_CERT_EXPORT);
	bool small = room_small(pdh, PSP_CERT_LEN) || room_small(chain, PSP_PLAT_CHAIN_LEN);

	if (s != PSP_SUCCESS)
		return s;
	pdh->len = PSP_CERT_LEN;
	chain->len = PSP_PLAT_CHAIN_LEN;
	if (small)
		return PSP_INVALID_LEN;
	memcpy(pdh->p, p->id.pdh_cert, PSP_CERT_LEN);
	memcpy(chain->p, p->id.pek_cert, PSP_CERT_LEN);
	memcpy(chain->p + PSP_CERT_LEN, p->id.oca_cert, PSP_CERT_LEN);
	memcpy(chain->p + 2 * PSP_CERT_LEN, p->chip.cek_cert, PSP_CERT_LEN);
	return PSP_SUCCESS;
}

static bool cert_is(struct psp_bytes b, uint32_t usage, struct sevcert *out)
{
	struct rd in = rd_of(b.p, b.len);
	struct err e = { 0 };

	return sevcert_get(&in, out, &e) == 0 && out->usage == usage;
}

/* Is c the certificate of the PEK that this platform has now? */
static bool is_own_pek(const struct psp *p, const struct sevcert *c)
{
	struct psp_bytes own = { p->id.pek_cert, PSP_CERT_LEN };
	struct sevcert pek;

	return cert_is(own, SEVCERT_PEK, &pek) && c->algo == pek.algo &&
	       crypto_equal(c->pubkey, pek.pubkey, SEVCERT_PUBKEY_LEN);
}

enum psp_status psp_pek_cert_import(struct psp *p, struct psp_bytes pek, struct psp_bytes oca)
{
	enum psp_status s = enter(p, PSP_CMD_PEK_CERT_IMPORT);
	struct sevcert pek_cert, oca_cert;
	struct err e = { 0 };

	if (s != PSP_SUCCESS)
		return s;
	if (!p->id.oca)
		return PSP_ALREADY_OWNED;
	if (!pek.p || pek.len < PSP_CERT_LEN || !oca.p || oca.len < PSP_CERT_LEN)
		return PSP_INVALID_LEN;
	if (!cert_is(pek, SEVCERT_PEK, &pek_cert) || !cert_is(oca, SEVCERT_OCA, &oca_cert) ||
	    !is_own_pek(p, &pek_cert))
		return PSP_INVALID_CERTIFICATE;
	if (sevcert_verify(&oca_cert, &oca_cert, &e) < 0 ||
	    sevcert_verify(&pek_cert, &oca_cert, &e) < 0)
		return PSP_BAD_SIGNATURE;
	return psp_identity_own(p, pek.p, oca.p, &e) < 0 ? PSP_HWERROR_PLATFORM : PSP_SUCCESS;
}
