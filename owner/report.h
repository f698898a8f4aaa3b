/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An attestation report: what was measured when a guest was launched, signed by the platform's PEK.
 * SEV API, ATTESTATION. */

#include <stddef.h>
#include <stdint.h>

#include "abi/psp.h"
#include "base/err.h"
#include "crypto/sevcert.h"

/* Borrows from the bytes it was decoded from. */
struct owner_report {
	const uint8_t *raw;    /* PSP_REPORT_LEN */
	const uint8_t *mnonce; /* PSP_NONCE_LEN: what the one who asked sent along */
	const uint8_t *digest; /* PSP_DIGEST_LEN */
	uint32_t policy;
	uint32_t sig_usage, sig_algo;
};

/* -EPROTO unless it is PSP_REPORT_LEN bytes that a PEK says to have signed. */
int must_check owner_report_get(const uint8_t *p, size_t len, struct owner_report *out,
				struct err *e);
/* -EKEYREJECTED when this PEK has not signed it. Whose PEK that is, the chain says. */
int must_check owner_report_verify(const struct owner_report *r, const struct sevcert *pek,
				   struct err *e);
