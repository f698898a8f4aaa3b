/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The demo's guests count aloud: "tick N" a line, N = 1, 2, 3... (a hash may follow). Whether they
 * went on doing so over a migration is read from their consoles' text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ticks {
	uint64_t count;    /* lines seen */
	uint64_t last;     /* highest number */
	uint64_t missing;  /* numbers from 1 to last that never came */
	uint64_t repeated; /* numbers that came again, or late */
	bool broken;       /* the guest itself said that something is wrong */
	bool verified;     /* the guest said that all of its memory is as it should be */
};

/* Whole lines only: a last one without its end is not looked at. */
void ticks_read(const char *text, size_t len, struct ticks *out);
