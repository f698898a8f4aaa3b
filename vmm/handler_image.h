/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The migration handler in guest memory: abi/handler.h has the layout, doc/HANDLER.md its purpose.
 * The image's file is hostile: it is measured, but loading it must not hurt the monitor.
 */

#include "vmm/boot.h"

/* Writes image, page tables and machine into the shared face; out is what to encrypt. */
int must_check vmm_handler_load(const char *path, const struct boot_machine *m,
				struct boot_range *out, struct err *e);
