/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keys. A struct secret has a fixed size, lives in place, is wiped when its scope ends, and is
 * never printed. Comparison of anything an attacker may guess at is crypto_equal(), never memcmp.
 *
 *	auto_secret struct secret kek = { .len = 16 };
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define SECRET_MAX 64

struct secret {
	size_t len; /* at most SECRET_MAX */
	uint8_t b[SECRET_MAX];
};

/* Zero p in a way the compiler keeps. */
void crypto_wipe(void *p, size_t len);
/* Takes the same time wherever the first difference is. */
bool crypto_equal(const void *a, const void *b, size_t len);
bool crypto_is_zero(const void *p, size_t len);
/* Cryptographic random bytes; small requests come from a buffer, not from the kernel. */
int must_check crypto_random(void *out, size_t len, struct err *e);

/* Wipe content and length. */
void secret_wipe(struct secret *s);
int must_check secret_random(struct secret *s, size_t len, struct err *e);
/* A file of exactly len bytes, which go nowhere else. -EINVAL: it has another length. */
int must_check secret_file_read(const char *path, size_t len, struct secret *out, struct err *e);

#define auto_secret cleanup_with(secret_wipe)
