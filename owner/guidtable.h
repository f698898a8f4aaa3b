/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a firmware image says of itself in the GUID table near its end, which is read backwards:
 *
 *	EOF-0x20		the last byte of the table is before here
 *	EOF-0x30	16	footer GUID
 *	EOF-0x32	2	length of the whole table, footer included
 *	below			entries: data, length (data + 18), GUID
 *
 * Images are files from outside: every length is checked, and a table that is not whole is refused
 * rather than believed in part. An area whose base or size is 0 is absent; so most builds say that
 * they have none.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "owner/text.h"

struct owner_area {
	uint32_t base, size; /* both 0: absent */
};

struct owner_guidtable {
	unsigned entries;
	uint32_t es_reset;        /* SEV-ES: where secondary vCPUs start; 0: not said */
	uint32_t migration;       /* FIRMWARE_MIGRATES (abi/firmware.h); 0: not said */
	struct owner_area secret; /* for LAUNCH_SECRET */
	struct owner_area hashes; /* for the kernel hashes */
};

/* -ENOENT without a table, as in an image of variables; -EPROTO for a damaged one. */
int must_check owner_guidtable_get(const uint8_t *image, size_t len, struct owner_guidtable *out,
				   struct err *e);
/* The data of the entry with this GUID, as written; borrowed from the image. -ENOENT without. */
int must_check owner_guidtable_find(const uint8_t *image, size_t len, const char *guid,
				    const uint8_t **data, size_t *data_len, struct err *e);
