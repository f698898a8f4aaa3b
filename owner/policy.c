/* SPDX-License-Identifier: Apache-2.0 */

/* The guest policy's rules about where a guest may go: SEV API chapter 3 and SEND_START. */

#include "owner/peer.h"

#include <errno.h>
#include <stdbool.h>

#include "abi/psp.h"
#include "crypto/secret.h"
#include "owner/certs.h"

/* An OCA is its key; who signed the certificate again did not change it. */
static bool same_key(const struct sevcert *a, const struct sevcert *b)
{
	return a->algo == b->algo && crypto_equal(a->pubkey, b->pubkey, SEVCERT_PUBKEY_LEN);
}

static int domain_check(const struct owner_chain *target, const uint8_t *own_oca, struct err *e)
{
	struct sevcert own;
	struct rd in = rd_of(own_oca, own_oca ? SEVCERT_LEN : 0);
	int r = sevcert_get(&in, &own, e);

	if (r < 0)
		return err_wrap(e, r, "policy DOMAIN (bit 4): this platform's OCA");
	if (own.usage != SEVCERT_OCA)
		return err_set(e, -EPROTO, "policy DOMAIN (bit 4): this platform's OCA is not one");
	if (!same_key(&own, &target->oca))
		return err_set(e, -EACCES,
			       "policy DOMAIN (bit 4) forbids this target: it belongs to another "
			       "owner (its OCA is not this platform's)");
	r = owner_chain_verify_owner(target, e);
	return r < 0 ? err_wrap(e, -EACCES, "policy DOMAIN (bit 4) forbids this target") : 0;
}

/* The PEK is signed as made by the chip's firmware, so it tells that firmware's version. */
static int api_check(uint32_t policy, const struct sevcert *pek, struct err *e)
{
	unsigned major = PSP_POLICY_API_MAJOR(policy), minor = PSP_POLICY_API_MINOR(policy);

	if (pek->api_major > major || (pek->api_major == major && pek->api_minor >= minor))
		return 0;
	return err_set(e, -EACCES,
		       "policy minimum API %u.%u (bits 31:16) forbids this target: its firmware "
		       "has API %u.%u",
		       major, minor, pek->api_major, pek->api_minor);
}

int owner_policy_check(uint32_t policy, const struct owner_certs *c, const uint8_t *own_oca,
		       struct err *e)
{
	struct owner_chain target;
	int r;

	if (policy & PSP_POLICY_NOSEND)
		return err_set(e, -EACCES, "policy NOSEND (bit 3) forbids sending this guest");
	r = owner_chain_get(c, &target, e);
	if (r < 0)
		return r;
	if (policy & PSP_POLICY_DOMAIN) {
		r = domain_check(&target, own_oca, e);
		if (r < 0)
			return r;
	}
	if (policy & PSP_POLICY_SEV) {
		r = owner_chain_verify_chip(&target, e);
		if (r < 0)
			return err_wrap(e, -EACCES, "policy SEV (bit 5) forbids this target");
	}
	return api_check(policy, &target.pek, e);
}
