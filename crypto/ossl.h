/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Private to crypto/: what its files share of OpenSSL. Algorithms are fetched once for the whole
 * process, because a fetch costs more than sealing a page. */

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/auto.h"
#include "base/err.h"
#include "crypto/key.h"

struct ossl_algos {
	EVP_MD *sha256;
	EVP_MD *sha384;
	EVP_MAC *hmac;
	EVP_CIPHER *aes128_ctr;
	EVP_CIPHER *aes256_gcm;
	EVP_KDF *hkdf;
};

/* NULL when OpenSSL lacks one of them. */
const struct ossl_algos *ossl_algos_get(struct err *e);
/* -EIO with what and OpenSSL's own reason; empties OpenSSL's error queue. */
int ossl_err(struct err *e, const char *what);
/* Empty the queue after a failure that is an answer, not an error. */
void ossl_err_clear(void);

static inline const EVP_MD *ossl_digest(const struct ossl_algos *a, enum crypto_digest d)
{
	return d == CRYPTO_SHA384 ? a->sha384 : a->sha256;
}

DEFINE_AUTO(ossl_bn, BIGNUM *, BN_clear_free)
DEFINE_AUTO(ossl_pkey, EVP_PKEY *, EVP_PKEY_free)
DEFINE_AUTO(ossl_pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_AUTO(ossl_md_ctx, EVP_MD_CTX *, EVP_MD_CTX_free)
#define auto_bn auto_of(ossl_bn)
#define auto_pkey auto_of(ossl_pkey)
#define auto_pkey_ctx auto_of(ossl_pkey_ctx)
#define auto_md_ctx auto_of(ossl_md_ctx)
