/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Asymmetric keys: P-384 for ECDH and ECDSA, RSA-PSS with 2048 or 4096 bits. Signatures and
 * coordinates have AMD's form: little endian, zero extended. A struct ec_key or rsa_key is either
 * a key pair or a public key; asking a public key to sign is -ENOKEY.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "crypto/secret.h"

#define P384_LEN 48
#define EC_COORD_LEN 72               /* AMD's field for a coordinate, R or S */
#define EC_SIG_LEN (2 * EC_COORD_LEN) /* R then S */
#define RSA_BYTES_MAX 512

enum crypto_digest { CRYPTO_SHA256, CRYPTO_SHA384 };

struct ec_key;
int must_check ec_key_generate(struct ec_key **out, struct err *e);
/* The pair of a private scalar, big endian; -EINVAL unless 0 < scalar < n. */
int must_check ec_key_of_scalar(const uint8_t scalar[P384_LEN], struct ec_key **out, struct err *e);
/* A public key; -EINVAL unless it is a point of the curve. */
int must_check ec_key_of_point(const uint8_t x[EC_COORD_LEN], const uint8_t y[EC_COORD_LEN],
			       struct ec_key **out, struct err *e);
int must_check ec_key_point(const struct ec_key *k, uint8_t x[EC_COORD_LEN],
			    uint8_t y[EC_COORD_LEN], struct err *e);
/* The private scalar, big endian, for the NV store. */
int must_check ec_key_scalar(const struct ec_key *k, struct secret *out, struct err *e);
bool ec_key_has_private(const struct ec_key *k);
/* The X coordinate of the shared point: 48 bytes, big endian. */
int must_check ec_key_derive(const struct ec_key *own, const struct ec_key *peer,
			     struct secret *out, struct err *e);
int must_check ec_key_sign(const struct ec_key *k, enum crypto_digest d, const void *p, size_t len,
			   uint8_t sig[EC_SIG_LEN], struct err *e);
/* -EKEYREJECTED when the signature does not hold. */
int must_check ec_key_verify(const struct ec_key *k, enum crypto_digest d, const void *p,
			     size_t len, const uint8_t sig[EC_SIG_LEN], struct err *e);
void ec_key_free(struct ec_key *k);

struct rsa_key;
/* bits: 2048 or 4096; the latter takes seconds. */
int must_check rsa_key_generate(unsigned bits, struct rsa_key **out, struct err *e);
/* A public key; modulus and exponent of bits / 8 bytes each, little endian. */
int must_check rsa_key_of_numbers(unsigned bits, const uint8_t *modulus, const uint8_t *pubexp,
				  struct rsa_key **out, struct err *e);
int must_check rsa_key_numbers(const struct rsa_key *k, uint8_t *modulus, uint8_t *pubexp,
			       struct err *e);
unsigned rsa_key_bits(const struct rsa_key *k);
/* The pair as DER, for the NV store. */
int must_check rsa_key_put(const struct rsa_key *k, struct buf *out, struct err *e);
int must_check rsa_key_get(const void *der, size_t len, struct rsa_key **out, struct err *e);
/* RSASSA-PSS, MGF1 with the same hash, salt as long as the digest; bits / 8 bytes, little endian.
 */
int must_check rsa_key_sign(const struct rsa_key *k, enum crypto_digest d, const void *p,
			    size_t len, uint8_t *sig, struct err *e);
/* -EKEYREJECTED when the signature does not hold. */
int must_check rsa_key_verify(const struct rsa_key *k, enum crypto_digest d, const void *p,
			      size_t len, const uint8_t *sig, struct err *e);
void rsa_key_free(struct rsa_key *k);

DEFINE_AUTO(ec_key, struct ec_key *, ec_key_free)
DEFINE_AUTO(rsa_key, struct rsa_key *, rsa_key_free)
#define auto_ec_key auto_of(ec_key)
#define auto_rsa_key auto_of(rsa_key)
