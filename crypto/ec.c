/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "crypto/ossl.h"

#define P384_POINT_LEN (1 + 2 * P384_LEN) /* uncompressed */
#define ECDSA_DER_MAX 128

struct ec_key {
	EVP_PKEY *pkey;
	bool has_private;
};

DEFINE_AUTO(param_bld, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_AUTO(params, OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_AUTO(group, EC_GROUP *, EC_GROUP_free)
DEFINE_AUTO(point, EC_POINT *, EC_POINT_free)
DEFINE_AUTO(sig, ECDSA_SIG *, ECDSA_SIG_free)

/* Takes pkey, also on failure. */
static int key_of_pkey(EVP_PKEY *pkey, bool has_private, struct ec_key **out, struct err *e)
{
	struct ec_key *k = calloc(1, sizeof(*k));

	if (!k) {
		EVP_PKEY_free(pkey);
		return err_set(e, -ENOMEM, "P-384 key: no memory");
	}
	k->pkey = pkey;
	k->has_private = has_private;
	*out = k;
	return 0;
}

int ec_key_generate(struct ec_key **out, struct err *e)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-384");

	return pkey ? key_of_pkey(pkey, true, out, e) : ossl_err(e, "P-384 key");
}

/* d may be NULL: a public key. OpenSSL refuses a point that is not on the curve. */
static int key_of_numbers(const uint8_t point[P384_POINT_LEN], const BIGNUM *d, struct ec_key **out,
			  struct err *e)
{
	auto_of(param_bld) OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	auto_of(params) OSSL_PARAM *p = NULL;
	EVP_PKEY *pkey = NULL;

	if (!b || !ctx ||
	    !OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-384", 0) ||
	    !OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, P384_POINT_LEN) ||
	    (d && !OSSL_PARAM_BLD_push_BN_pad(b, OSSL_PKEY_PARAM_PRIV_KEY, d, P384_LEN)) ||
	    !(p = OSSL_PARAM_BLD_to_param(b)) || EVP_PKEY_fromdata_init(ctx) != 1)
		return ossl_err(e, "P-384 key");
	if (EVP_PKEY_fromdata(ctx, &pkey, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, p) != 1) {
		ossl_err_clear();
		return err_set(e, -EINVAL, "not a point of P-384");
	}
	return key_of_pkey(pkey, d != NULL, out, e);
}

static int point_of_scalar(const BIGNUM *d, uint8_t out[P384_POINT_LEN], struct err *e)
{
	auto_of(group) EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_secp384r1);
	auto_of(point) EC_POINT *pt = g ? EC_POINT_new(g) : NULL;

	if (!pt)
		return ossl_err(e, "P-384 key");
	if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(g)) >= 0)
		return err_set(e, -EINVAL, "not a private scalar of P-384");
	if (EC_POINT_mul(g, pt, d, NULL, NULL, NULL) != 1 ||
	    EC_POINT_point2oct(g, pt, POINT_CONVERSION_UNCOMPRESSED, out, P384_POINT_LEN, NULL) !=
		    P384_POINT_LEN)
		return ossl_err(e, "P-384 key");
	return 0;
}

int ec_key_of_scalar(const uint8_t scalar[P384_LEN], struct ec_key **out, struct err *e)
{
	auto_bn BIGNUM *d = BN_bin2bn(scalar, P384_LEN, NULL);
	uint8_t point[P384_POINT_LEN];
	int r;

	if (!d)
		return ossl_err(e, "P-384 key");
	BN_set_flags(d, BN_FLG_CONSTTIME);
	r = point_of_scalar(d, point, e);
	return r < 0 ? r : key_of_numbers(point, d, out, e);
}

/* AMD's field to P-384's big endian; what does not fit is not a coordinate. */
static int coord_get(const uint8_t in[EC_COORD_LEN], uint8_t out[P384_LEN], struct err *e)
{
	if (!crypto_is_zero(in + P384_LEN, EC_COORD_LEN - P384_LEN))
		return err_set(e, -EINVAL, "a coordinate is larger than P-384");
	for (size_t i = 0; i < P384_LEN; i++)
		out[i] = in[P384_LEN - 1 - i];
	return 0;
}

int ec_key_of_point(const uint8_t x[EC_COORD_LEN], const uint8_t y[EC_COORD_LEN],
		    struct ec_key **out, struct err *e)
{
	uint8_t point[P384_POINT_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
	int r = coord_get(x, point + 1, e);

	if (r == 0)
		r = coord_get(y, point + 1 + P384_LEN, e);
	return r < 0 ? r : key_of_numbers(point, NULL, out, e);
}

static int number_get(const struct ec_key *k, const char *name, BIGNUM **out, struct err *e)
{
	return EVP_PKEY_get_bn_param(k->pkey, name, out) == 1 ? 0 : ossl_err(e, "P-384 key");
}

int ec_key_point(const struct ec_key *k, uint8_t x[EC_COORD_LEN], uint8_t y[EC_COORD_LEN],
		 struct err *e)
{
	auto_bn BIGNUM *bx = NULL;
	auto_bn BIGNUM *by = NULL;
	int r = number_get(k, OSSL_PKEY_PARAM_EC_PUB_X, &bx, e);

	if (r == 0)
		r = number_get(k, OSSL_PKEY_PARAM_EC_PUB_Y, &by, e);
	if (r < 0)
		return r;
	if (BN_bn2lebinpad(bx, x, EC_COORD_LEN) < 0 || BN_bn2lebinpad(by, y, EC_COORD_LEN) < 0)
		return ossl_err(e, "P-384 key");
	return 0;
}

bool ec_key_has_private(const struct ec_key *k)
{
	return k->has_private;
}

static int private_need(const struct ec_key *k, struct err *e)
{
	return k->has_private ? 0 : err_set(e, -ENOKEY, "P-384: only the public key is here");
}

int ec_key_scalar(const struct ec_key *k, struct secret *out, struct err *e)
{
	auto_bn BIGNUM *d = NULL;
	int r = private_need(k, e);

	if (r == 0)
		r = number_get(k, OSSL_PKEY_PARAM_PRIV_KEY, &d, e);
	if (r < 0)
		return r;
	out->len = P384_LEN;
	return BN_bn2binpad(d, out->b, P384_LEN) == P384_LEN ? 0 : ossl_err(e, "P-384 key");
}

int ec_key_derive(const struct ec_key *own, const struct ec_key *peer, struct secret *out,
		  struct err *e)
{
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own->pkey, NULL);
	size_t len = SECRET_MAX;
	int r = private_need(own, e);

	if (r < 0)
		return r;
	if (!ctx || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, peer->pkey) != 1 ||
	    EVP_PKEY_derive(ctx, out->b, &len) != 1 || len != P384_LEN)
		return ossl_err(e, "ECDH");
	out->len = len;
	return 0;
}

/* OpenSSL's DER to AMD's R and S. */
static int sig_put(const uint8_t *der, size_t len, uint8_t sig[EC_SIG_LEN], struct err *e)
{
	auto_of(sig) ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)len);

	if (!s || BN_bn2lebinpad(ECDSA_SIG_get0_r(s), sig, EC_COORD_LEN) < 0 ||
	    BN_bn2lebinpad(ECDSA_SIG_get0_s(s), sig + EC_COORD_LEN, EC_COORD_LEN) < 0)
		return ossl_err(e, "ECDSA");
	return 0;
}

static int sig_get(const uint8_t sig[EC_SIG_LEN], uint8_t der[ECDSA_DER_MAX], size_t *len,
		   struct err *e)
{
	auto_of(sig) ECDSA_SIG *s = ECDSA_SIG_new();
	auto_bn BIGNUM *r = BN_lebin2bn(sig, EC_COORD_LEN, NULL);
	auto_bn BIGNUM *v = BN_lebin2bn(sig + EC_COORD_LEN, EC_COORD_LEN, NULL);
	uint8_t *p = der;
	int n;

	if (!s || !r || !v)
		return ossl_err(e, "ECDSA");
	if (BN_num_bytes(r) > P384_LEN || BN_num_bytes(v) > P384_LEN)
		return err_set(e, -EKEYREJECTED, "ECDSA: R or S is larger than P-384");
	ECDSA_SIG_set0(s, steal_ptr(&r), steal_ptr(&v));
	n = i2d_ECDSA_SIG(s, NULL);
	if (n <= 0 || n > ECDSA_DER_MAX)
		return ossl_err(e, "ECDSA");
	*len = (size_t)i2d_ECDSA_SIG(s, &p);
	return 0;
}

int ec_key_sign(const struct ec_key *k, enum crypto_digest d, const void *p, size_t len,
		uint8_t sig[EC_SIG_LEN], struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_md_ctx EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[ECDSA_DER_MAX];
	size_t der_len = sizeof(der);
	int r = a ? private_need(k, e) : -EIO;

	if (r < 0)
		return r;
	if (!ctx || EVP_DigestSignInit(ctx, NULL, ossl_digest(a, d), NULL, k->pkey) != 1 ||
	    EVP_DigestSign(ctx, der, &der_len, p, len) != 1)
		return ossl_err(e, "ECDSA");
	return sig_put(der, der_len, sig, e);
}

int ec_key_verify(const struct ec_key *k, enum crypto_digest d, const void *p, size_t len,
		  const uint8_t sig[EC_SIG_LEN], struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_md_ctx EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[ECDSA_DER_MAX];
	size_t der_len = 0;
	int r = a ? sig_get(sig, der, &der_len, e) : -EIO;

	if (r < 0)
		return r;
	if (!ctx || EVP_DigestVerifyInit(ctx, NULL, ossl_digest(a, d), NULL, k->pkey) != 1)
		return ossl_err(e, "ECDSA");
	if (EVP_DigestVerify(ctx, der, der_len, p, len) != 1) {
		ossl_err_clear();
		return err_set(e, -EKEYREJECTED, "ECDSA: the signature does not hold");
	}
	return 0;
}

void ec_key_free(struct ec_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}
