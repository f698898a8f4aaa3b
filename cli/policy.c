/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* SEV API, guest policy: the bits by name; 16 to 23 and 24 to 31 are the minimum API version. */
static const struct {
	const char *name;
	uint32_t bit;
} bits[] = {
	{ "nodbg", 1u << 0 },  { "noks", 1u << 1 },   { "es", 1u << 2 },
	{ "nosend", 1u << 3 }, { "domain", 1u << 4 }, { "sev", 1u << 5 },
};
#define BITS (sizeof(bits) / sizeof(bits[0]))

static int word_get(const char *word, uint32_t *policy, struct err *e)
{
	uint32_t v;

	for (unsigned i = 0; i < BITS; i++) {
		if (strcmp(bits[i].name, word) == 0) {
			*policy |= bits[i].bit;
			return 0;
		}
	}
	if (opt_u32_get(word, &v) < 0)
		return err_set(e, -EINVAL,
			       "policy: %s: neither a number nor one of nodbg, noks, es, nosend, "
			       "domain, sev",
			       word);
	*policy |= v;
	return 0;
}

static int api_get(const char *text, uint32_t *policy, struct err *e)
{
	unsigned major, minor;
	char end;

	if (!isdigit((unsigned char)text[0]) ||
	    sscanf(text, "%3u.%3u%c", &major, &minor, &end) != 2 || major > 255 || minor > 255)
		return err_set(e, -EINVAL, "minimum API: %s: not a version (example: 1.51)", text);
	*policy = (*policy & 0xffff) | major << 16 | minor << 24;
	return 0;
}

int cli_policy_get(const char *text, const char *min_api, uint32_t *out, struct err *e)
{
	uint32_t policy = 0;
	char word[32];
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, ",");

		if (len >= sizeof(word))
			return err_set(e, -EINVAL, "policy: %s: too long", text);
		memcpy(word, text, len);
		word[len] = '\0';
		text += len + (text[len] == ',');
		r = word_get(word, &policy, e);
	}
	if (r == 0 && min_api)
		r = api_get(min_api, &policy, e);
	if (r == 0)
		*out = policy;
	return r;
}

void cli_policy_print(uint32_t policy, char *out, size_t len)
{
	size_t n = (size_t)snprintf(out, len, "0x%x", policy);

	for (unsigned i = 0; i < BITS; i++)
		if ((policy & bits[i].bit) && n < len)
			n += (size_t)snprintf(out + n, len - n, " %s", bits[i].name);
	if (policy >> 16 && n < len)
		snprintf(out + n, len - n, " api>=%u.%u", policy >> 16 & 255, policy >> 24);
}
