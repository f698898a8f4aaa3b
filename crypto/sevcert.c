/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/sevcert.h"

#include <errno.h>
#include <string.h>

#include "crypto/key.h"

#define CERT_VERSION 1
#define CURVE_P384 2
#define EC_PUBKEY_USED (4 + 2 * SEVCERT_COORD_LEN)
#define AMD_FIXED_LEN 64

_Static_assert(SEVCERT_COORD_LEN == EC_COORD_LEN, "see doc/PROTOCOL.md");
_Static_assert(SEVCERT_SIG_LEN == RSA_BYTES_MAX, "see doc/PROTOCOL.md");
_Static_assert(16 + SEVCERT_PUBKEY_LEN == SEVCERT_SIGNED_LEN, "see doc/PROTOCOL.md");
_Static_assert(SEVCERT_SIGNED_LEN + SEVCERT_SIGS * (8 + SEVCERT_SIG_LEN) == SEVCERT_LEN,
	       "see doc/PROTOCOL.md");
_Static_assert(AMD_FIXED_LEN + 3 * 2048 / 8 == AMDCERT_LEN_2048, "see doc/PROTOCOL.md");
_Static_assert(AMD_FIXED_LEN + 3 * 4096 / 8 == AMDCERT_LEN_4096, "see doc/PROTOCOL.md");

static const struct {
	uint32_t usage;
	const char *name;
} usages[] = {
	{ SEVCERT_ARK, "ARK" }, { SEVCERT_ASK, "ASK" }, { SEVCERT_OCA, "OCA" },
	{ SEVCERT_PEK, "PEK" }, { SEVCERT_PDH, "PDH" }, { SEVCERT_CEK, "CEK" },
};

const char *sevcert_usage_name(uint32_t usage)
{
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
		if (usages[i].usage == usage)
			return usages[i].name;
	return "unknown certificate";
}

/* --- SEV certificate ------------------------------------------------------------------------ */

static bool sev_usage_known(uint32_t usage)
{
	return usage >= SEVCERT_OCA && usage <= SEVCERT_CEK;
}

static uint32_t pubkey_head(const struct sevcert *c)
{
	struct rd in = rd_of(c->pubkey, SEVCERT_PUBKEY_LEN);
	uint32_t v = 0;

	return rd_le32(&in, &v) == 0 ? v : 0;
}

static int pubkey_check(const struct sevcert *c, struct err *e)
{
	uint32_t head = pubkey_head(c);

	switch (c->algo) {
	case SEVCERT_RSA_SHA256:
	case SEVCERT_RSA_SHA384:
		if (head == 2048 || head == 4096)
			return 0;
		return err_set(e, -EPROTO, "%s: RSA key of %u bits", sevcert_usage_name(c->usage),
			       head);
	case SEVCERT_ECDSA_SHA256:
	case SEVCERT_ECDH_SHA256:
	case SEVCERT_ECDSA_SHA384:
	case SEVCERT_ECDH_SHA384:
		if (head == CURVE_P384)
			return 0;
		return err_set(e, -EPROTO, "%s: curve %u is not P-384",
			       sevcert_usage_name(c->usage), head);
	default:
		return err_set(e, -EPROTO, "%s: unknown key algorithm %#x",
			       sevcert_usage_name(c->usage), c->algo);
	}
}

static void sig_get(struct rd *in, struct sevcert_sig *s)
{
	/* A short read marks the cursor; the caller asks it once. */
	rd_le32(in, &s->usage);
	rd_le32(in, &s->algo);
	rd_span(in, &s->bytes, SEVCERT_SIG_LEN);
}

int sevcert_get(struct rd *in, struct sevcert *out, struct err *e)
{
	struct sevcert c = { .raw = in->p };
	int r;

	if (in->len < SEVCERT_LEN)
		return err_set(e, -EPROTO, "certificate: %zu bytes, need %u", in->len, SEVCERT_LEN);
	rd_le32(in, &c.version);
	rd_u8(in, &c.api_major);
	rd_u8(in, &c.api_minor);
	rd_skip(in, 2);
	rd_le32(in, &c.usage);
	rd_le32(in, &c.algo);
	rd_span(in, &c.pubkey, SEVCERT_PUBKEY_LEN);
	for (int i = 0; i < SEVCERT_SIGS; i++)
		sig_get(in, &c.sig[i]);
	if (!rd_ok(in))
		return err_set(e, -EPROTO, "certificate: short");
	if (c.version != CERT_VERSION)
		return err_set(e, -EPROTO, "certificate: version %u", c.version);
	if (!sev_usage_known(c.usage))
		return err_set(e, -EPROTO, "certificate: unknown usage %#x", c.usage);
	r = pubkey_check(&c, e);
	if (r < 0)
		return r;
	*out = c;
	return 0;
}

int sevcert_ec_key(const struct sevcert *cert, struct ec_key **out, struct err *e)
{
	const uint8_t *x = cert->pubkey + 4;

	if (cert->algo == SEVCERT_RSA_SHA256 || cert->algo == SEVCERT_RSA_SHA384)
		return err_set(e, -EINVAL, "%s: not an EC key", sevcert_usage_name(cert->usage));
	return ec_key_of_point(x, x + SEVCERT_COORD_LEN, out, e);
}

int sevcert_make(const struct sevcert_head *head, const struct ec_key *key,
		 uint8_t out[SEVCERT_LEN], struct err *e)
{
	struct wr w = wr_of(out, SEVCERT_LEN);
	uint8_t *x = NULL;
	int r;

	wr_le32(&w, CERT_VERSION);
	wr_u8(&w, head->api_major);
	wr_u8(&w, head->api_minor);
	wr_le16(&w, 0);
	wr_le32(&w, head->usage);
	wr_le32(&w, head->algo);
	wr_le32(&w, CURVE_P384);
	if (wr_span(&w, &x, 2 * SEVCERT_COORD_LEN) < 0)
		return err_set(e, -EINVAL, "certificate: no room");
	r = ec_key_point(key, x, x + SEVCERT_COORD_LEN, e);
	if (r < 0)
		return r;
	wr_zero(&w, SEVCERT_PUBKEY_LEN - EC_PUBKEY_USED);
	for (int i = 0; i < SEVCERT_SIGS; i++) {
		wr_le32(&w, SEVCERT_NONE);
		wr_le32(&w, SEVCERT_ALGO_NONE);
		wr_zero(&w, SEVCERT_SIG_LEN);
	}
	return wr_ok(&w) ? 0 : err_set(e, -EINVAL, "certificate: no room");
}

/* --- AMD certificate ------------------------------------------------------------------------ */

static int amd_head_get(struct rd *in, struct amdcert *c, struct err *e)
{
	uint32_t version = 0, exp_bits = 0;

	rd_le32(in, &version);
	rd_span(in, &c->key_id, AMDCERT_KEY_ID_LEN);
	rd_span(in, &c->certifying_id, AMDCERT_KEY_ID_LEN);
	rd_le32(in, &c->usage);
	rd_skip(in, 16);
	rd_le32(in, &exp_bits);
	rd_le32(in, &c->bits);
	if (!rd_ok(in))
		return err_set(e, -EPROTO, "AMD certificate: short");
	if (version != CERT_VERSION)
		return err_set(e, -EPROTO, "AMD certificate: version %u", version);
	if (c->usage != SEVCERT_ARK && c->usage != SEVCERT_ASK)
		return err_set(e, -EPROTO, "AMD certificate: unknown usage %#x", c->usage);
	if ((c->bits != 2048 && c->bits != 4096) || exp_bits != c->bits)
		return err_set(e, -EPROTO, "%s: key of %u bits, exponent of %u",
			       sevcert_usage_name(c->usage), c->bits, exp_bits);
	return 0;
}

/* AMD distributes the first generation's ARK without its signature. */
static bool amd_signature_missing(const struct rd *in, const struct amdcert *c)
{
	return in->len == 0 && c->usage == SEVCERT_ARK && c->bits == 2048;
}

int amdcert_get(struct rd *in, struct amdcert *out, struct err *e)
{
	struct amdcert c = { .raw = in->p };
	int r = amd_head_get(in, &c, e);

	if (r < 0)
		return r;
	rd_span(in, &c.pubexp, c.bits / 8);
	rd_span(in, &c.modulus, c.bits / 8);
	c.signed_len = AMD_FIXED_LEN + 2 * (c.bits / 8);
	c.len = c.signed_len;
	if (rd_ok(in) && !amd_signature_missing(in, &c)) {
		rd_span(in, &c.sig, c.bits / 8);
		c.len += c.bits / 8;
	}
	if (!rd_ok(in))
		return err_set(e, -EPROTO, "%s: short", sevcert_usage_name(c.usage));
	*out = c;
	return 0;
}

int amdcert_make(const struct amdcert_head *head, const struct rsa_key *key,
		 const struct rsa_key *signer, uint8_t out[AMDCERT_LEN_4096], size_t *len,
		 struct err *e)
{
	unsigned bits = rsa_key_bits(key);
	struct wr w = wr_of(out, AMDCERT_LEN_4096);
	uint8_t *exp = NULL, *mod = NULL, *sig = NULL;
	size_t signed_len;
	int r;

	if (rsa_key_bits(signer) != bits)
		return err_set(e, -EINVAL, "AMD certificate: signer's key has another size");
	wr_le32(&w, CERT_VERSION);
	wr_bytes(&w, head->key_id, AMDCERT_KEY_ID_LEN);
	wr_bytes(&w, head->certifying_id, AMDCERT_KEY_ID_LEN);
	wr_le32(&w, head->usage);
	wr_zero(&w, 16);
	wr_le32(&w, bits);
	wr_le32(&w, bits);
	if (wr_span(&w, &exp, bits / 8) < 0 || wr_span(&w, &mod, bits / 8) < 0)
		return err_set(e, -EINVAL, "AMD certificate: no room");
	signed_len = w.len;
	if (wr_span(&w, &sig, bits / 8) < 0)
		return err_set(e, -EINVAL, "AMD certificate: no room");
	r = rsa_key_numbers(key, mod, exp, e);
	if (r == 0)
		r = rsa_key_sign(signer, bits == 4096 ? CRYPTO_SHA384 : CRYPTO_SHA256, out,
				 signed_len, sig, e);
	if (r < 0)
		return r;
	*len = w.len;
	return 0;
}
