/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/guidtable.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "abi/firmware.h"
#include "base/rdwr.h"

#define TAIL_LEN 0x20u /* reset vector and what else stands behind the table */
#define ENTRY_MIN 18u  /* length and GUID */
#define FOOTER_GUID "96b582de-1fb2-45f7-baea-a366c55a082d"

struct entry {
	const uint8_t *guid;
	const uint8_t *data;
	size_t len;
};

/* What is still to be walked, from its end. */
struct walk {
	const uint8_t *p;
	size_t len;
};

/* Take the entry that ends here. */
static int entry_take(struct walk *w, struct entry *out, struct err *e)
{
	struct rd in;
	uint16_t len = 0;

	if (w->len < ENTRY_MIN)
		return err_set(e, -EPROTO, "GUID table: %zu bytes are no entry", w->len);
	in = rd_of(w->p + w->len - ENTRY_MIN, ENTRY_MIN);
	if (rd_le16(&in, &len) < 0 || len < ENTRY_MIN || len > w->len)
		return err_set(e, -EPROTO, "GUID table: entry of %u bytes where %zu are left", len,
			       w->len);
	w->len -= len;
	*out = (struct entry){ in.p, w->p + w->len, len - ENTRY_MIN };
	return 0;
}

/* The footer, which has the form of an entry without data but the length of the whole. */
static int walk_begin(const uint8_t *image, size_t len, struct walk *w, struct err *e)
{
	uint8_t guid[OWNER_GUID_LEN];
	uint16_t total = 0;
	struct rd in;
	int r = owner_guid_get(FOOTER_GUID, guid, e);

	if (r < 0)
		return r;
	if (len < TAIL_LEN + ENTRY_MIN ||
	    memcmp(image + len - TAIL_LEN - sizeof(guid), guid, sizeof(guid)) != 0)
		return err_set(e, -ENOENT, "no GUID table: not the code image of a firmware");
	in = rd_of(image + len - TAIL_LEN - ENTRY_MIN, 2);
	if (rd_le16(&in, &total) < 0 || total < ENTRY_MIN || total > len - TAIL_LEN)
		return err_set(e, -EPROTO, "GUID table: %u bytes in an image of %zu", total, len);
	*w = (struct walk){ image + len - TAIL_LEN - total, total - ENTRY_MIN };
	return 0;
}

int owner_guidtable_find(const uint8_t *image, size_t len, const char *guid, const uint8_t **data,
			 size_t *data_len, struct err *e)
{
	uint8_t want[OWNER_GUID_LEN];
	struct entry found = { 0 };
	struct walk w;
	int r = owner_guid_get(guid, want, e);

	if (r == 0)
		r = walk_begin(image, len, &w, e);
	while (r == 0 && w.len) {
		struct entry at;

		r = entry_take(&w, &at, e);
		if (r < 0 || memcmp(at.guid, want, sizeof(want)) != 0)
			continue;
		if (found.guid)
			return err_set(e, -EPROTO, "GUID table: two entries %s", guid);
		found = at;
	}
	if (r < 0)
		return r;
	if (!found.guid)
		return err_set(e, -ENOENT, "GUID table: no entry %s", guid);
	*data = found.data;
	*data_len = found.len;
	return 0;
}

/* --- the entries SEV uses -------------------------------------------------------------------- */

#define RESET_GUID "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
#define SECRET_GUID "4c2eb361-7d9b-4cc3-8081-127c90d3d294"
#define HASHES_GUID "7255371f-3a3b-4b04-927b-1da6efa8d454"

/* The numbers of one entry; all 0 when it is not there. */
static int numbers_get(const uint8_t *image, size_t len, const char *guid, uint32_t *v, size_t n,
		       struct err *e)
{
	struct err missing = { 0 };
	const uint8_t *data;
	size_t data_len;
	struct rd in;
	int r = owner_guidtable_find(image, len, guid, &data, &data_len, &missing);

	memset(v, 0, n * sizeof(*v));
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(e, r, "%s", missing.msg);
	in = rd_of(data, data_len);
	for (size_t i = 0; i < n; i++)
		rd_le32(&in, &v[i]);
	return rd_done(&in) ? 0
			    : err_set(e, -EPROTO, "GUID table: %s has %zu bytes of data, not %zu",
				      guid, data_len, n * sizeof(*v));
}

static int area_get(const uint8_t *image, size_t len, const char *guid, struct owner_area *out,
		    struct err *e)
{
	uint32_t v[2], end;
	int r = numbers_get(image, len, guid, v, 2, e);

	if (r < 0)
		return r;
	*out = (struct owner_area){ 0 };
	if (!v[0] || !v[1])
		return 0;
	if (__builtin_add_overflow(v[0], v[1] - 1, &end))
		return err_set(e, -EPROTO, "GUID table: area %s ends above 4 GiB", guid);
	*out = (struct owner_area){ v[0], v[1] };
	return 0;
}

int owner_guidtable_get(const uint8_t *image, size_t len, struct owner_guidtable *out,
			struct err *e)
{
	struct owner_guidtable t = { 0 };
	struct entry any;
	struct walk w;
	int r = walk_begin(image, len, &w, e);

	for (; r == 0 && w.len; t.entries++)
		r = entry_take(&w, &any, e);
	if (r == 0)
		r = numbers_get(image, len, RESET_GUID, &t.es_reset, 1, e);
	if (r == 0)
		r = numbers_get(image, len, FIRMWARE_MIGRATION_GUID, &t.migration, 1, e);
	if (r == 0)
		r = area_get(image, len, SECRET_GUID, &t.secret, e);
	if (r == 0)
		r = area_get(image, len, HASHES_GUID, &t.hashes, e);
	if (r == 0)
		*out = t;
	return r;
}
