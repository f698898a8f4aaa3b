/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where the demo can run: on this machine's KVM, or in the lab's two virtual hosts. */

#include <stddef.h>

#include "base/err.h"

enum place { PLACE_KVM, PLACE_LAB };

/* By what this machine can do: KVM where it runs Linux, else the lab; where the lab is not there
 * either, KVM with the small test guest. */
enum place place_choose(void);
const char *place_name(enum place p);

/* The file of the source tree or the installation that rel names ("lab/run"), looked for beside
 * the program. -ENOENT with the places looked at. */
int must_check place_file(const char *rel, char *out, size_t len, struct err *e);
/* Is what the lab needs here? The error names the first thing missing. */
int must_check place_lab_ready(struct err *e);
