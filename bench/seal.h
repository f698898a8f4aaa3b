/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The work SEND_UPDATE_DATA cannot avoid, straight on OpenSSL with nothing around it: AES-128-CTR
 * and HMAC-SHA256 over a page with a fresh IV. What one core does of this is the limit that the
 * private-page rate of a migration is measured against.
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define SEAL_PAGE 4096u

struct seal;

struct seal *seal_new(void); /* NULL: no memory, or OpenSSL refuses */
bool seal_page(struct seal *s, const uint8_t *from, uint8_t *to);
void seal_free(struct seal *s);

static inline double seal_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
