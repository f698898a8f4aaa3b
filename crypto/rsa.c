/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "crypto/ossl.h"

/* AMD uses 65537 throughout. A longer exponent only costs whoever verifies. */
#define RSA_EXPONENT_BITS_MAX 64

struct rsa_key {
	EVP_PKEY *pkey;
	unsigned bits;
	bool has_private;
};

DEFINE_AUTO(param_bld, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_AUTO(params, OSSL_PARAM *, OSSL_PARAM_free)

/* Takes pkey, also on failure. */
static int key_of_pkey(EVP_PKEY *pkey, bool has_private, struct rsa_key **out, struct err *e)
{
	struct rsa_key *k = calloc(1, sizeof(*k));

	if (!k) {
		EVP_PKEY_free(pkey);
		return err_set(e, -ENOMEM, "RSA key: no memory");
	}
	k->pkey = pkey;
	k->bits = (unsigned)EVP_PKEY_get_bits(pkey);
	k->has_private = has_private;
	*out = k;
	return 0;
}

static int bits_check(unsigned bits, struct err *e)
{
	if (bits != 2048 && bits != 4096)
		return err_set(e, -EINVAL, "RSA key of %u bits", bits);
	return 0;
}

int rsa_key_generate(unsigned bits, struct rsa_key **out, struct err *e)
{
	int r = bits_check(bits, e);
	EVP_PKEY *pkey;

	if (r < 0)
		return r;
	pkey = EVP_RSA_gen(bits);
	return pkey ? key_of_pkey(pkey, true, out, e) : ossl_err(e, "RSA key");
}

static int numbers_check(unsigned bits, const BIGNUM *n, const BIGNUM *x, struct err *e)
{
	if (BN_num_bits(n) != (int)bits || !BN_is_odd(n))
		return err_set(e, -EINVAL, "RSA modulus is not a number of %u bits", bits);
	if (!BN_is_odd(x) || BN_is_one(x) || BN_num_bits(x) > RSA_EXPONENT_BITS_MAX)
		return err_set(e, -EINVAL, "RSA exponent is out of range");
	return 0;
}

int rsa_key_of_numbers(unsigned bits, const uint8_t *modulus, const uint8_t *pubexp,
		       struct rsa_key **out, struct err *e)
{
	auto_of(param_bld) OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	auto_of(params) OSSL_PARAM *p = NULL;
	auto_bn BIGNUM *n = NULL;
	auto_bn BIGNUM *x = NULL;
	EVP_PKEY *pkey = NULL;
	int r = bits_check(bits, e);

	if (r < 0)
		return r;
	n = BN_lebin2bn(modulus, (int)bits / 8, NULL);
	x = BN_lebin2bn(pubexp, (int)bits / 8, NULL);
	if (!b || !ctx || !n || !x)
		return ossl_err(e, "RSA key");
	r = numbers_check(bits, n, x, e);
	if (r < 0)
		return r;
	if (!OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) ||
	    !OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, x) ||
	    !(p = OSSL_PARAM_BLD_to_param(b)) || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, p) != 1)
		return ossl_err(e, "RSA key");
	return key_of_pkey(pkey, false, out, e);
}

int rsa_key_numbers(const struct rsa_key *k, uint8_t *modulus, uint8_t *pubexp, struct err *e)
{
	int len = (int)k->bits / 8;
	auto_bn BIGNUM *n = NULL;
	auto_bn BIGNUM *x = NULL;

	if (EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_E, &x) != 1 ||
	    BN_bn2lebinpad(n, modulus, len) < 0 || BN_bn2lebinpad(x, pubexp, len) < 0)
		return ossl_err(e, "RSA key");
	return 0;
}

unsigned rsa_key_bits(const struct rsa_key *k)
{
	return k->bits;
}

static int private_need(const struct rsa_key *k, struct err *e)
{
	return k->has_private ? 0 : err_set(e, -ENOKEY, "RSA: only the public key is here");
}

int rsa_key_put(const struct rsa_key *k, struct buf *out, struct err *e)
{
	int r = private_need(k, e);
	int len = r == 0 ? i2d_PrivateKey(k->pkey, NULL) : 0;
	uint8_t *p;

	if (r < 0)
		return r;
	if (len <= 0)
		return ossl_err(e, "RSA key");
	r = buf_reserve(out, (size_t)len, e);
	if (r < 0)
		return r;
	p = out->p + out->len;
	if (i2d_PrivateKey(k->pkey, &p) != len)
		return ossl_err(e, "RSA key");
	out->len += (size_t)len;
	return 0;
}

int rsa_key_get(const void *der, size_t len, struct rsa_key **out, struct err *e)
{
	const uint8_t *p = der;
	auto_pkey EVP_PKEY *pkey = NULL;
	int r;

	if (len > RSA_BYTES_MAX * 8)
		return err_set(e, -EINVAL, "RSA key of %zu bytes", len);
	pkey = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &p, (long)len);
	if (!pkey) {
		ossl_err_clear();
		return err_set(e, -EINVAL, "RSA key: not a private key");
	}
	r = bits_check((unsigned)EVP_PKEY_get_bits(pkey), e);
	if (r < 0)
		return r;
	return key_of_pkey(steal_ptr(&pkey), true, out, e);
}

static int pss_set(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static void reverse(const uint8_t *in, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = in[len - 1 - i];
}

static int pss_sign(const struct rsa_key *k, const EVP_MD *md, const void *p, size_t len,
		    uint8_t *be, struct err *e)
{
	auto_md_ctx EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* ctx's own */
	size_t sig_len = RSA_BYTES_MAX;

	if (!ctx || EVP_DigestSignInit(ctx, &pctx, md, NULL, k->pkey) != 1 || !pss_set(pctx) ||
	    EVP_DigestSign(ctx, be, &sig_len, p, len) != 1 || sig_len != k->bits / 8)
		return ossl_err(e, "RSA-PSS");
	return 0;
}

int rsa_key_sign(const struct rsa_key *k, enum crypto_digest d, const void *p, size_t len,
		 uint8_t *sig, struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);
	uint8_t be[RSA_BYTES_MAX];
	int r = a ? private_need(k, e) : -EIO;

	if (r < 0)
		return r;
	/* virtee's verifier drops leading zero bytes and then rejects: salt differs each time, so
	 * sign until there is none. */
	do {
		r = pss_sign(k, ossl_digest(a, d), p, len, be, e);
		if (r < 0)
			return r;
	} while (be[0] == 0);
	reverse(be, sig, k->bits / 8);
	return 0;
}

int rsa_key_verify(const struct rsa_key *k, enum crypto_digest d, const void *p, size_t len,
		   const uint8_t *sig, struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_md_ctx EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* ctx's own */
	uint8_t be[RSA_BYTES_MAX];

	if (!a)
		return -EIO;
	reverse(sig, be, k->bits / 8);
	if (!ctx || EVP_DigestVerifyInit(ctx, &pctx, ossl_digest(a, d), NULL, k->pkey) != 1 ||
	    !pss_set(pctx))
		return ossl_err(e, "RSA-PSS");
	if (EVP_DigestVerify(ctx, be, k->bits / 8, p, len) != 1) {
		ossl_err_clear();
		return err_set(e, -EKEYREJECTED, "RSA-PSS: the signature does not hold");
	}
	return 0;
}

void rsa_key_free(struct rsa_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}
