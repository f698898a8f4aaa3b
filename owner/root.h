/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Roots of trust. A root is pinned by its bytes or by their SHA-256; what its key id says is no
 * more than a hint for people, because anybody can make a certificate with that id. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/sevcert.h"

/* Is this one ARK, whole? -EPROTO if not. */
int must_check owner_root_get(const uint8_t *p, size_t len, struct amdcert *out, struct err *e);
/* -EKEYREJECTED when this is not the SHA-256 of the certificate. */
int must_check owner_root_check(const uint8_t *ark, size_t len, const uint8_t print[SHA256_LEN],
				struct err *e);
/* "Milan": the generation whose ARK at AMD has a key id that begins like this one; NULL: none. */
const char *owner_root_claim(const struct amdcert *ark);
