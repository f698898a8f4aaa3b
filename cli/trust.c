/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust.h"

#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "owner/peer.h"

#define ARK_MAX 4096u
#define ALLOW_MAX (4u << 20)

int trust_load(struct trust *t, struct sev_platform *p, const char *root, const char *allow,
	       struct err *e)
{
	struct sev_peer_certs own;
	int r = sev_certs_export(p, &own, e);

	memset(t, 0, sizeof(*t));
	if (r < 0)
		return r;
	memcpy(t->oca, own.plat + SEV_CERT_LEN, SEV_CERT_LEN);
	if (!root && strcmp(p->name, "kernel") == 0)
		log_warn("trust",
			 "no --root given: trusting the root this platform shows of itself");
	if (root)
		r = fd_file_read(root, ARK_MAX, &t->ark, e);
	else /* ASK, then ARK, of one size */
		r = buf_add(&t->ark, own.amd + own.amd_len / 2, own.amd_len / 2, e);
	if (r == 0 && allow) {
		t->has_allow = true;
		r = fd_file_read(allow, ALLOW_MAX, &t->allow, e);
	}
	return r;
}

int trust_check(const struct trust *t, const struct sev_peer_certs *peer, uint32_t policy,
		struct err *e)
{
	const struct owner_certs certs = { peer->pdh, peer->plat, peer->amd, peer->amd_len };
	int r = owner_chain_verify(&certs, t->ark.p, t->ark.len, e);

	if (r == 0 && t->has_allow)
		r = owner_allow_check(t->allow.p ? (const char *)t->allow.p : "", t->allow.len,
				      &certs, e);
	if (r == 0)
		r = owner_policy_check(policy, &certs, t->oca, e);
	return r;
}

void trust_fini(struct trust *t)
{
	buf_fini(&t->ark);
	buf_fini(&t->allow);
}
