/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A made-up platform's certificates with all their keys, for the tests of owner/: every link can be
 * broken and signed anew. */

#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"
#include "crypto/sevcert.h"
#include "owner/peer.h"

struct fixture_chain {
	struct rsa_key *ark_key, *ask_key;
	struct ec_key *cek_key, *oca_key, *pek_key, *pdh_key;
	uint8_t pdh[SEVCERT_LEN];
	uint8_t plat[3 * SEVCERT_LEN]; /* PEK, OCA, CEK */
	uint8_t amd[2 * AMDCERT_LEN_2048];
};

#define FIXTURE_PEK(f) ((f)->plat)
#define FIXTURE_OCA(f) ((f)->plat + SEVCERT_LEN)
#define FIXTURE_CEK(f) ((f)->plat + 2 * SEVCERT_LEN)
#define FIXTURE_ASK(f) ((f)->amd)
#define FIXTURE_ARK(f) ((f)->amd + AMDCERT_LEN_2048)

static inline void fixture_must(int r)
{
	if (r < 0)
		abort();
}

static inline void fixture_amd(struct fixture_chain *f, struct err *e)
{
	struct amdcert_head ark = { .usage = SEVCERT_ARK,
				    .key_id = "the root's id",
				    .certifying_id = "the root's id" };
	struct amdcert_head ask = { .usage = SEVCERT_ASK,
				    .key_id = "the signer's id",
				    .certifying_id = "the root's id" };
	uint8_t cert[AMDCERT_LEN_4096];
	size_t len = 0;

	fixture_must(amdcert_make(&ask, f->ask_key, f->ark_key, cert, &len, e));
	memcpy(FIXTURE_ASK(f), cert, AMDCERT_LEN_2048);
	fixture_must(amdcert_make(&ark, f->ark_key, f->ark_key, cert, &len, e));
	memcpy(FIXTURE_ARK(f), cert, AMDCERT_LEN_2048);
}

static inline void fixture_head(uint8_t *out, uint32_t usage, uint32_t algo,
				const struct ec_key *key, unsigned api_major, unsigned api_minor)
{
	struct sevcert_head head = { .api_major = (uint8_t)api_major,
				     .api_minor = (uint8_t)api_minor,
				     .usage = usage,
				     .algo = algo };
	struct err e = { 0 };

	fixture_must(sevcert_make(&head, key, out, &e));
}

/* All signatures anew, over whatever the keys and the PEK's version are now. */
static inline void fixture_sign(struct fixture_chain *f, unsigned api_major, unsigned api_minor)
{
	struct err e = { 0 };

	fixture_head(FIXTURE_CEK(f), SEVCERT_CEK, SEVCERT_ECDSA_SHA256, f->cek_key, 0, 14);
	fixture_must(sevcert_sign_rsa(FIXTURE_CEK(f), 0, SEVCERT_ASK, f->ask_key, &e));
	fixture_head(FIXTURE_OCA(f), SEVCERT_OCA, SEVCERT_ECDSA_SHA256, f->oca_key, 0, 0);
	fixture_must(sevcert_sign(FIXTURE_OCA(f), 0, SEVCERT_OCA, f->oca_key, &e));
	fixture_head(FIXTURE_PEK(f), SEVCERT_PEK, SEVCERT_ECDSA_SHA256, f->pek_key, api_major,
		     api_minor);
	fixture_must(sevcert_sign(FIXTURE_PEK(f), 0, SEVCERT_OCA, f->oca_key, &e));
	fixture_must(sevcert_sign(FIXTURE_PEK(f), 1, SEVCERT_CEK, f->cek_key, &e));
	fixture_head(f->pdh, SEVCERT_PDH, SEVCERT_ECDH_SHA256, f->pdh_key, api_major, api_minor);
	fixture_must(sevcert_sign(f->pdh, 0, SEVCERT_PEK, f->pek_key, &e));
}

static inline struct fixture_chain *fixture_chain_new(void)
{
	struct fixture_chain *f = calloc(1, sizeof(*f));
	struct err e = { 0 };

	if (!f)
		abort();
	fixture_must(rsa_key_generate(2048, &f->ark_key, &e));
	fixture_must(rsa_key_generate(2048, &f->ask_key, &e));
	fixture_must(ec_key_generate(&f->cek_key, &e));
	fixture_must(ec_key_generate(&f->oca_key, &e));
	fixture_must(ec_key_generate(&f->pek_key, &e));
	fixture_must(ec_key_generate(&f->pdh_key, &e));
	fixture_amd(f, &e);
	fixture_sign(f, 1, 55);
	return f;
}

static inline void fixture_chain_free(struct fixture_chain *f)
{
	rsa_key_free(f->ark_key);
	rsa_key_free(f->ask_key);
	ec_key_free(f->cek_key);
	ec_key_free(f->oca_key);
	ec_key_free(f->pek_key);
	ec_key_free(f->pdh_key);
	free(f);
}

static inline struct owner_certs fixture_certs(const struct fixture_chain *f)
{
	return (struct owner_certs){
		.pdh = f->pdh, .plat = f->plat, .amd = f->amd, .amd_len = sizeof(f->amd)
	};
}
