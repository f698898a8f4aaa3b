/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/peer.h"

#include <errno.h>
#include <stdio.h>

#include "crypto/hash.h"
#include "crypto/secret.h"
#include "owner/certs.h"

/* --- decoding -------------------------------------------------------------------------------- */

/* r is what decoding gave. */
static int in_place(int r, uint32_t usage, uint32_t expected, struct err *e)
{
	const char *name = sevcert_usage_name(expected);

	if (r < 0)
		return err_wrap(e, r, "in %s's place", name);
	return usage == expected ? 0
				 : err_set(e, -EPROTO, "in %s's place: a certificate for %s", name,
					   sevcert_usage_name(usage));
}

static int sev_get(struct rd *in, uint32_t usage, struct sevcert *out, struct err *e)
{
	int r = sevcert_get(in, out, e);

	return in_place(r, out->usage, usage, e);
}

static int amd_get(struct rd *in, uint32_t usage, struct amdcert *out, struct err *e)
{
	int r = amdcert_get(in, out, e);

	return in_place(r, out->usage, usage, e);
}

int owner_chain_get(const struct owner_certs *c, struct owner_chain *out, struct err *e)
{
	struct rd pdh = rd_of(c->pdh, SEVCERT_LEN);
	struct rd plat = rd_of(c->plat, 3 * SEVCERT_LEN);
	struct rd amd = rd_of(c->amd, c->amd_len);
	struct owner_chain got = { 0 };
	int r = sev_get(&pdh, SEVCERT_PDH, &got.pdh, e);

	if (r == 0)
		r = sev_get(&plat, SEVCERT_PEK, &got.pek, e);
	if (r == 0)
		r = sev_get(&plat, SEVCERT_OCA, &got.oca, e);
	if (r == 0)
		r = sev_get(&plat, SEVCERT_CEK, &got.cek, e);
	if (r == 0)
		r = amd_get(&amd, SEVCERT_ASK, &got.ask, e);
	if (r == 0)
		r = amd_get(&amd, SEVCERT_ARK, &got.ark, e);
	if (r < 0)
		return r;
	if (amd.len)
		return err_set(e, -EPROTO, "%zu bytes after ASK and ARK", amd.len);
	*out = got;
	return 0;
}

/* --- trust ----------------------------------------------------------------------------------- */

int owner_chain_verify_owner(const struct owner_chain *c, struct err *e)
{
	int r = sevcert_verify(&c->oca, &c->oca, e);

	if (r == 0)
		r = sevcert_verify(&c->pek, &c->oca, e);
	return r < 0 ? r : sevcert_verify(&c->pdh, &c->pek, e);
}

int owner_chain_verify_chip(const struct owner_chain *c, struct err *e)
{
	int r = amdcert_verify(&c->ask, &c->ark, e);

	if (r == 0)
		r = sevcert_verify_amd(&c->cek, &c->ask, e);
	if (r == 0)
		r = sevcert_verify(&c->pek, &c->cek, e);
	return r < 0 ? r : sevcert_verify(&c->pdh, &c->pek, e);
}

int owner_chain_verify(const struct owner_certs *c, const uint8_t *pinned_ark, size_t pinned_len,
		       struct err *e)
{
	struct owner_chain chain;
	int r = owner_chain_get(c, &chain, e);

	if (r < 0)
		return r;
	if (chain.ark.len != pinned_len || !crypto_equal(chain.ark.raw, pinned_ark, pinned_len))
		return err_set(e, -EKEYREJECTED, "root ARK differs from the pinned one");
	/* The first generation's ARK is distributed without its signature; the pin stands for it.
	 */
	if (chain.ark.sig)
		r = amdcert_verify(&chain.ark, &chain.ark, e);
	if (r == 0)
		r = owner_chain_verify_chip(&chain, e);
	return r < 0 ? r : owner_chain_verify_owner(&chain, e);
}

int owner_platform_id(const struct owner_certs *c, char out[OWNER_PLATFORM_ID_LEN], struct err *e)
{
	struct owner_chain chain;
	uint8_t id[SHA256_LEN];
	int r = owner_chain_get(c, &chain, e);

	if (r == 0)
		r = crypto_sha256(chain.cek.pubkey, SEVCERT_PUBKEY_LEN, id, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(id); i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
	return 0;
}
