/* SPDX-License-Identifier: Apache-2.0 */

/* Allow lists of platforms. The whole list is read before it is believed: a damaged line is an
 * error even when the platform was found above it, so that nobody relies on half a list. */

#include "owner/peer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define LINE_MAX_LEN 1024
#define ID_LEN (OWNER_PLATFORM_ID_LEN - 1)

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static size_t blanks(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && (p[n] == ' ' || p[n] == '\t'))
		n++;
	return n;
}

/* What is wrong with the characters of a line, or NULL. */
static const char *line_damage(const char *p, size_t len)
{
	if (len > LINE_MAX_LEN)
		return "longer than 1024 characters";
	if (memchr(p, '\r', len))
		return "ends as on DOS (carriage return)";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return "holds a control character";
	}
	return NULL;
}

/* [id] [# comment]; *id is NULL when the line has none. What is wrong, or NULL. */
static const char *line_parse(const char *p, size_t len, const char **id)
{
	const char *damage = line_damage(p, len);
	size_t n = 0, skip;

	*id = NULL;
	if (damage)
		return damage;
	skip = blanks(p, len);
	p += skip;
	len -= skip;
	if (!len || *p == '#')
		return NULL;
	while (n < len && is_hex(p[n]))
		n++;
	if (n != ID_LEN)
		return "is not 64 lower-case hex digits";
	skip = n + blanks(p + n, len - n);
	if (skip < len && (p[skip] != '#' || skip == n))
		return "has more than an id";
	*id = p;
	return NULL;
}

static int list_search(const char *list, size_t len, const char *wanted, bool *found, struct err *e)
{
	*found = false;
	for (unsigned line = 1; len; line++) {
		const char *nl = memchr(list, '\n', len);
		size_t n = nl ? (size_t)(nl - list) : len;
		const char *id, *damage = line_parse(list, n, &id);

		if (damage)
			return err_set(e, -EINVAL, "allow list: line %u %s", line, damage);
		if (id && strncmp(id, wanted, ID_LEN) == 0)
			*found = true;
		n += nl != NULL;
		list += n;
		len -= n;
	}
	return 0;
}

int owner_allow_check(const char *list, size_t len, const struct owner_certs *c, struct err *e)
{
	char id[OWNER_PLATFORM_ID_LEN];
	bool found = false;
	int r = owner_platform_id(c, id, e);

	if (r == 0)
		r = list_search(list, len, id, &found, e);
	if (r < 0)
		return r;
	return found ? 0 : err_set(e, -EACCES, "platform %s is not in the allow list", id);
}
