/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/text.h"

#include <errno.h>
#include <string.h>

/* --- hexadecimal ---------------------------------------------------------------------------- */

static int digit_get(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Two digits; s holds at least one character or its NUL. */
static int byte_get(const char *s)
{
	int high = digit_get(s[0]);
	int low = high < 0 ? -1 : digit_get(s[1]);

	return low < 0 ? -1 : high << 4 | low;
}

int owner_hex_get(const char *s, uint8_t *out, size_t len, struct err *e)
{
	if (strlen(s) != 2 * len)
		return err_set(e, -EINVAL, "%zu characters, not the %zu of %zu bytes in hex",
			       strlen(s), 2 * len, len);
	for (size_t i = 0; i < len; i++) {
		int v = byte_get(s + 2 * i);

		if (v < 0)
			return err_set(e, -EINVAL, "not hexadecimal at character %zu", 2 * i + 1);
		out[i] = (uint8_t)v;
	}
	return 0;
}

void owner_hex_put(const uint8_t *p, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

/* --- base64 --------------------------------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct base64 {
	uint8_t *out;
	size_t cap, len;
	uint32_t bits;
	unsigned chars;   /* of this group of four, padding included */
	unsigned padding; /* of this group */
};

/* What is wrong, or NULL. */
static const char *base64_group_end(struct base64 *b)
{
	unsigned n = 3 - b->padding;

	if (b->bits & ((1u << 8 * b->padding) - 1))
		return "has bits behind its end";
	if (b->cap - b->len < n)
		return "is longer than it should be";
	for (unsigned i = 0; i < n; i++)
		b->out[b->len++] = (uint8_t)(b->bits >> (16 - 8 * i));
	b->bits = 0;
	b->chars = 0;
	return NULL;
}

static const char *base64_char(struct base64 *b, char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	if (b->padding && (b->chars == 0 || c != '='))
		return "goes on after its padding";
	if (c == '=' && b->chars >= 2)
		b->padding++;
	else if (!at)
		return "has a character that is not of its alphabet";
	b->bits = b->bits << 6 | (at ? (uint32_t)(at - alphabet) : 0);
	return ++b->chars == 4 ? base64_group_end(b) : NULL;
}

int owner_base64_get(const char *s, size_t n, uint8_t *out, size_t cap, size_t *len, struct err *e)
{
	struct base64 b = { .out = out, .cap = cap };
	const char *damage = NULL;

	for (size_t i = 0; i < n && !damage; i++)
		if (s[i] != '\n' && s[i] != '\r' && s[i] != ' ' && s[i] != '\t')
			damage = base64_char(&b, s[i]);
	if (!damage && b.chars)
		damage = "is cut short";
	if (damage)
		return err_set(e, -EINVAL, "base64 text %s", damage);
	*len = b.len;
	return 0;
}

void owner_base64_put(const uint8_t *p, size_t len, char *out)
{
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;

		v |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= n > 2 ? p[i + 2] : 0;
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = n > 1 ? alphabet[v >> 6 & 63] : '=';
		*out++ = n > 2 ? alphabet[v & 63] : '=';
	}
	*out = '\0';
}

/* --- GUID ----------------------------------------------------------------------------------- */

int owner_guid_get(const char *s, uint8_t out[OWNER_GUID_LEN], struct err *e)
{
	/* Where each byte as written is stored. */
	static const uint8_t place[OWNER_GUID_LEN] = { 3, 2, 1,  0,  5,  4,  7,  6,
						       8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t got[OWNER_GUID_LEN];
	size_t at = 0;

	if (strlen(s) != 36)
		return err_set(e, -EINVAL, "%s: not a GUID", s);
	for (size_t i = 0; i < OWNER_GUID_LEN; i++) {
		int v = byte_get(s + at);

		if (v < 0)
			return err_set(e, -EINVAL, "%s: not a GUID", s);
		got[place[i]] = (uint8_t)v;
		at += 2;
		if ((at == 8 || at == 13 || at == 18 || at == 23) && s[at++] != '-')
			return err_set(e, -EINVAL, "%s: not a GUID", s);
	}
	memcpy(out, got, sizeof(got));
	return 0;
}
