/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Measured direct boot. The monitor puts hashes of the kernel, the initial RAM disk and the
 * command line into an area that the firmware names in its GUID table, and has that page measured
 * with the firmware; the firmware boots what was handed to it only if it has these hashes. QEMU:
 * kernel-hashes=on.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define OWNER_HASHES_LEN 176u

struct owner_boot {
	const uint8_t *kernel; /* the whole file */
	size_t kernel_len;
	const uint8_t *initrd; /* NULL: none, which hashes like an empty one */
	size_t initrd_len;
	const char *append; /* NULL: the empty one */
};

/* The table as it is measured, padding included. */
int must_check owner_hashes_make(const struct owner_boot *boot, uint8_t out[OWNER_HASHES_LEN],
				 struct err *e);
