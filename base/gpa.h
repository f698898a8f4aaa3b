/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Guest physical addresses are a type of their own, so that a host pointer cannot slip in. The
 * C-bit is never part of the value: whether a page is private is said beside the address. */

#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_LEN 4096u

struct gpa {
	uint64_t v;
};

static inline struct gpa gpa(uint64_t v)
{
	return (struct gpa){ v };
}

static inline uint64_t gpa_gfn(struct gpa at)
{
	return at.v >> PAGE_SHIFT;
}
