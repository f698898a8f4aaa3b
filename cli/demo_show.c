/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/demo.h"
#include "cli/report.h"

#define HEAD_LINES 3u
#define SEAM_LINES 5u
#define TAIL_LINES 3u

bool demo_holds(const struct demo_result *r)
{
	return r->after.missing == 0 && r->after.repeated == 0 && !r->after.broken &&
	       r->after.last > r->before.last && r->target_verified && r->stayed_silent && r->ended;
}

static size_t lines_count(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->p[i] == '\n';
	return n;
}

/* Lines of a console, from those of the joined text that are worth seeing. */
struct shower {
	size_t line, lines, seam;
	bool gap;
};

static bool line_shown(const struct shower *s)
{
	return s->line < HEAD_LINES || s->line + TAIL_LINES >= s->lines ||
	       (s->line + SEAM_LINES >= s->seam && s->line < s->seam + SEAM_LINES);
}

static void line_print(struct shower *s, const char *p, size_t len)
{
	if (!line_shown(s)) {
		if (!s->gap)
			puts("...");
		s->gap = true;
		return;
	}
	s->gap = false;
	printf("%s | %.*s\n", s->line < s->seam ? "source" : "target", (int)len, p);
}

static void text_print(struct shower *s, const struct buf *text)
{
	const char *p = (const char *)text->p;
	size_t len = text->len;

	for (; len; s->line++) {
		const char *end = memchr(p, '\n', len);
		size_t n = end ? (size_t)(end - p) : len;

		line_print(s, p, n && p[n - 1] == '\r' ? n - 1 : n);
		len -= end ? n + 1 : n;
		p = end ? end + 1 : p + n;
	}
}

void demo_print(const struct demo_result *r)
{
	struct shower s = {
		.lines = lines_count(&r->source) + lines_count(&r->target),
		.seam = lines_count(&r->source),
	};
	auto_buf struct buf joined = { 0 };
	struct err e = { 0 };

	puts("The guest's console, joined:");
	if (buf_add(&joined, r->source.p, r->source.len, &e) == 0 &&
	    buf_add(&joined, r->target.p, r->target.len, &e) == 0)
		text_print(&s, &joined);
	printf("\nticks          %" PRIu64 ", %" PRIu64 " of them on the source; missing %" PRIu64
	       ", repeated %" PRIu64 "\n",
	       r->after.last, r->before.last, r->after.missing, r->after.repeated);
	report_print(r->migration, stdout);
}

json_t *demo_json(const struct demo_result *r)
{
	return json_pack(
		"{s:b, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:O}", "ok", (int)demo_holds(r),
		"place", "kvm", "ticks_source", (json_int_t)r->before.last, "ticks_all",
		(json_int_t)r->after.last, "missing", (json_int_t)r->after.missing, "repeated",
		(json_int_t)r->after.repeated, "verified", (int)r->target_verified, "source_silent",
		(int)r->stayed_silent, "ended", (int)r->ended, "migration", r->migration);
}
