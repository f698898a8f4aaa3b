/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A vCPU of an SEV-ES guest, sealed by the Secure Processor: doc/PROTOCOL.md 3.14. */

#include "stream/pages.h"

#define STREAM_VMSA_LEN 4096u

struct stream_vmsa {
	uint32_t vcpu; /* in the order they were made */
	uint8_t hdr[STREAM_PACKET_HDR_LEN];
	const uint8_t *packet; /* decoded: the body, STREAM_VMSA_LEN bytes */
};

/* have: vCPUs that came before, so the index this one must have; vcpus: how many the guest has. */
int must_check stream_vmsa_get(const uint8_t *p, size_t len, const uint8_t *body, size_t body_len,
			       uint32_t have, uint32_t vcpus, struct stream_vmsa *out,
			       struct err *e);
int must_check stream_vmsa_put(struct wr *out, const struct stream_vmsa *m, struct err *e);
