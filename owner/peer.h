/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * May this guest go to that platform? Decided from the platform's certificates before anything is
 * sent: the chain ARK > ASK > CEK > PEK (also OCA > PEK) > PDH up to a pinned root, an allow list
 * of platforms, and the guest policy's own rules (SEV API, SEND_START and the policy chapter). The
 * Secure Processor checks its part again; this is where an operator gets a reason.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct owner_certs {
	const uint8_t *pdh;  /* 0x824 bytes */
	const uint8_t *plat; /* PEK, OCA, CEK: 0x186c bytes */
	const uint8_t *amd;  /* ASK, ARK */
	size_t amd_len;
};

/* The platform's identity in allow lists: SHA-256 of the CEK's public key, lower-case hex, NUL. */
#define OWNER_PLATFORM_ID_LEN 65
int must_check owner_platform_id(const struct owner_certs *c, char out[OWNER_PLATFORM_ID_LEN],
				 struct err *e);

/* The first link that does not hold is named: "CEK is not signed by ASK". pinned_ark is the ARK
 * certificate the caller trusts, byte for byte. */
int must_check owner_chain_verify(const struct owner_certs *c, const uint8_t *pinned_ark,
				  size_t pinned_len, struct err *e);

/* One lower-case hex id a line, # comments. -EACCES when the platform is not in it. */
int must_check owner_allow_check(const char *list, size_t len, const struct owner_certs *c,
				 struct err *e);

/* Policy against the target: NOSEND, DOMAIN (same OCA as own_oca, 0x824 bytes), minimum API. The
 * error names the policy bit. */
int must_check owner_policy_check(uint32_t policy, const struct owner_certs *c,
				  const uint8_t *own_oca, struct err *e);
