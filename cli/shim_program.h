/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Will the library that LD_PRELOAD names get into this program? Looked at before it is started,
 * because the dynamic loader goes on without a library that it cannot load, or says nothing. */

#include "base/err.h"

#define SHIM_PATH_LEN 4096

/* The file that execvp(3) would run; a script's interpreter instead of the script. */
int must_check shim_program_find(const char *command, char out[SHIM_PATH_LEN], struct err *e);
/* Dynamically linked for this C library, and not privileged: a message that says why not. */
int must_check shim_program_check(const char *path, struct err *e);
/* Have the loader load the program and the library without running anything. */
int must_check shim_program_try(const char *path, const char *library, struct err *e);
