/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ossl.h"

#include <errno.h>
#include <pthread.h>

#include <openssl/err.h>

static struct ossl_algos algos;
static pthread_once_t algos_once = PTHREAD_ONCE_INIT;

static void algos_fetch(void)
{
	algos.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	algos.sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
	algos.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	algos.aes128_ctr = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
	algos.aes256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	algos.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

const struct ossl_algos *ossl_algos_get(struct err *e)
{
	pthread_once(&algos_once, algos_fetch);
	if (algos.sha256 && algos.sha384 && algos.hmac && algos.aes128_ctr && algos.aes256_gcm &&
	    algos.hkdf)
		return &algos;
	ossl_err(e, "fetching algorithms");
	return NULL;
}

int ossl_err(struct err *e, const char *what)
{
	unsigned long code = ERR_get_error();
	char reason[128] = "no reason given";

	if (code)
		ERR_error_string_n(code, reason, sizeof(reason));
	ERR_clear_error();
	return err_set(e, -EIO, "%s: %s", what, reason);
}

void ossl_err_clear(void)
{
	ERR_clear_error();
}
