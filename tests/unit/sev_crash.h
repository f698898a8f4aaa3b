/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Commands that replace keys, and whether a state directory holds one set of them. */

#include <errno.h>
#include <time.h>

#include "base/rdwr.h"
#include "crypto/key.h"
#include "crypto/sevcert.h"
#include "tests/unit/sev_fixture.h"

#define PEK_AT 0
#define OCA_AT SEV_CERT_LEN
#define CEK_AT (2 * SEV_CERT_LEN)

static char *dir;
static uint8_t owner_cert[SEVCERT_LEN];
static struct ec_key *owner_key;

static inline int crash_setup(void **state)
{
	const struct sevcert_head head = { .usage = SEVCERT_OCA, .algo = SEVCERT_ECDSA_SHA256 };
	struct err e = { 0 };

	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "one"), NULL, NULL);
	return ec_key_generate(&owner_key, &e) < 0 ||
	       sevcert_make(&head, owner_key, owner_cert, &e) < 0 ||
	       sevcert_sign(owner_cert, 0, SEVCERT_OCA, owner_key, &e) < 0;
}

static inline int crash_teardown(void **state)
{
	(void)state;
	ec_key_free(owner_key);
	fixture_dir_remove(dir);
	return 0;
}

static inline unsigned long number(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 10) : otherwise;
}

static inline uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- what is in the directory ------------------------------------------------------------------
 */

struct keys {
	struct sev_peer_certs certs;
	bool owned;
};

static inline struct sevcert cert_at(const uint8_t *p)
{
	struct rd in = rd_of(p, SEVCERT_LEN);
	struct sevcert c;
	struct err e = { 0 };

	if (sevcert_get(&in, &c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

static inline void expect_signed(const uint8_t *cert, const uint8_t *signer, const char *what)
{
	struct sevcert c = cert_at(cert), s = cert_at(signer);
	struct err e = { 0 };

	if (sevcert_verify(&c, &s, &e) < 0)
		fail_msg("%s: %s", what, e.msg);
}

/* Opening checks that each private key is its certificate's; here: that they are one set. */
static inline struct keys keys_of(struct sev_platform *p)
{
	struct sev_user_data_status st;
	struct keys k = { 0 };
	struct err e = { 0 };

	if (sev_certs_export(p, &k.certs, &e) < 0 || sev_platform_status(p, &st, &e) < 0)
		fail_msg("%s", e.msg);
	k.owned = st.flags & 1;
	expect_signed(k.certs.pdh, k.certs.plat + PEK_AT, "PDH by PEK");
	expect_signed(k.certs.plat + PEK_AT, k.certs.plat + OCA_AT, "PEK by OCA");
	expect_signed(k.certs.plat + PEK_AT, k.certs.plat + CEK_AT, "PEK by CEK");
	expect_signed(k.certs.plat + OCA_AT, k.certs.plat + OCA_AT, "OCA by itself");
	return k;
}

static inline struct keys keys_now(void)
{
	struct sev_platform *p = fixture_open(fixture_path(dir, "one"));
	struct keys k = keys_of(p);

	sev_platform_free(p);
	return k;
}

static inline bool differ(const struct keys *a, const struct keys *b, size_t at)
{
	return memcmp(a->certs.plat + at, b->certs.plat + at, SEVCERT_LEN) != 0;
}

/* --- the commands ------------------------------------------------------------------------------
 */

struct command {
	uint32_t id;
	bool pek, oca; /* what it replaces besides the PDH */
};

static const struct command commands[] = {
	{ SEV_PEK_GEN, true, true },
	{ SEV_PDH_GEN, false, false },
	{ SEV_PEK_CERT_IMPORT, true, true },
};

/* True: the new keys; false: the old ones; anything else fails. */
static inline bool is_new(const struct command *c, const struct keys *old, const struct keys *k)
{
	bool pdh = memcmp(old->certs.pdh, k->certs.pdh, SEVCERT_LEN) != 0;
	bool import = c->id == SEV_PEK_CERT_IMPORT;

	assert_false(differ(old, k, CEK_AT));
	assert_int_equal(differ(old, k, PEK_AT), pdh && c->pek);
	assert_int_equal(differ(old, k, OCA_AT), pdh && c->oca);
	assert_int_equal(k->owned, pdh && import);
	if (import && pdh)
		assert_memory_equal(k->certs.plat + OCA_AT, owner_cert, SEVCERT_LEN);
	return pdh;
}

static uint8_t signed_pek[SEVCERT_LEN];

static inline void must_issue(struct sev_platform *p, uint32_t id, void *params)
{
	struct sev_issue_cmd cmd = { .cmd = id, .data = (uintptr_t)params };

	assert_int_equal(sev_platform_issue(p, &cmd), 0);
}

/* Self-owned keys, and what the owner would import. */
static inline struct keys begin(void)
{
	struct sev_platform *p = fixture_open(fixture_path(dir, "one"));
	struct sev_user_data_pek_csr csr = { (uintptr_t)signed_pek, sizeof(signed_pek) };
	struct keys k = keys_of(p);
	struct err e = { 0 };

	if (k.owned) {
		must_issue(p, SEV_PEK_GEN, NULL);
		k = keys_of(p);
	}
	must_issue(p, SEV_PEK_CSR, &csr);
	assert_int_equal(sevcert_sign(signed_pek, 0, SEVCERT_OCA, owner_key, &e), 0);
	sev_platform_free(p);
	return k;
}

static inline int run(struct sev_platform *p, const struct command *c)
{
	struct sev_user_data_pek_cert_import import = { (uintptr_t)signed_pek, SEVCERT_LEN,
							(uintptr_t)owner_cert, SEVCERT_LEN };
	struct sev_issue_cmd cmd = { .cmd = c->id, .data = (uintptr_t)&import };

	return sev_platform_issue(p, &cmd);
}
