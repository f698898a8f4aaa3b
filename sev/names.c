/* SPDX-License-Identifier: Apache-2.0 */

/* Firmware status codes by the names of the SEV API (linux/psp-sev.h has them up to 0x18, with two
 * spelling mistakes of its own). */

#include "sev/sev.h"

#include <stdio.h>

static const char *const names[] = {
	[0x00] = "SUCCESS (0x00)",
	[0x01] = "INVALID_PLATFORM_STATE (0x01)",
	[0x02] = "INVALID_GUEST_STATE (0x02)",
	[0x03] = "INVALID_CONFIG (0x03)",
	[0x04] = "INVALID_LEN (0x04)",
	[0x05] = "ALREADY_OWNED (0x05)",
	[0x06] = "INVALID_CERTIFICATE (0x06)",
	[0x07] = "POLICY_FAILURE (0x07)",
	[0x08] = "INACTIVE (0x08)",
	[0x09] = "INVALID_ADDRESS (0x09)",
	[0x0a] = "BAD_SIGNATURE (0x0a)",
	[0x0b] = "BAD_MEASUREMENT (0x0b)",
	[0x0c] = "ASID_OWNED (0x0c)",
	[0x0d] = "INVALID_ASID (0x0d)",
	[0x0e] = "WBINVD_REQUIRED (0x0e)",
	[0x0f] = "DFFLUSH_REQUIRED (0x0f)",
	[0x10] = "INVALID_GUEST (0x10)",
	[0x11] = "INVALID_COMMAND (0x11)",
	[0x12] = "ACTIVE (0x12)",
	[0x13] = "HWERROR_PLATFORM (0x13)",
	[0x14] = "HWERROR_UNSAFE (0x14)",
	[0x15] = "UNSUPPORTED (0x15)",
	[0x16] = "INVALID_PARAM (0x16)",
	[0x17] = "RESOURCE_LIMIT (0x17)",
	[0x18] = "SECURE_DATA_INVALID (0x18)",
	[0x19] = "INVALID_PAGE_SIZE (0x19)",
	[0x1a] = "INVALID_PAGE_STATE (0x1a)",
	[0x1b] = "INVALID_MDATA_ENTRY (0x1b)",
	[0x1c] = "INVALID_PAGE_OWNER (0x1c)",
	[0x1d] = "AEAD_OFLOW (0x1d)",
	[0x1f] = "RING_BUFFER_EXIT (0x1f)",
	[0x20] = "RMP_INIT_REQUIRED (0x20)",
	[0x21] = "BAD_SVN (0x21)",
	[0x22] = "BAD_VERSION (0x22)",
	[0x23] = "SHUTDOWN_REQUIRED (0x23)",
	[0x24] = "UPDATE_FAILED (0x24)",
	[0x25] = "RESTORE_REQUIRED (0x25)",
	[0x26] = "RMP_INIT_FAILED (0x26)",
	[0x27] = "INVALID_KEY (0x27)",
};

const char *sev_status_name(uint32_t status)
{
	static _Thread_local char other[32];

	if (status == UINT32_MAX)
		return "the firmware was never called (0xffffffff)";
	if (status < sizeof(names) / sizeof(names[0]) && names[status])
		return names[status];
	snprintf(other, sizeof(other), "unknown status (%#x)", status);
	return other;
}
