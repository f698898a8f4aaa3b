/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a guest may go: the pinned root, the allow list and this platform's owner, read when a
 * migration is asked for and applied to what the target shows of itself. */

#include "base/buf.h"
#include "base/err.h"
#include "sev/sev.h"

struct trust {
	struct buf ark;   /* the pinned root, byte for byte */
	struct buf allow; /* the allow list's text */
	bool has_allow;
	uint8_t oca[SEV_CERT_LEN]; /* this platform's owner, for the policy's DOMAIN bit */
};

/* root NULL: the root of platform p itself; allow NULL: any platform under the root. Call
 * trust_fini() also after a failure. */
int must_check trust_load(struct trust *t, struct sev_platform *p, const char *root,
			  const char *allow, struct err *e);
int must_check trust_check(const struct trust *t, const struct sev_peer_certs *peer,
			   uint32_t policy, struct err *e);
void trust_fini(struct trust *t);
