/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * AES-256-GCM by the IPSec Multi-Buffer library's assembly, which needs no memory of its own and no
 * operating system. One call seals one page: its nonce is its epoch, used once under a key.
 */

#include <stdint.h>

#ifndef LINUX
#define LINUX /* the library's name for a system where it may align its keys */
#endif
#include <intel-ipsec-mb.h>

#include "abi/handler.h"

enum handler_cipher { HANDLER_CIPHER_SSE = 1, HANDLER_CIPHER_VAES };

/* Who a nonce belongs to, so that none serves twice under one key. */
enum gcm_class { GCM_PAGE, GCM_EPOCHS, GCM_MANIFEST, GCM_RECEIPT, GCM_RELEASE };

struct gcm_span {
	const uint8_t *p;
	uint64_t len;
};

void gcm_key_init(enum handler_cipher c, struct gcm_key_data *k, const uint8_t key[32]);
/* len bytes from in to out, which are private memory. */
void gcm_seal(enum handler_cipher c, const struct gcm_key_data *k, enum gcm_class kind,
	      uint64_t number, struct gcm_span aad, struct gcm_span in, uint8_t *out,
	      uint8_t tag[HANDLER_TAG_LEN]);
/* The tag that belongs to it comes out; the caller compares. */
void gcm_open(enum handler_cipher c, const struct gcm_key_data *k, enum gcm_class kind,
	      uint64_t number, struct gcm_span aad, struct gcm_span in, uint8_t *out,
	      uint8_t tag[HANDLER_TAG_LEN]);
