/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * AMD's two certificate formats: the SEV certificate (PDH, PEK, OCA, CEK, an owner's DH key) and
 * the AMD certificate (ASK, ARK). Decoders are pure and borrow from their input: a decoded
 * certificate is valid as long as the bytes are. Decoding says nothing about trust; each
 * *_verify() checks one signature. Who must have signed whom is decided by psp/ and owner/.
 * SEV API, appendix C ("Certificates") and appendix B (AMD signing keys).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rdwr.h"

#define SEVCERT_LEN 0x824u        /* a whole SEV certificate */
#define SEVCERT_SIGNED_LEN 0x414u /* its first bytes, which both signatures cover */
#define SEVCERT_PUBKEY_LEN 1028u
#define SEVCERT_SIG_LEN 512u
#define SEVCERT_SIGS 2
#define SEVCERT_COORD_LEN 72u /* EC coordinates, R and S: little endian, zero extended */
#define AMDCERT_LEN_2048 0x340u
#define AMDCERT_LEN_4096 0x640u
#define AMDCERT_KEY_ID_LEN 16u

enum sevcert_usage {
	SEVCERT_ARK = 0x0,
	SEVCERT_ASK = 0x13,
	SEVCERT_NONE = 0x1000, /* empty signature slot */
	SEVCERT_OCA = 0x1001,
	SEVCERT_PEK = 0x1002,
	SEVCERT_PDH = 0x1003,
	SEVCERT_CEK = 0x1004,
};

enum sevcert_algo {
	SEVCERT_ALGO_NONE = 0,
	SEVCERT_RSA_SHA256 = 1,
	SEVCERT_ECDSA_SHA256 = 2,
	SEVCERT_ECDH_SHA256 = 3,
	SEVCERT_RSA_SHA384 = 0x101,
	SEVCERT_ECDSA_SHA384 = 0x102,
	SEVCERT_ECDH_SHA384 = 0x103,
};

struct sevcert_sig {
	uint32_t usage; /* the signer's */
	uint32_t algo;
	const uint8_t *bytes; /* SEVCERT_SIG_LEN */
};

struct sevcert {
	uint32_t version;
	uint8_t api_major, api_minor;
	uint32_t usage;
	uint32_t algo;
	const uint8_t *raw;    /* SEVCERT_LEN; the signed part is its beginning */
	const uint8_t *pubkey; /* SEVCERT_PUBKEY_LEN, form given by algo */
	struct sevcert_sig sig[SEVCERT_SIGS];
};

struct amdcert {
	uint32_t usage;
	uint32_t bits;                /* 2048 or 4096 */
	const uint8_t *raw;           /* len bytes */
	size_t len, signed_len;       /* the signed part is the beginning of raw */
	const uint8_t *key_id;        /* AMDCERT_KEY_ID_LEN */
	const uint8_t *certifying_id; /* the signer's key_id */
	const uint8_t *pubexp;        /* bits / 8, little endian */
	const uint8_t *modulus;       /* bits / 8, little endian */
	const uint8_t *sig;           /* bits / 8; NULL: Naples' ARK is distributed without one */
};

/* Take one certificate from the cursor. -EPROTO for a short one, a version that is not 1, an
 * unknown usage or algorithm, a key of an unknown form. Reserved bytes are not looked at, as AMD's
 * own tools do not: whoever signed vouches for them. */
int must_check sevcert_get(struct rd *in, struct sevcert *out, struct err *e);
int must_check amdcert_get(struct rd *in, struct amdcert *out, struct err *e);

/* Does one of cert's signatures claim signer's usage and algorithm, and hold? -EKEYREJECTED when
 * none does. A certificate may be its own signer. */
int must_check sevcert_verify(const struct sevcert *cert, const struct sevcert *signer,
			      struct err *e);
int must_check sevcert_verify_amd(const struct sevcert *cert, const struct amdcert *signer,
				  struct err *e);
int must_check amdcert_verify(const struct amdcert *cert, const struct amdcert *signer,
			      struct err *e);

/* "PEK", "ASK", ...: the field's name of a usage. */
const char *sevcert_usage_name(uint32_t usage);

struct ec_key;
struct rsa_key;

/* The EC public key inside, checked to be a point of P-384; the caller owns it. */
int must_check sevcert_ec_key(const struct sevcert *cert, struct ec_key **out, struct err *e);

/* Write an unsigned certificate for key's public half, both signature slots empty. */
struct sevcert_head {
	uint8_t api_major, api_minor;
	uint32_t usage;
	uint32_t algo;
};
int must_check sevcert_make(const struct sevcert_head *head, const struct ec_key *key,
			    uint8_t out[SEVCERT_LEN], struct err *e);
/* Fill slot 0 or 1. */
int must_check sevcert_sign(uint8_t cert[SEVCERT_LEN], unsigned slot, uint32_t signer_usage,
			    const struct ec_key *signer, struct err *e);
int must_check sevcert_sign_rsa(uint8_t cert[SEVCERT_LEN], unsigned slot, uint32_t signer_usage,
				const struct rsa_key *signer, struct err *e);

/* Write a signed AMD certificate (ARK: key == signer); its length is AMDCERT_LEN_2048 or _4096. */
struct amdcert_head {
	uint32_t usage;
	uint8_t key_id[AMDCERT_KEY_ID_LEN];
	uint8_t certifying_id[AMDCERT_KEY_ID_LEN];
};
int must_check amdcert_make(const struct amdcert_head *head, const struct rsa_key *key,
			    const struct rsa_key *signer, uint8_t out[AMDCERT_LEN_4096],
			    size_t *len, struct err *e);
