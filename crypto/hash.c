/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hash.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/ossl.h"

static int digest_once(enum crypto_digest d, const void *p, size_t len, uint8_t *out, struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);

	if (!a)
		return -EIO;
	if (EVP_Digest(p, len, out, NULL, ossl_digest(a, d), NULL) != 1)
		return ossl_err(e, "digest");
	return 0;
}

int crypto_sha256(const void *p, size_t len, uint8_t out[SHA256_LEN], struct err *e)
{
	return digest_once(CRYPTO_SHA256, p, len, out, e);
}

int crypto_sha384(const void *p, size_t len, uint8_t out[SHA384_LEN], struct err *e)
{
	return digest_once(CRYPTO_SHA384, p, len, out, e);
}

/* --- running hash --------------------------------------------------------------------------- */

struct crypto_hash {
	EVP_MD_CTX *ctx;
	EVP_MD_CTX *copy; /* the one that is finished, so that ctx can go on */
};

int crypto_hash_new(struct crypto_hash **out, struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_hash struct crypto_hash *h = calloc(1, sizeof(*h));

	if (!a)
		return -EIO;
	if (!h)
		return err_set(e, -ENOMEM, "hash: no memory");
	h->ctx = EVP_MD_CTX_new();
	h->copy = EVP_MD_CTX_new();
	if (!h->ctx || !h->copy || EVP_DigestInit_ex2(h->ctx, a->sha256, NULL) != 1)
		return ossl_err(e, "hash");
	*out = steal_ptr(&h);
	return 0;
}

int crypto_hash_add(struct crypto_hash *h, const void *p, size_t len, struct err *e)
{
	return EVP_DigestUpdate(h->ctx, p, len) == 1 ? 0 : ossl_err(e, "hash");
}

int crypto_hash_get(const struct crypto_hash *h, uint8_t out[SHA256_LEN], struct err *e)
{
	if (EVP_MD_CTX_copy_ex(h->copy, h->ctx) != 1 || EVP_DigestFinal_ex(h->copy, out, NULL) != 1)
		return ossl_err(e, "hash");
	return 0;
}

void crypto_hash_free(struct crypto_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_CTX_free(h->copy);
	free(h);
}

/* --- HMAC ----------------------------------------------------------------------------------- */

struct crypto_hmac {
	EVP_MAC_CTX *ctx;
};

int crypto_hmac_new(const void *key, size_t key_len, struct crypto_hmac **out, struct err *e)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_hmac struct crypto_hmac *h = calloc(1, sizeof(*h));

	if (!a)
		return -EIO;
	if (!h)
		return err_set(e, -ENOMEM, "hmac: no memory");
	h->ctx = EVP_MAC_CTX_new(a->hmac);
	if (!h->ctx || EVP_MAC_init(h->ctx, key, key_len, params) != 1)
		return ossl_err(e, "hmac");
	*out = steal_ptr(&h);
	return 0;
}

int crypto_hmac_start(struct crypto_hmac *h, struct err *e)
{
	/* Without a key: back to the keyed state, which OpenSSL keeps. */
	return EVP_MAC_init(h->ctx, NULL, 0, NULL) == 1 ? 0 : ossl_err(e, "hmac");
}

int crypto_hmac_add(struct crypto_hmac *h, const void *p, size_t len, struct err *e)
{
	return EVP_MAC_update(h->ctx, p, len) == 1 ? 0 : ossl_err(e, "hmac");
}

int crypto_hmac_end(struct crypto_hmac *h, uint8_t out[HMAC_LEN], struct err *e)
{
	size_t len = 0;

	if (EVP_MAC_final(h->ctx, out, &len, HMAC_LEN) != 1 || len != HMAC_LEN)
		return ossl_err(e, "hmac");
	return 0;
}

void crypto_hmac_free(struct crypto_hmac *h)
{
	if (!h)
		return;
	EVP_MAC_CTX_free(h->ctx);
	free(h);
}

int crypto_hmac(const void *key, size_t key_len, const void *p, size_t len, uint8_t out[HMAC_LEN],
		struct err *e)
{
	auto_hmac struct crypto_hmac *h = NULL;
	int r = crypto_hmac_new(key, key_len, &h, e);

	if (r < 0)
		return r;
	r = crypto_hmac_add(h, p, len, e);
	return r < 0 ? r : crypto_hmac_end(h, out, e);
}
