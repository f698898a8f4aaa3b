/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Key derivation. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/secret.h"

/* NIST SP 800-108 in counter mode with HMAC-SHA-256, the way the SEV API uses it: counter and
 * length in bits are little endian. Label is ASCII without its NUL. Fills out->len bytes. */
int must_check crypto_kdf_sev(const struct secret *key, const char *label, const void *context,
			      size_t context_len, struct secret *out, struct err *e);
/* HKDF-SHA-256 (RFC 5869). salt may be NULL. Fills out->len bytes. */
int must_check crypto_hkdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len,
			   const char *info, struct secret *out, struct err *e);
