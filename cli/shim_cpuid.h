/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* By which means a program under the shim sees a C-bit in CPUID, and where: QEMU takes no other
 * position than the one that it reads there itself. */

#include <stdbool.h>

/* EBX of the host's own leaf 0x8000001f; behind the last leaf, whatever its processor says there.
 */
unsigned shim_cpuid_host_ebx(void);
/* Whether this host's kernel and processor make CPUID fault for a process that asks. */
bool shim_cpuid_faults(void);

struct shim_cpuid {
	bool fault;    /* the library answers the instruction */
	unsigned cbit; /* what the program sees, EBX[5:0] */
};

/* wanted: by the user; left_alone: the user wants the host's own answers. */
struct shim_cpuid shim_cpuid_choose(bool faults, bool left_alone, unsigned wanted,
				    unsigned host_ebx);
