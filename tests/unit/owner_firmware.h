/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A made-up firmware image with a GUID table, built from its end downwards. */

#include <stdlib.h>
#include <string.h>

#include "base/rdwr.h"
#include "owner/text.h"

#define FIRMWARE_LEN 4096u
#define FIRMWARE_TAIL 0x20u
#define FIRMWARE_FOOTER "96b582de-1fb2-45f7-baea-a366c55a082d"
#define FIRMWARE_RESET "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
#define FIRMWARE_SECRET "4c2eb361-7d9b-4cc3-8081-127c90d3d294"
#define FIRMWARE_HASHES "7255371f-3a3b-4b04-927b-1da6efa8d454"

struct firmware {
	uint8_t image[FIRMWARE_LEN];
	size_t top; /* the table begins here */
};

static inline void firmware_head(struct firmware *f, size_t at, uint16_t len, const char *guid)
{
	struct wr w = wr_of(f->image + at, 18);
	uint8_t bytes[OWNER_GUID_LEN];
	struct err e = { 0 };

	if (owner_guid_get(guid, bytes, &e) < 0)
		abort();
	wr_le16(&w, len);
	wr_bytes(&w, bytes, sizeof(bytes));
}

/* Must be called again after the last entry, to know the length. */
static inline void firmware_close(struct firmware *f)
{
	firmware_head(f, FIRMWARE_LEN - FIRMWARE_TAIL - 18,
		      (uint16_t)(FIRMWARE_LEN - FIRMWARE_TAIL - f->top), FIRMWARE_FOOTER);
}

static inline void firmware_begin(struct firmware *f)
{
	memset(f->image, 0x90, sizeof(f->image));
	f->top = FIRMWARE_LEN - FIRMWARE_TAIL - 18;
	firmware_close(f);
}

static inline void firmware_add(struct firmware *f, const char *guid, const uint32_t *v, size_t n)
{
	size_t len = 18 + 4 * n;
	struct wr w = wr_of(f->image + f->top - len, 4 * n);

	for (size_t i = 0; i < n; i++)
		wr_le32(&w, v[i]);
	firmware_head(f, f->top - 18, (uint16_t)len, guid);
	f->top -= len;
	firmware_close(f);
}

/* All that SEV and SEV-ES need. */
static inline void firmware_make(struct firmware *f)
{
	const uint32_t reset = 0x80b004, secret[] = { 0x810000, 0xc00 },
		       hashes[] = { 0x810c00, 0x400 };

	firmware_begin(f);
	firmware_add(f, FIRMWARE_RESET, &reset, 1);
	firmware_add(f, FIRMWARE_SECRET, secret, 2);
	firmware_add(f, FIRMWARE_HASHES, hashes, 2);
}
