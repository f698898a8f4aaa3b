/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* AES in the two modes the tree needs. A context is keyed once; a message costs no allocation. One
 * context serves one thread at a time. */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define AES128_KEY_LEN 16
#define AES_IV_LEN 16
#define GCM_KEY_LEN 32
#define GCM_NONCE_LEN 12
#define GCM_TAG_LEN 16

/* AES-128-CTR with a 128-bit big-endian block counter that starts at iv. Encryption and decryption
 * are the same; in == out is allowed. */
struct crypto_ctr;
int must_check crypto_ctr_new(const uint8_t key[AES128_KEY_LEN], struct crypto_ctr **out,
			      struct err *e);
int must_check crypto_ctr_xor(struct crypto_ctr *c, const uint8_t iv[AES_IV_LEN], const uint8_t *in,
			      uint8_t *out, size_t len, struct err *e);
void crypto_ctr_free(struct crypto_ctr *c);

/* AES-256-GCM. A nonce must never repeat under one key: the caller counts. */
struct crypto_gcm;
int must_check crypto_gcm_new(const uint8_t key[GCM_KEY_LEN], struct crypto_gcm **out,
			      struct err *e);
/* in == out is allowed. */
int must_check crypto_gcm_seal(struct crypto_gcm *g, const uint8_t nonce[GCM_NONCE_LEN],
			       const void *aad, size_t aad_len, const uint8_t *in, size_t len,
			       uint8_t *out, uint8_t tag[GCM_TAG_LEN], struct err *e);
/* -EBADMSG when the tag does not hold; out is then zeroed. */
int must_check crypto_gcm_open(struct crypto_gcm *g, const uint8_t nonce[GCM_NONCE_LEN],
			       const void *aad, size_t aad_len, const uint8_t *in, size_t len,
			       const uint8_t tag[GCM_TAG_LEN], uint8_t *out, struct err *e);
void crypto_gcm_free(struct crypto_gcm *g);

DEFINE_AUTO(crypto_ctr, struct crypto_ctr *, crypto_ctr_free)
DEFINE_AUTO(crypto_gcm, struct crypto_gcm *, crypto_gcm_free)
#define auto_ctr auto_of(crypto_ctr)
#define auto_gcm auto_of(crypto_gcm)
