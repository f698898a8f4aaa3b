/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/session.h"

#include <errno.h>

#include "crypto/sevcert.h"

void owner_session_wipe(struct owner_session *s)
{
	session_keys_wipe(&s->keys);
}

static int pdh_key_get(const uint8_t pdh[PSP_CERT_LEN], struct ec_key **out, struct err *e)
{
	struct rd in = rd_of(pdh, PSP_CERT_LEN);
	struct sevcert cert;
	int r = sevcert_get(&in, &cert, e);

	if (r < 0)
		return r;
	if (cert.usage != SEVCERT_PDH)
		return err_set(e, -EPROTO, "a certificate for %s, not for PDH",
			       sevcert_usage_name(cert.usage));
	return sevcert_ec_key(&cert, out, e);
}

/* Unsigned: the Secure Processor asks nobody who the owner is, and the keys are bound to the
 * platform by its own certificate. */
static int godh_make(const struct ec_key *own, uint8_t out[PSP_CERT_LEN], struct err *e)
{
	const struct sevcert_head head = { .usage = SEVCERT_PDH, .algo = SEVCERT_ECDH_SHA256 };

	return sevcert_make(&head, own, out, e);
}

static int blob_make(const struct ec_key *own, const struct ec_key *pdh, uint32_t policy,
		     struct owner_session *s, struct err *e)
{
	auto_session_master struct session_master m = { 0 };
	uint8_t nonce[SESSION_NONCE_LEN], iv[AES_IV_LEN];
	int r = crypto_random(nonce, sizeof(nonce), e);

	if (r == 0)
		r = crypto_random(iv, sizeof(iv), e);
	if (r == 0)
		r = session_keys_random(&s->keys, e);
	if (r == 0)
		r = session_master_agree(own, pdh, nonce, &m, e);
	return r < 0 ? r : session_wrap(&m, &s->keys, policy, nonce, iv, s->blob, e);
}

int owner_session_make(const uint8_t pdh[PSP_CERT_LEN], uint32_t policy, struct owner_session *out,
		       struct err *e)
{
	auto_ec_key struct ec_key *own = NULL;
	auto_ec_key struct ec_key *peer = NULL;
	int r = pdh_key_get(pdh, &peer, e);

	if (r < 0)
		return err_wrap(e, r, "PDH");
	r = ec_key_generate(&own, e);
	if (r == 0)
		r = godh_make(own, out->godh, e);
	return r < 0 ? r : blob_make(own, peer, policy, out, e);
}
