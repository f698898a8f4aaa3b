/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Secrets for a guest that was measured: a table that firmware and kernel know (OVMF hands it to
 * Linux as efi_secret), encrypted for exactly this launch. SEV API, LAUNCH_SECRET. The table: a
 * GUID and its length (padding not counted), then GUID, length and data of each secret, lengths
 * counting themselves and the GUID.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/psp.h"
#include "base/buf.h"
#include "base/err.h"
#include "crypto/session.h"
#include "owner/text.h"

struct owner_secret {
	uint8_t guid[OWNER_GUID_LEN];
	const uint8_t *p;
	size_t len;
};

/* Appends the table, padded to 16 bytes, to out, whose memory holds plain secrets from then on: the
 * caller wipes it, also after a failure. -E2BIG above what LAUNCH_SECRET takes. */
int must_check owner_secret_table(const struct owner_secret *v, size_t n, struct buf *out,
				  struct err *e);
/* measure: the first 32 bytes of the launch measurement. cipher: len bytes. */
int must_check owner_secret_seal(const struct session_keys *k, const uint8_t measure[PSP_MAC_LEN],
				 const uint8_t *table, size_t len, uint8_t hdr[PSP_HDR_LEN],
				 uint8_t *cipher, struct err *e);
