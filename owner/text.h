/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes as people and QEMU write them: hexadecimal, base64 and GUIDs. Pure functions; whatever
 * they are given is refused unless all of it is what it should be. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Exactly len bytes, in either case. */
int must_check owner_hex_get(const char *s, uint8_t *out, size_t len, struct err *e);
/* 2 * len digits and a NUL. */
void owner_hex_put(const uint8_t *p, size_t len, char *out);

/* RFC 4648, padded. Line breaks and blanks are passed over, as base64(1) writes them. */
#define OWNER_BASE64_LEN(n) (((n) + 2) / 3 * 4 + 1) /* with its NUL */
int must_check owner_base64_get(const char *s, size_t n, uint8_t *out, size_t cap, size_t *len,
				struct err *e);
void owner_base64_put(const uint8_t *p, size_t len, char *out);

/* The first three groups of a GUID are stored little endian. */
#define OWNER_GUID_LEN 16u
int must_check owner_guid_get(const char *s, uint8_t out[OWNER_GUID_LEN], struct err *e);
