/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The beginning of a launch, from the owner's side: keys of the owner's choice, wrapped so that
 * only the platform with this PDH can take them out, and bound to the guest's policy. SEV API,
 * LAUNCH_START. Verify the platform's chain first: whoever has the PDH's private key learns the
 * keys.
 */

#include <stdint.h>

#include "abi/psp.h"
#include "base/err.h"
#include "crypto/session.h"

struct owner_session {
	uint8_t godh[PSP_CERT_LEN];    /* the owner's DH certificate, for LAUNCH_START */
	uint8_t blob[PSP_SESSION_LEN]; /* the session buffer, for LAUNCH_START */
	struct session_keys keys;      /* for the measurement and the secrets */
};

int must_check owner_session_make(const uint8_t pdh[PSP_CERT_LEN], uint32_t policy,
				  struct owner_session *out, struct err *e);
void owner_session_wipe(struct owner_session *s);
#define auto_owner_session cleanup_with(owner_session_wipe)
