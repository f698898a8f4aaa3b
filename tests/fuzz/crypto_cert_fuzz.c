/* SPDX-License-Identifier: Apache-2.0 */

/* Certificates of both forms, back to back as chains come; what decodes is verified too. */

#include <stddef.h>
#include <stdint.h>

#include "crypto/key.h"
#include "crypto/sevcert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void read_all(const uint8_t *p, size_t len)
{
	for (size_t i = 0; p && i < len; i++)
		sink ^= p[i];
}

static void sev_chain(struct rd in)
{
	struct sevcert c, signer;
	struct err e = { 0 };
	bool first = true;

	while (in.len > 0 && sevcert_get(&in, &c, &e) == 0) {
		auto_ec_key struct ec_key *k = NULL;

		if (first)
			signer = c;
		first = false;
		read_all(c.raw, SEVCERT_LEN);
		for (int i = 0; i < SEVCERT_SIGS; i++)
			read_all(c.sig[i].bytes, SEVCERT_SIG_LEN);
		if (sevcert_ec_key(&c, &k, &e) < 0)
			continue;
		sink ^= sevcert_verify(&c, &c, &e) == 0;
		sink ^= sevcert_verify(&c, &signer, &e) == 0;
	}
}

static void amd_chain(struct rd in)
{
	struct amdcert c, signer;
	struct err e = { 0 };
	bool first = true;

	while (in.len > 0 && amdcert_get(&in, &c, &e) == 0) {
		if (first)
			signer = c;
		first = false;
		read_all(c.raw, c.len);
		read_all(c.modulus, c.bits / 8);
		read_all(c.sig, c.bits / 8);
		sink ^= amdcert_verify(&c, &c, &e) == 0;
		sink ^= amdcert_verify(&signer, &c, &e) == 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sev_chain(rd_of(data, size));
	amd_chain(rd_of(data, size));
	return 0;
}
