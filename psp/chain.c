/* SPDX-License-Identifier: Apache-2.0 */

/* SEND_START's check of the target: SEV API, SEND_START and chapter 3 (DOMAIN, SEV). */

#include <string.h>

#include "crypto/secret.h"
#include "psp/state.h"

struct chain {
	struct sevcert pdh, pek, oca, cek;
	struct amdcert ask, ark;
};

static bool sev_get(struct rd *in, uint32_t usage, struct sevcert *out)
{
	struct err e = { 0 };

	return sevcert_get(in, out, &e) == 0 && out->usage == usage;
}

static bool amd_get(struct rd *in, uint32_t usage, struct amdcert *out)
{
	struct err e = { 0 };

	return amdcert_get(in, out, &e) == 0 && out->usage == usage;
}

static bool amd_len_ok(size_t len)
{
	return len == 2 * PSP_AMD_CERT_LEN_2048 || len == 2 * PSP_AMD_CERT_LEN_4096;
}

static enum psp_status chain_lengths(uint32_t policy, const struct psp_send_to *to)
{
	if (to->pdh.len != PSP_CERT_LEN || to->plat.len != PSP_PLAT_CHAIN_LEN)
		return PSP_INVALID_LEN;
	if ((policy & PSP_POLICY_SEV) && !amd_len_ok(to->amd.len))
		return PSP_INVALID_LEN;
	return PSP_SUCCESS;
}

static enum psp_status chain_get(uint32_t policy, const struct psp_send_to *to, struct chain *c)
{
	struct rd pdh = rd_of(to->pdh.p, to->pdh.len);
	struct rd plat = rd_of(to->plat.p, to->plat.len);
	struct rd amd = rd_of(to->amd.p, to->amd.len);

	if (!sev_get(&pdh, SEVCERT_PDH, &c->pdh) || !sev_get(&plat, SEVCERT_PEK, &c->pek) ||
	    !sev_get(&plat, SEVCERT_OCA, &c->oca) || !sev_get(&plat, SEVCERT_CEK, &c->cek))
		return PSP_INVALID_CERTIFICATE;
	if (!(policy & PSP_POLICY_SEV))
		return PSP_SUCCESS;
	if (!amd_get(&amd, SEVCERT_ASK, &c->ask) || !amd_get(&amd, SEVCERT_ARK, &c->ark) ||
	    !rd_done(&amd))
		return PSP_INVALID_CERTIFICATE;
	return PSP_SUCCESS;
}

/* DOMAIN: the same owner's authority, told by its public key. */
static bool same_domain(const struct psp *p, const struct chain *c)
{
	struct rd in = rd_of(p->id.oca_cert, PSP_CERT_LEN);
	struct sevcert own;

	return sev_get(&in, SEVCERT_OCA, &own) && own.algo == c->oca.algo &&
	       crypto_equal(own.pubkey, c->oca.pubkey, SEVCERT_PUBKEY_LEN);
}

/* SEV: rooted in AMD. The hardware has AMD's roots inside; what this platform has instead is its
 * own ARK, and it trusts exactly that certificate, byte for byte. Two platforms made under one
 * root can therefore exchange such guests, others cannot. */
static enum psp_status amd_rooted(const struct psp *p, const struct chain *c)
{
	struct err e = { 0 };

	if (c->ark.len != p->chip.amd_len ||
	    !crypto_equal(c->ark.raw, p->chip.ark_cert, c->ark.len))
		return PSP_INVALID_CERTIFICATE;
	if (amdcert_verify(&c->ark, &c->ark, &e) < 0 || amdcert_verify(&c->ask, &c->ark, &e) < 0 ||
	    sevcert_verify_amd(&c->cek, &c->ask, &e) < 0 ||
	    sevcert_verify(&c->pek, &c->cek, &e) < 0)
		return PSP_BAD_SIGNATURE;
	return PSP_SUCCESS;
}

/* The owner's half of the chain is looked at whatever the policy says: a PDH that its own PEK
 * does not vouch for belongs to nobody. */
static enum psp_status owner_rooted(const struct chain *c)
{
	struct err e = { 0 };

	if (sevcert_verify(&c->pdh, &c->pek, &e) < 0 || sevcert_verify(&c->pek, &c->oca, &e) < 0 ||
	    sevcert_verify(&c->oca, &c->oca, &e) < 0)
		return PSP_BAD_SIGNATURE;
	return PSP_SUCCESS;
}

enum psp_status psp_chain_check(const struct psp *p, uint32_t policy, const struct psp_send_to *to,
				struct ec_key **pdh)
{
	enum psp_status s = chain_lengths(policy, to);
	struct err e = { 0 };
	struct chain c;

	if (s == PSP_SUCCESS)
		s = chain_get(policy, to, &c);
	if (s == PSP_SUCCESS)
		s = owner_rooted(&c);
	if (s == PSP_SUCCESS && (policy & PSP_POLICY_SEV))
		s = amd_rooted(p, &c);
	if (s != PSP_SUCCESS)
		return s;
	if ((policy & PSP_POLICY_DOMAIN) && !same_domain(p, &c))
		return PSP_POLICY_FAILURE;
	if (!psp_policy_api_ok(policy, c.pek.api_major, c.pek.api_minor))
		return PSP_POLICY_FAILURE;
	return sevcert_ec_key(&c.pdh, pdh, &e) < 0 ? PSP_INVALID_CERTIFICATE : PSP_SUCCESS;
}

enum psp_status psp_chain_dh(struct psp_bytes cert, struct ec_key **out)
{
	struct rd in = rd_of(cert.p, cert.len);
	struct err e = { 0 };
	struct sevcert c;

	if (cert.len != PSP_CERT_LEN)
		return PSP_INVALID_LEN;
	if (!sev_get(&in, SEVCERT_PDH, &c) || sevcert_ec_key(&c, out, &e) < 0)
		return PSP_INVALID_CERTIFICATE;
	return PSP_SUCCESS;
}
