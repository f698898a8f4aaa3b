/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the two migration handlers prove to each other: doc/PROTOCOL.md 3.16, doc/HANDLER.md 3. */

#include "stream/stream.h"

#define STREAM_RECORD_LEN 64u

enum stream_proof {
	STREAM_PROOF_MANIFEST = 1, /* to target: what was sent */
	STREAM_PROOF_RECEIPT,      /* to source: all of it is here */
	STREAM_PROOF_RELEASE,      /* to target: the guest was given up */
	STREAM_PROOFS
};

struct stream_manifest {
	uint32_t proof; /* enum stream_proof */
	uint8_t record[STREAM_RECORD_LEN];
};

int must_check stream_manifest_get(const uint8_t *p, size_t len, struct stream_manifest *out,
				   struct err *e);
int must_check stream_manifest_put(struct wr *out, const struct stream_manifest *m, struct err *e);
