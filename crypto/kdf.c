/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/kdf.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "crypto/hash.h"
#include "crypto/ossl.h"

static void le32(uint8_t out[4], uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

/* OpenSSL's KBKDF writes both integers big endian, so the blocks are put together here. */
static int kdf_block(struct crypto_hmac *h, uint32_t i, const char *label, const void *context,
		     size_t context_len, uint32_t bits, uint8_t out[HMAC_LEN], struct err *e)
{
	const uint8_t zero = 0;
	uint8_t n[4], l[4];
	int r = crypto_hmac_start(h, e);

	le32(n, i);
	le32(l, bits);
	if (r == 0)
		r = crypto_hmac_add(h, n, sizeof(n), e);
	if (r == 0)
		r = crypto_hmac_add(h, label, strlen(label), e);
	if (r == 0)
		r = crypto_hmac_add(h, &zero, 1, e);
	if (r == 0 && context_len)
		r = crypto_hmac_add(h, context, context_len, e);
	if (r == 0)
		r = crypto_hmac_add(h, l, sizeof(l), e);
	return r < 0 ? r : crypto_hmac_end(h, out, e);
}

int crypto_kdf_sev(const struct secret *key, const char *label, const void *context,
		   size_t context_len, struct secret *out, struct err *e)
{
	auto_secret struct secret block = { .len = HMAC_LEN };
	auto_hmac struct crypto_hmac *h = NULL;
	size_t want = out->len;
	int r = crypto_hmac_new(key->b, key->len, &h, e);

	if (r == 0 && (want == 0 || want > SECRET_MAX))
		r = err_set(e, -EINVAL, "kdf: %zu bytes asked for", want);
	for (size_t at = 0; r == 0 && at < want; at += HMAC_LEN) {
		r = kdf_block(h, (uint32_t)(at / HMAC_LEN) + 1, label, context, context_len,
			      (uint32_t)want * 8, block.b, e);
		if (r == 0)
			memcpy(out->b + at, block.b, want - at < HMAC_LEN ? want - at : HMAC_LEN);
	}
	return r;
}

DEFINE_AUTO(kdf_ctx, EVP_KDF_CTX *, EVP_KDF_CTX_free)

int crypto_hkdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len,
		const char *info, struct secret *out, struct err *e)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[5], *p = params;
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_of(kdf_ctx) EVP_KDF_CTX *ctx = a ? EVP_KDF_CTX_new(a->hkdf) : NULL;

	if (!ctx)
		return a ? ossl_err(e, "hkdf") : -EIO;
	if (out->len == 0 || out->len > SECRET_MAX)
		return err_set(e, -EINVAL, "hkdf: %zu bytes asked for", out->len);
	/* OpenSSL's parameter blocks are not const; it only reads these. */
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)ikm,
						 ikm_len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info,
						 strlen(info));
	if (salt)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
							 (void *)(uintptr_t)salt, salt_len);
	*p = OSSL_PARAM_construct_end();
	if (EVP_KDF_derive(ctx, out->b, out->len, params) != 1)
		return ossl_err(e, "hkdf");
	return 0;
}
