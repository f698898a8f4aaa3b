/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Certificates as tools hand them on: one a file or joined, in this order or that. sevctl writes
 * PDH, PEK, OCA, CEK and perhaps ASK, ARK; QEMU's cert-chain is PEK, OCA, CEK; AMD distributes ASK,
 * ARK. Each says what it is for, so the order does not matter here; whether it says so rightly is a
 * question for owner_chain_verify().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/sevcert.h"
#include "owner/peer.h"

#define OWNER_CERTS 6
#define OWNER_JOINED_MAX (4 * SEVCERT_LEN + 2 * AMDCERT_LEN_4096)

struct owner_piece {
	uint32_t usage;
	const uint8_t *p; /* borrowed */
	size_t len;
};

/* -EPROTO unless all of it is certificates, each of another usage. */
int must_check owner_joined_get(const uint8_t *p, size_t len, struct owner_piece out[OWNER_CERTS],
				size_t *n, struct err *e);

/* Certificates of one platform from any number of files. Zero-initialise. */
struct owner_set {
	uint8_t sev[4][SEVCERT_LEN]; /* PDH, PEK, OCA, CEK */
	uint8_t amd[2][AMDCERT_LEN_4096];
	size_t len[OWNER_CERTS]; /* 0: missing */
	uint8_t amd_chain[2 * AMDCERT_LEN_4096];
};

/* Adds what is joined here. The same certificate may come twice; of two for one CEK the one that
 * AMD signed stays, because firmware exports it unsigned. -EEXIST for two different ones. */
int must_check owner_set_add(struct owner_set *s, const uint8_t *p, size_t len, struct err *e);
/* The one of this usage; NULL: missing. */
const uint8_t *owner_set_find(const struct owner_set *s, uint32_t usage, size_t *len);
/* As the rest of owner/ wants them, borrowed from the set. -ENOENT names the first that is missing,
 * from the root down. */
int must_check owner_set_certs(struct owner_set *s, struct owner_certs *out, struct err *e);
