/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cipher.h"

#include <errno.h>
#include <limits.h>

#include "crypto/ossl.h"
#include "crypto/secret.h"

static int length_check(size_t len, struct err *e)
{
	return len <= INT_MAX ? 0 : err_set(e, -EINVAL, "cipher: %zu bytes at once", len);
}

/* --- CTR ------------------------------------------------------------------------------------ */

struct crypto_ctr {
	EVP_CIPHER_CTX *ctx;
};

int crypto_ctr_new(const uint8_t key[AES128_KEY_LEN], struct crypto_ctr **out, struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_ctr struct crypto_ctr *c = calloc(1, sizeof(*c));

	if (!a)
		return -EIO;
	if (!c)
		return err_set(e, -ENOMEM, "aes-ctr: no memory");
	c->ctx = EVP_CIPHER_CTX_new();
	if (!c->ctx || EVP_EncryptInit_ex2(c->ctx, a->aes128_ctr, key, NULL, NULL) != 1)
		return ossl_err(e, "aes-ctr");
	*out = steal_ptr(&c);
	return 0;
}

int crypto_ctr_xor(struct crypto_ctr *c, const uint8_t iv[AES_IV_LEN], const uint8_t *in,
		   uint8_t *out, size_t len, struct err *e)
{
	int r = length_check(len, e);
	int n = 0;

	if (r < 0 || len == 0)
		return r;
	if (EVP_EncryptInit_ex2(c->ctx, NULL, NULL, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(c->ctx, out, &n, in, (int)len) != 1 || n != (int)len)
		return ossl_err(e, "aes-ctr");
	return 0;
}

void crypto_ctr_free(struct crypto_ctr *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->ctx);
	free(c);
}

/* --- GCM ------------------------------------------------------------------------------------ */

struct crypto_gcm {
	EVP_CIPHER_CTX *seal;
	EVP_CIPHER_CTX *open;
};

int crypto_gcm_new(const uint8_t key[GCM_KEY_LEN], struct crypto_gcm **out, struct err *e)
{
	const struct ossl_algos *a = ossl_algos_get(e);
	auto_gcm struct crypto_gcm *g = calloc(1, sizeof(*g));

	if (!a)
		return -EIO;
	if (!g)
		return err_set(e, -ENOMEM, "aes-gcm: no memory");
	g->seal = EVP_CIPHER_CTX_new();
	g->open = EVP_CIPHER_CTX_new();
	if (!g->seal || !g->open ||
	    EVP_EncryptInit_ex2(g->seal, a->aes256_gcm, key, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(g->open, a->aes256_gcm, key, NULL, NULL) != 1)
		return ossl_err(e, "aes-gcm");
	*out = steal_ptr(&g);
	return 0;
}

/* AAD, then data, through a context that has key, nonce and direction. */
static int gcm_run(EVP_CIPHER_CTX *ctx, const void *aad, size_t aad_len, const uint8_t *in,
		   size_t len, uint8_t *out, struct err *e)
{
	int n = 0;
	int r = length_check(len, e);

	if (r == 0)
		r = length_check(aad_len, e);
	if (r < 0)
		return r;
	if (aad_len && EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1)
		return ossl_err(e, "aes-gcm");
	if (len && EVP_CipherUpdate(ctx, out, &n, in, (int)len) != 1)
		return ossl_err(e, "aes-gcm");
	return 0;
}

int crypto_gcm_seal(struct crypto_gcm *g, const uint8_t nonce[GCM_NONCE_LEN], const void *aad,
		    size_t aad_len, const uint8_t *in, size_t len, uint8_t *out,
		    uint8_t tag[GCM_TAG_LEN], struct err *e)
{
	uint8_t none[EVP_MAX_BLOCK_LENGTH];
	int n = 0, r;

	if (EVP_EncryptInit_ex2(g->seal, NULL, NULL, nonce, NULL) != 1)
		return ossl_err(e, "aes-gcm");
	r = gcm_run(g->seal, aad, aad_len, in, len, out, e);
	if (r < 0)
		return r;
	if (EVP_EncryptFinal_ex(g->seal, none, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(g->seal, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_LEN, tag) != 1)
		return ossl_err(e, "aes-gcm");
	return 0;
}

int crypto_gcm_open(struct crypto_gcm *g, const uint8_t nonce[GCM_NONCE_LEN], const void *aad,
		    size_t aad_len, const uint8_t *in, size_t len, const uint8_t tag[GCM_TAG_LEN],
		    uint8_t *out, struct err *e)
{
	uint8_t none[EVP_MAX_BLOCK_LENGTH], want[GCM_TAG_LEN];
	int n = 0, r;

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = tag[i];
	if (EVP_DecryptInit_ex2(g->open, NULL, NULL, nonce, NULL) != 1)
		return ossl_err(e, "aes-gcm");
	r = gcm_run(g->open, aad, aad_len, in, len, out, e);
	if (r < 0)
		return r;
	if (EVP_CIPHER_CTX_ctrl(g->open, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_LEN, want) != 1)
		return ossl_err(e, "aes-gcm");
	if (EVP_DecryptFinal_ex(g->open, none, &n) != 1) {
		ossl_err_clear();
		crypto_wipe(out, len);
		return err_set(e, -EBADMSG, "aes-gcm: the tag does not hold");
	}
	return 0;
}

void crypto_gcm_free(struct crypto_gcm *g)
{
	if (!g)
		return;
	EVP_CIPHER_CTX_free(g->seal);
	EVP_CIPHER_CTX_free(g->open);
	free(g);
}
