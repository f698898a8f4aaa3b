/* SPDX-License-Identifier: Apache-2.0 */

/* Signatures of certificates: which one to look at, and whether it holds. */

#include "crypto/sevcert.h"

#include <errno.h>
#include <string.h>

#include "crypto/key.h"
#include "crypto/secret.h"

#define SIG_SLOT_LEN (8 + SEVCERT_SIG_LEN)

static enum crypto_digest digest_of(uint32_t algo)
{
	return algo & 0x100 ? CRYPTO_SHA384 : CRYPTO_SHA256;
}

static bool is_rsa(uint32_t algo)
{
	return algo == SEVCERT_RSA_SHA256 || algo == SEVCERT_RSA_SHA384;
}

static bool can_sign(uint32_t algo)
{
	return is_rsa(algo) || algo == SEVCERT_ECDSA_SHA256 || algo == SEVCERT_ECDSA_SHA384;
}

static int rsa_pubkey_of(const struct sevcert *c, struct rsa_key **out, struct err *e)
{
	struct rd in = rd_of(c->pubkey, SEVCERT_PUBKEY_LEN);
	uint32_t bits = 0;

	if (rd_le32(&in, &bits) < 0)
		return err_set(e, -EPROTO, "RSA key: short");
	return rsa_key_of_numbers(bits, c->pubkey + 4 + RSA_BYTES_MAX, c->pubkey + 4, out, e);
}

static int verify_ec(const struct sevcert *cert, const struct sevcert_sig *sig,
		     const struct sevcert *signer, struct err *e)
{
	auto_ec_key struct ec_key *k = NULL;
	int r = sevcert_ec_key(signer, &k, e);

	return r < 0 ? r
		     : ec_key_verify(k, digest_of(sig->algo), cert->raw, SEVCERT_SIGNED_LEN,
				     sig->bytes, e);
}

static int verify_rsa(const struct sevcert *cert, const struct sevcert_sig *sig,
		      const struct rsa_key *k, struct err *e)
{
	return rsa_key_verify(k, digest_of(sig->algo), cert->raw, SEVCERT_SIGNED_LEN, sig->bytes,
			      e);
}

static int verify_by(const struct sevcert *cert, const struct sevcert_sig *sig,
		     const struct sevcert *signer, struct err *e)
{
	auto_rsa_key struct rsa_key *k = NULL;
	int r;

	if (!is_rsa(signer->algo))
		return verify_ec(cert, sig, signer, e);
	r = rsa_pubkey_of(signer, &k, e);
	return r < 0 ? r : verify_rsa(cert, sig, k, e);
}

static int not_signed(const struct sevcert *cert, uint32_t by, struct err *e)
{
	return err_set(e, -EKEYREJECTED, "%s is not signed by %s", sevcert_usage_name(cert->usage),
		       sevcert_usage_name(by));
}

int sevcert_verify(const struct sevcert *cert, const struct sevcert *signer, struct err *e)
{
	struct err why = { 0 };

	for (int i = 0; i < SEVCERT_SIGS; i++) {
		const struct sevcert_sig *sig = &cert->sig[i];

		if (sig->usage != signer->usage || sig->algo != signer->algo ||
		    !can_sign(sig->algo))
			continue;
		if (verify_by(cert, sig, signer, &why) == 0)
			return 0;
	}
	return not_signed(cert, signer->usage, e);
}

static int amd_key(const struct amdcert *c, struct rsa_key **out, struct err *e)
{
	return rsa_key_of_numbers(c->bits, c->modulus, c->pubexp, out, e);
}

static uint32_t amd_algo(const struct amdcert *c)
{
	return c->bits == 4096 ? SEVCERT_RSA_SHA384 : SEVCERT_RSA_SHA256;
}

int sevcert_verify_amd(const struct sevcert *cert, const struct amdcert *signer, struct err *e)
{
	auto_rsa_key struct rsa_key *k = NULL;
	struct err why = { 0 };
	int r = amd_key(signer, &k, e);

	if (r < 0)
		return r;
	for (int i = 0; i < SEVCERT_SIGS; i++) {
		const struct sevcert_sig *sig = &cert->sig[i];

		if (sig->usage == signer->usage && sig->algo == amd_algo(signer) &&
		    verify_rsa(cert, sig, k, &why) == 0)
			return 0;
	}
	return not_signed(cert, signer->usage, e);
}

int amdcert_verify(const struct amdcert *cert, const struct amdcert *signer, struct err *e)
{
	const char *name = sevcert_usage_name(cert->usage);
	auto_rsa_key struct rsa_key *k = NULL;
	struct err why = { 0 };
	int r;

	if (!cert->sig)
		return err_set(e, -EKEYREJECTED, "%s carries no signature", name);
	r = amd_key(signer, &k, e);
	if (r < 0)
		return r;
	if (cert->bits != signer->bits ||
	    !crypto_equal(cert->certifying_id, signer->key_id, AMDCERT_KEY_ID_LEN) ||
	    rsa_key_verify(k, digest_of(amd_algo(signer)), cert->raw, cert->signed_len, cert->sig,
			   &why) < 0)
		return err_set(e, -EKEYREJECTED, "%s is not signed by %s", name,
			       sevcert_usage_name(signer->usage));
	return 0;
}

/* --- signing -------------------------------------------------------------------------------- */

static int slot_open(uint8_t cert[SEVCERT_LEN], unsigned slot, uint32_t usage, uint32_t algo,
		     uint8_t **sig, struct err *e)
{
	struct wr w;

	if (slot >= SEVCERT_SIGS)
		return err_set(e, -EINVAL, "certificate: no signature slot %u", slot);
	w = wr_of(cert + SEVCERT_SIGNED_LEN + slot * SIG_SLOT_LEN, SIG_SLOT_LEN);
	wr_le32(&w, usage);
	wr_le32(&w, algo);
	if (wr_span(&w, sig, SEVCERT_SIG_LEN) < 0)
		return err_set(e, -EINVAL, "certificate: no room");
	memset(*sig, 0, SEVCERT_SIG_LEN);
	return 0;
}

int sevcert_sign(uint8_t cert[SEVCERT_LEN], unsigned slot, uint32_t signer_usage,
		 const struct ec_key *signer, struct err *e)
{
	uint8_t *sig = NULL;
	int r = slot_open(cert, slot, signer_usage, SEVCERT_ECDSA_SHA256, &sig, e);

	return r < 0 ? r : ec_key_sign(signer, CRYPTO_SHA256, cert, SEVCERT_SIGNED_LEN, sig, e);
}

int sevcert_sign_rsa(uint8_t cert[SEVCERT_LEN], unsigned slot, uint32_t signer_usage,
		     const struct rsa_key *signer, struct err *e)
{
	uint32_t algo = rsa_key_bits(signer) == 4096 ? SEVCERT_RSA_SHA384 : SEVCERT_RSA_SHA256;
	uint8_t *sig = NULL;
	int r = slot_open(cert, slot, signer_usage, algo, &sig, e);

	return r < 0 ? r : rsa_key_sign(signer, digest_of(algo), cert, SEVCERT_SIGNED_LEN, sig, e);
}
