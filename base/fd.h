/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole reads and writes over file descriptors and files. Descriptors are borrowed. */

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Write everything, over EINTR and short writes; what names the thing in the error. */
int must_check fd_write_all(int fd, const void *p, size_t len, const char *what, struct err *e);
/* Read exactly len bytes; an early end is -ECONNRESET. */
int must_check fd_read_all(int fd, void *p, size_t len, const char *what, struct err *e);
/* Append the whole file to out; more than max bytes is -EFBIG. */
int must_check fd_file_read(const char *path, size_t max, struct buf *out, struct err *e);
/* Replace path atomically and durably: new file beside it, fsync, rename, fsync of the folder.
 * Whoever reads sees the old content or the new, never a mix. */
int must_check fd_file_replace(const char *path, const void *p, size_t len, mode_t mode,
			       struct err *e);
