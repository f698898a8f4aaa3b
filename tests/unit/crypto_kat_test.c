/* SPDX-License-Identifier: Apache-2.0 */

/* The known answers of tests/golden/kat/vectors.txt, which the openssl command recomputes, too. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/kdf.h"
#include "crypto/session.h"
#include "crypto/sevcert.h"
#include "tests/unit/hex.h"

#define VALUES 16
#define BYTES 4096 /* of the longest value */

struct vector {
	char kind[16], name[128];
	char *key[VALUES], *value[VALUES]; /* owned */
	size_t n;
};

static const char *text(const struct vector *v, const char *key)
{
	for (size_t i = 0; i < v->n; i++) {
		if (strcmp(v->key[i], key) == 0)
			return v->value[i];
	}
	fail_msg("%s: no %s", v->name, key);
	return NULL;
}

static size_t bytes(const struct vector *v, const char *key, uint8_t out[BYTES])
{
	const char *s = text(v, key);

	assert_true(strlen(s) / 2 <= BYTES);
	return hex_get(s, out);
}

static struct secret secret_of(const struct vector *v, const char *key)
{
	struct secret s = { 0 };

	assert_true(strlen(text(v, key)) / 2 <= sizeof(s.b));
	s.len = hex_get(text(v, key), s.b);
	return s;
}

static void expect(const struct vector *v, const char *key, const uint8_t *got, size_t len)
{
	uint8_t want[BYTES];

	if (bytes(v, key, want) != len || memcmp(want, got, len) != 0)
		fail_msg("%s: %s differs", v->name, key);
}

#define RUNS(v, call)                                                                              \
	do {                                                                                       \
		struct err e = { 0 };                                                              \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", (v)->name, e.msg);                                      \
	} while (0)

/* --- one function a kind -------------------------------------------------------------------------
 */

static void kat_kdf(const struct vector *v)
{
	struct secret key = secret_of(v, "key"), out = { .len = 16 };
	uint8_t context[BYTES];
	size_t n = bytes(v, "context", context);

	RUNS(v, crypto_kdf_sev(&key, text(v, "label"), context, n, &out, &e));
	expect(v, "out", out.b, out.len);
}

static void kat_hkdf(const struct vector *v)
{
	struct secret out = { .len = 32 };
	uint8_t key[BYTES], salt[BYTES];
	size_t k = bytes(v, "key", key), s = bytes(v, "salt", salt);

	RUNS(v, crypto_hkdf(key, k, salt, s, text(v, "info"), &out, &e));
	expect(v, "out", out.b, out.len);
}

static void kat_agree(const struct vector *v)
{
	auto_ec_key struct ec_key *own = NULL;
	auto_ec_key struct ec_key *peer = NULL;
	uint8_t a[BYTES], b[BYTES];
	struct secret z = { 0 };

	bytes(v, "own", a);
	bytes(v, "peer", b);
	RUNS(v, ec_key_of_scalar(a, &own, &e));
	RUNS(v, ec_key_of_scalar(b, &peer, &e));
	RUNS(v, ec_key_derive(own, peer, &z, &e));
	expect(v, "z", z.b, z.len);
}

static void kat_session(const struct vector *v)
{
	struct secret ms = secret_of(v, "ms");
	struct session_keys k = { secret_of(v, "tek"), secret_of(v, "tik") };
	struct session_master m = { .kek.len = 16, .kik.len = 16 };
	uint8_t nonce[BYTES], iv[BYTES], out[SESSION_BUF_LEN];
	uint32_t policy = (uint32_t)strtoul(text(v, "policy"), NULL, 10);

	bytes(v, "nonce", nonce);
	bytes(v, "iv", iv);
	RUNS(v, crypto_kdf_sev(&ms, "sev-kek", NULL, 0, &m.kek, &e));
	RUNS(v, crypto_kdf_sev(&ms, "sev-kik", NULL, 0, &m.kik, &e));
	RUNS(v, session_wrap(&m, &k, policy, nonce, iv, out, &e));
	expect(v, "session", out, sizeof(out));
}

static void kat_digest(const struct vector *v)
{
	struct crypto_hash *h = NULL;
	uint8_t data[BYTES], out[SHA256_LEN];
	size_t n = bytes(v, "first", data);

	RUNS(v, crypto_hash_new(&h, &e));
	RUNS(v, crypto_hash_add(h, data, n, &e));
	n = bytes(v, "second", data);
	RUNS(v, crypto_hash_add(h, data, n, &e));
	RUNS(v, crypto_hash_get(h, out, &e));
	crypto_hash_free(h);
	expect(v, "out", out, sizeof(out));
}

static void kat_measure(const struct vector *v)
{
	struct secret tik = secret_of(v, "tik");
	uint8_t version[BYTES], digest[BYTES], mnonce[BYTES], mac[HMAC_LEN];
	struct session_measured m = { 0 };

	assert_int_equal(bytes(v, "version", version), 3);
	bytes(v, "digest", digest);
	bytes(v, "mnonce", mnonce);
	m.api_major = version[0];
	m.api_minor = version[1];
	m.build = version[2];
	m.policy = (uint32_t)strtoul(text(v, "policy"), NULL, 10);
	memcpy(m.digest, digest, sizeof(m.digest));
	memcpy(m.mnonce, mnonce, sizeof(m.mnonce));
	RUNS(v, session_measure(&tik, &m, mac, &e));
	expect(v, "mac", mac, sizeof(mac));
}

/* Sealing draws its own IV, so what is checked is that the packet opens. */
static void kat_packet(const struct vector *v)
{
	struct session_keys k = { secret_of(v, "tek"), secret_of(v, "tik") };
	auto_session_packer struct session_packer *p = NULL;
	uint8_t domain[BYTES], iv[BYTES], mac[BYTES], measure[BYTES], cipher[BYTES], out[BYTES];
	uint8_t hdr[SESSION_HDR_LEN] = { 0 };
	struct session_packet kind = { 0 };
	size_t n = bytes(v, "cipher", cipher);

	assert_int_equal(bytes(v, "domain", domain), 1);
	kind.domain = domain[0];
	kind.measure = bytes(v, "measure", measure) ? measure : NULL;
	bytes(v, "iv", iv);
	bytes(v, "mac", mac);
	memcpy(hdr + 4, iv, 16);
	memcpy(hdr + 20, mac, 32);
	RUNS(v, session_packer_new(&k, &p, &e));
	RUNS(v, session_open(p, &kind, hdr, cipher, (uint32_t)n, out, &e));
	expect(v, "plain", out, n);
}

static void reverse(const uint8_t *in, uint8_t out[EC_COORD_LEN])
{
	memset(out, 0, EC_COORD_LEN);
	for (size_t i = 0; i < P384_LEN; i++)
		out[i] = in[P384_LEN - 1 - i];
}

static void kat_report(const struct vector *v)
{
	auto_ec_key struct ec_key *pek = NULL;
	uint8_t x[BYTES], y[BYTES], report[BYTES], lx[EC_COORD_LEN], ly[EC_COORD_LEN];

	bytes(v, "x", x);
	bytes(v, "y", y);
	assert_int_equal(bytes(v, "report", report), 208);
	reverse(x, lx);
	reverse(y, ly);
	RUNS(v, ec_key_of_point(lx, ly, &pek, &e));
	RUNS(v, ec_key_verify(pek, CRYPTO_SHA256, report, 52, report + 64, &e));
}

static void kat_cert(const struct vector *v)
{
	uint8_t a[BYTES], b[BYTES];
	struct rd ra = rd_of(a, bytes(v, "cert", a)), rb = rd_of(b, bytes(v, "signer", b));
	struct sevcert cert, signer;

	RUNS(v, sevcert_get(&ra, &cert, &e));
	RUNS(v, sevcert_get(&rb, &signer, &e));
	RUNS(v, sevcert_verify(&cert, &signer, &e));
}

static void kat_amdcert(const struct vector *v)
{
	uint8_t a[BYTES], b[BYTES];
	struct rd ra = rd_of(a, bytes(v, "cert", a)), rb = rd_of(b, bytes(v, "signer", b));
	struct amdcert cert, signer;

	RUNS(v, amdcert_get(&ra, &cert, &e));
	RUNS(v, amdcert_get(&rb, &signer, &e));
	RUNS(v, amdcert_verify(&cert, &signer, &e));
}

static void kat_cek(const struct vector *v)
{
	uint8_t a[BYTES], b[BYTES];
	struct rd ra = rd_of(a, bytes(v, "cert", a)), rb = rd_of(b, bytes(v, "signer", b));
	struct sevcert cert;
	struct amdcert signer;

	RUNS(v, sevcert_get(&ra, &cert, &e));
	RUNS(v, amdcert_get(&rb, &signer, &e));
	RUNS(v, sevcert_verify_amd(&cert, &signer, &e));
}

/* --- the file
 * -------------------------------------------------------------------------------------- */

static const struct {
	const char *kind;
	void (*check)(const struct vector *v);
	unsigned at_least; /* so many there must be */
} kinds[] = {
	{ "kdf", kat_kdf, 6 },         { "hkdf", kat_hkdf, 1 },     { "agree", kat_agree, 1 },
	{ "session", kat_session, 3 }, { "digest", kat_digest, 2 }, { "measure", kat_measure, 2 },
	{ "packet", kat_packet, 3 },   { "report", kat_report, 1 }, { "cert", kat_cert, 3 },
	{ "amdcert", kat_amdcert, 3 }, { "cek", kat_cek, 2 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static unsigned found[KINDS];

static void vector_end(struct vector *v)
{
	size_t i = 0;

	if (!v->kind[0])
		return;
	while (i < KINDS && strcmp(kinds[i].kind, v->kind) != 0)
		i++;
	if (i == KINDS)
		fail_msg("%s: nobody checks %s", v->name, v->kind);
	kinds[i].check(v);
	found[i]++;
	for (i = 0; i < v->n; i++) {
		free(v->key[i]);
		free(v->value[i]);
	}
	*v = (struct vector){ 0 };
}

static void vector_line(struct vector *v, char *line)
{
	char *value = strstr(line, " = ");

	if (line[0] == '[') {
		assert_int_equal(sscanf(line, "[%15[^]]] %127[^\n]", v->kind, v->name), 2);
		return;
	}
	if (!value)
		fail_msg("%s: \"%s\" is no KEY = VALUE", v->name, line);
	assert_in_range(v->n, 0, VALUES - 1);
	*value = 0;
	v->key[v->n] = strdup(line);
	v->value[v->n] = strdup(value + 3);
	v->n++;
}

static void every_vector_of_the_file_holds(void **state)
{
	FILE *f = fopen(SOURCE_ROOT "/tests/golden/kat/vectors.txt", "re");
	struct vector v = { 0 };
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	(void)state;
	assert_non_null(f);
	while ((n = getline(&line, &cap, f)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = 0;
		if (!line[0])
			vector_end(&v);
		else if (line[0] != '#')
			vector_line(&v, line);
	}
	vector_end(&v);
	free(line);
	fclose(f);
	for (size_t i = 0; i < KINDS; i++)
		assert_true(found[i] >= kinds[i].at_least);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_of_the_file_holds),
	};

	return cmocka_run_group_tests_name("crypto_kat", tests, NULL, NULL);
}
