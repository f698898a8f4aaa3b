/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256, SHA-384, and HMAC-SHA-256 with a context that is keyed once and used for many
 * messages without allocating. */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define SHA256_LEN 32
#define SHA384_LEN 48
#define HMAC_LEN 32

int must_check crypto_sha256(const void *p, size_t len, uint8_t out[SHA256_LEN], struct err *e);
int must_check crypto_sha384(const void *p, size_t len, uint8_t out[SHA384_LEN], struct err *e);

/* A running SHA-256. */
struct crypto_hash;
int must_check crypto_hash_new(struct crypto_hash **out, struct err *e);
int must_check crypto_hash_add(struct crypto_hash *h, const void *p, size_t len, struct err *e);
/* The digest so far; adding may go on. */
int must_check crypto_hash_get(const struct crypto_hash *h, uint8_t out[SHA256_LEN], struct err *e);
void crypto_hash_free(struct crypto_hash *h);

/* HMAC-SHA-256. start, add..., end; then start again. key is copied. */
struct crypto_hmac;
int must_check crypto_hmac_new(const void *key, size_t key_len, struct crypto_hmac **out,
			       struct err *e);
int must_check crypto_hmac_start(struct crypto_hmac *h, struct err *e);
int must_check crypto_hmac_add(struct crypto_hmac *h, const void *p, size_t len, struct err *e);
int must_check crypto_hmac_end(struct crypto_hmac *h, uint8_t out[HMAC_LEN], struct err *e);
void crypto_hmac_free(struct crypto_hmac *h);
/* All of it at once. */
int must_check crypto_hmac(const void *key, size_t key_len, const void *p, size_t len,
			   uint8_t out[HMAC_LEN], struct err *e);

DEFINE_AUTO(crypto_hash, struct crypto_hash *, crypto_hash_free)
DEFINE_AUTO(crypto_hmac, struct crypto_hmac *, crypto_hmac_free)
#define auto_hash auto_of(crypto_hash)
#define auto_hmac auto_of(crypto_hmac)
