/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one error dialect of the tree. A fallible function returns 0 or a negative errno and takes
 * a struct err last. The callee says what failed, callers prefix where it happened; on success the
 * err is untouched. The err lives on the caller's stack: nothing here allocates. Secrets never go
 * into a message.
 */

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

struct err {
	int code;      /* negative errno, 0 while nothing failed */
	char msg[512]; /* NUL terminated, one line, cut at the end when too long */
};

/* Record a failure; returns code, which must be negative. %m prints errno as usual. */
int err_set(struct err *e, int code, const char *fmt, ...) printf_like(3, 4);

/* Put "fmt: " before the message that is already there; returns code. */
int err_wrap(struct err *e, int code, const char *fmt, ...) printf_like(3, 4);
