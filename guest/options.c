/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/testguest.h"
#include "guest/guest.h"

enum kind { FLAG, NUMBER, SIZE, TIME, HEX };

static const struct {
	const char *name;
	enum kind kind;
	size_t at;
} table[] = {
	{ "private", SIZE, offsetof(struct options, private_len) },
	{ "shared", SIZE, offsetof(struct options, shared_len) },
	{ "span", SIZE, offsetof(struct options, span) },
	{ "dirty", SIZE, offsetof(struct options, dirty) },
	{ "pool", NUMBER, offsetof(struct options, pool) },
	{ "flips", NUMBER, offsetof(struct options, flips) },
	{ "seed", NUMBER, offsetof(struct options, seed) },
	{ "regcanary", NUMBER, offsetof(struct options, regcanary) },
	{ "msr", NUMBER, offsetof(struct options, msr) },
	{ "sweep", TIME, offsetof(struct options, sweep_us) },
	{ "pace", TIME, offsetof(struct options, pace_us) },
	{ "canary", HEX, offsetof(struct options, canary[0]) },
	{ "shared-canary", HEX, offsetof(struct options, canary[1]) },
	{ "burst", FLAG, offsetof(struct options, burst) },
	{ "idle", FLAG, offsetof(struct options, idle) },
	{ "quiet", FLAG, offsetof(struct options, quiet) },
};

static const struct {
	const char *text;
	enum kind kind;
	uint64_t factor;
} units[] = {
	{ "", NUMBER, 1 },        { "", SIZE, 1 },          { "K", SIZE, 1 << 10 },
	{ "M", SIZE, 1 << 20 },   { "G", SIZE, 1 << 30 },   { "/s", SIZE, 1 },
	{ "K/s", SIZE, 1 << 10 }, { "M/s", SIZE, 1 << 20 }, { "G/s", SIZE, 1 << 30 },
	{ "us", TIME, 1 },        { "ms", TIME, 1000 },     { "s", TIME, 1000000 },
};

/* Does the word at s, up to a space or the end, equal text? */
static bool word_is(const char *s, const char *text)
{
	while (*text && *s == *text) {
		s++;
		text++;
	}
	return !*text && (!*s || *s == ' ');
}

static bool number_get(const char *s, enum kind kind, uint64_t *out)
{
	const char *start = s;
	uint64_t v = 0;

	if (kind == TIME && word_is(s, "0")) {
		*out = 0;
		return true;
	}
	while (*s >= '0' && *s <= '9')
		v = v * 10 + (uint64_t)(*s++ - '0');
	for (size_t i = 0; s != start && i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].kind == kind && word_is(s, units[i].text)) {
			*out = v * units[i].factor;
			return true;
		}
	}
	return false;
}

static int digit_get(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool hex_get(const char *s, uint8_t *out)
{
	size_t n = 0;

	while (n < TESTGUEST_CANARY_MAX && digit_get(s[0]) >= 0 && digit_get(s[1]) >= 0) {
		out[n++] = (uint8_t)(digit_get(s[0]) << 4 | digit_get(s[1]));
		s += 2;
	}
	return n >= 16 && (!*s || *s == ' ');
}

static bool value_get(struct options *o, size_t i, const char *value)
{
	void *to = (uint8_t *)o + table[i].at;
	uint64_t v;

	if (table[i].kind == FLAG) {
		*(bool *)to = true;
		return true;
	}
	if (table[i].kind == HEX)
		return hex_get(value, to);
	if (!number_get(value, table[i].kind, &v))
		return false;
	if (to == &o->msr)
		o->msr = v != 0;
	else
		*(uint64_t *)to = v;
	return true;
}

static size_t name_len(const char *s)
{
	size_t n = 0;

	while (s[n] && s[n] != ' ' && s[n] != '=')
		n++;
	return n;
}

static bool word_parse(struct options *o, const char *s)
{
	size_t n = name_len(s);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (memcmp(s, table[i].name, n) || table[i].name[n])
			continue;
		if ((s[n] == '=') != (table[i].kind != FLAG))
			return false;
		return value_get(o, i, s + n + (s[n] == '='));
	}
	return false;
}

static void options_default(struct options *o)
{
	memset(o, 0, sizeof(*o));
	o->private_len = 16 << 20;
	o->shared_len = 1 << 20;
	o->pool = 64;
	o->flips = 20;
	o->sweep_us = 1000000;
	o->pace_us = 10000;
	o->seed = 1;
	o->msr = true;
}

bool options_parse(struct options *o, const char *cmdline)
{
	options_default(o);
	while (*cmdline) {
		if (*cmdline == ' ') {
			cmdline++;
			continue;
		}
		if (!word_parse(o, cmdline)) {
			say("testguest: does not understand: %s", cmdline);
			return false;
		}
		while (*cmdline && *cmdline != ' ')
			cmdline++;
	}
	if (!o->span || o->span > o->private_len)
		o->span = o->private_len;
	if (o->pool > 512)
		o->pool = 512;
	return true;
}
