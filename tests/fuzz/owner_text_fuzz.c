/* SPDX-License-Identifier: Apache-2.0 */

/* Text that should be base64, hex or a GUID; what is taken as base64 must come out again. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "owner/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 256

static void base64_try(const char *s, size_t n)
{
	uint8_t out[TEXT_MAX], again[TEXT_MAX];
	char text[OWNER_BASE64_LEN(TEXT_MAX)];
	struct err e = { 0 };
	size_t len = 0, len2 = 0;

	if (owner_base64_get(s, n, out, sizeof(out), &len, &e) < 0)
		return;
	owner_base64_put(out, len, text);
	if (owner_base64_get(text, strlen(text), again, sizeof(again), &len2, &e) < 0 ||
	    len != len2 || memcmp(out, again, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[TEXT_MAX / 2];
	char s[TEXT_MAX + 1];
	struct err e = { 0 };

	base64_try((const char *)data, size);
	if (size > TEXT_MAX)
		return 0;
	memcpy(s, data, size);
	s[size] = '\0';
	(void)!owner_hex_get(s, out, size / 2, &e);
	(void)!owner_guid_get(s, out, &e);
	return 0;
}
