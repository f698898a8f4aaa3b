/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A firmware image and what it is to boot, read and hashed: "sevmig run" launches it, the owner
 * expects it. */

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "owner/guidtable.h"
#include "owner/hashes.h"
#include "owner/launch.h"

struct cli_firmware {
	struct buf image;
	uint8_t digest[SHA256_LEN];   /* of the image */
	struct owner_guidtable table; /* empty where the image has none */
	struct buf kernel;            /* as it is handed to the firmware */
	struct buf initrd;
	uint8_t hashes[OWNER_HASHES_LEN];
};

/* from: a file, or "default". */
int must_check cli_firmware_image_read(struct cli_firmware *fw, const char *from, struct err *e);
/* initrd and append may be NULL. */
int must_check cli_firmware_files_read(struct cli_firmware *fw, const char *kernel,
				       const char *initrd, const char *append, struct err *e);
void cli_firmware_fini(struct cli_firmware *fw);
