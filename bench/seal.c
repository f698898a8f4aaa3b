/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/seal.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#define HDR_MACED 29u /* leading byte, FLAGS, IV, two lengths: SEV API, SEND_UPDATE_DATA */

struct seal {
	EVP_CIPHER_CTX *ctr;
	EVP_MAC *hmac;
	EVP_MAC_CTX *mac;
	uint64_t n; /* pages so far: makes the IV */
};

static bool keys_set(struct seal *s)
{
	const uint8_t key[16] = { 1 }, tik[16] = { 2 }, iv[16] = { 0 };
	char sha256[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
				OSSL_PARAM_END };

	return s->ctr && s->mac && EVP_EncryptInit_ex(s->ctr, EVP_aes_128_ctr(), NULL, key, iv) &&
	       EVP_MAC_init(s->mac, tik, sizeof(tik), params);
}

struct seal *seal_new(void)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ctr = EVP_CIPHER_CTX_new();
	s->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	s->mac = EVP_MAC_CTX_new(s->hmac);
	if (keys_set(s))
		return s;
	seal_free(s);
	return NULL;
}

bool seal_page(struct seal *s, const uint8_t *from, uint8_t *to)
{
	uint8_t head[HDR_MACED] = { 2 }, iv[16] = { 0 }, tag[32];
	size_t tag_len;
	int n;

	s->n++;
	memcpy(iv, &s->n, sizeof(s->n));
	memcpy(head + 5, iv, sizeof(iv));
	return EVP_EncryptInit_ex(s->ctr, NULL, NULL, NULL, iv) &&
	       EVP_EncryptUpdate(s->ctr, to, &n, from, SEAL_PAGE) &&
	       EVP_MAC_init(s->mac, NULL, 0, NULL) && EVP_MAC_update(s->mac, head, sizeof(head)) &&
	       EVP_MAC_update(s->mac, to, SEAL_PAGE) &&
	       EVP_MAC_final(s->mac, tag, &tag_len, sizeof(tag));
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	EVP_MAC_CTX_free(s->mac);
	EVP_MAC_free(s->hmac);
	EVP_CIPHER_CTX_free(s->ctr);
	free(s);
}
