/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a launch should have measured. The launch digest is SHA-256 over the bytes in the order in
 * which they were encrypted, nothing between them; QEMU's order is firmware, kernel hashes, one
 * page of registers a vCPU. The measurement is a MAC over the digest with a key that only the
 * owner and the Secure Processor know: SEV API, LAUNCH_MEASURE.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/psp.h"
#include "base/err.h"
#include "crypto/session.h"
#include "owner/vmsa.h"

#define OWNER_VCPUS_MAX 4096u

struct owner_launch {
	const uint8_t *firmware; /* the whole image */
	size_t firmware_len;
	const uint8_t *hashes; /* OWNER_HASHES_LEN bytes; NULL: not measured */
	unsigned vcpus;        /* SEV-ES; 0: registers are not measured */
	uint32_t signature;    /* SEV-ES: as in struct owner_vmsa */
	bool init2;
};

/* -ENOENT when the firmware has no room for the hashes, or does not say where secondary vCPUs
 * start. */
int must_check owner_launch_digest(const struct owner_launch *l, uint8_t out[PSP_DIGEST_LEN],
				   struct err *e);

/* m->mnonce is filled in from what came. -EKEYREJECTED when it is another measurement. */
int must_check owner_launch_check(const struct secret *tik, struct session_measured *m,
				  const uint8_t measurement[PSP_MEASURE_LEN], struct err *e);
