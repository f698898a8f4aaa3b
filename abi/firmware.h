/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the monitor and the guest's firmware agree on. doc/FIRMWARE.md tells it in order.
 *
 * The image ends at 4 GiB, is private throughout and measured as it lies in the file. Both areas
 * below are named in its GUID table; the hand-over page is not measured, and nothing in it is
 * believed that the measured hashes do not confirm.
 */

#define FIRMWARE_TOP 0x100000000ull
#define FIRMWARE_LEN_MAX 0x400000u

/* An entry of the GUID table, 32 bits wide: the image keeps the list of shared pages right and
 * announces that to the system it boots. */
#define FIRMWARE_MIGRATION_GUID "f67f5fe7-bc7a-4271-8b3c-d02b1adafd9d"
#define FIRMWARE_MIGRATES 1

/* Filled by LAUNCH_SECRET; the guest's own afterwards. */
#define FIRMWARE_SECRET_AT 0x80000u
#define FIRMWARE_SECRET_LEN 0x1000u
/* Hashes of kernel, initial RAM disk and command line, in QEMU's layout (owner/hashes.h). */
#define FIRMWARE_HASHES_AT 0x81000u
#define FIRMWARE_HASHES_LEN 0x400u

/* Shared until the firmware has read it, and RAM like any other after that. */
#define FIRMWARE_HANDOVER_AT 0x100000u
#define FIRMWARE_HANDOVER_LEN 0x1000u
/* Shared while the firmware runs under SEV-ES. */
#define FIRMWARE_GHCB_AT 0x101000u
#define FIRMWARE_GHCB_LEN 0x1000u
