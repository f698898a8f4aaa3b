/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A peer's six certificates, decoded, each in its place. Borrows from the owner_certs. */

#include "crypto/sevcert.h"
#include "owner/peer.h"

struct owner_chain {
	struct sevcert pdh, pek, oca, cek;
	struct amdcert ask, ark;
};

/* -EPROTO when one is malformed or not the kind that belongs there. */
int must_check owner_chain_get(const struct owner_certs *c, struct owner_chain *out, struct err *e);
/* PDH by PEK, PEK by OCA, OCA by itself: what policy DOMAIN relies on. */
int must_check owner_chain_verify_owner(const struct owner_chain *c, struct err *e);
/* ASK by ARK, CEK by ASK, PEK by CEK, PDH by PEK: what policy SEV relies on. Says nothing about
 * whose ARK it is. */
int must_check owner_chain_verify_chip(const struct owner_chain *c, struct err *e);
