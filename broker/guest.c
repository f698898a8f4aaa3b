/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "owner/text.h"

#define RECORD_VERSION 1
#define HEX_LEN (2 * BROKER_DIGEST_LEN)

/* --- lists of hashes -------------------------------------------------------------------------- */

static json_t *hashes_put(const uint8_t v[][BROKER_DIGEST_LEN], size_t n)
{
	json_t *list = json_array();
	char hex[HEX_LEN + 1];

	for (size_t i = 0; i < n; i++) {
		owner_hex_put(v[i], BROKER_DIGEST_LEN, hex);
		json_array_append_new(list, json_string(hex));
	}
	return list;
}

static int hashes_get(const json_t *record, const char *what, uint8_t v[][BROKER_DIGEST_LEN],
		      size_t cap, size_t *n, struct err *e)
{
	const json_t *list = json_object_get(record, what);

	*n = json_array_size(list);
	if (!json_is_array(list) || *n > cap)
		return err_set(e, -EPROTO, "%s: not a list of at most %zu", what, cap);
	for (size_t i = 0; i < *n; i++) {
		const char *hex = json_string_value(json_array_get(list, i));
		int r = hex ? owner_hex_get(hex, v[i], BROKER_DIGEST_LEN, e)
			    : err_set(e, -EPROTO, "not text");

		if (r < 0)
			return err_wrap(e, r, "%s", what);
	}
	return 0;
}

/* --- the record ------------------------------------------------------------------------------- */

int broker_guest_put(struct broker *b, const struct broker_guest *g, struct err *e)
{
	auto_mem char *path = broker_path(b, "guests", g->name, ".json");
	auto_of(json) json_t *j = NULL;

	if (!broker_name_valid(g->name))
		return err_set(e, -EINVAL, "guest %s: not a name", g->name);
	if (!g->ndigest || !g->nroot)
		return err_set(e, -EINVAL,
			       "guest %s: needs a digest to expect and a root to trust at least",
			       g->name);
	j = json_pack("{s:i, s:s, s:I, s:b, s:o, s:o, s:o}", "version", RECORD_VERSION, "name",
		      g->name, "policy", (json_int_t)g->policy, "zero-pages-visible",
		      g->zero_visible, "digests", hashes_put(g->digest, g->ndigest), "roots",
		      hashes_put(g->root, g->nroot), "platforms",
		      hashes_put(g->platform, g->nplatform));
	if (!path || !j)
		return err_set(e, -ENOMEM, "no memory");
	return broker_json_write(path, j, e);
}

static int record_get(const json_t *j, struct broker_guest *out, struct err *e)
{
	const char *name = json_string_value(json_object_get(j, "name"));
	const json_t *policy = json_object_get(j, "policy");
	const json_t *zero = json_object_get(j, "zero-pages-visible");
	json_int_t bits = json_integer_value(policy);
	int r;

	if (json_integer_value(json_object_get(j, "version")) != RECORD_VERSION)
		return err_set(e, -EPROTO, "not a record of version %d", RECORD_VERSION);
	if (!name || !broker_name_valid(name) || !json_is_integer(policy) || bits < 0 ||
	    bits > UINT32_MAX || !json_is_boolean(zero))
		return err_set(e, -EPROTO, "name, policy or zero-pages-visible is missing or odd");
	snprintf(out->name, sizeof(out->name), "%s", name);
	out->policy = (uint32_t)bits;
	out->zero_visible = json_is_true(zero);
	r = hashes_get(j, "digests", out->digest, BROKER_DIGESTS_MAX, &out->ndigest, e);
	if (r == 0)
		r = hashes_get(j, "roots", out->root, BROKER_ROOTS_MAX, &out->nroot, e);
	if (r == 0)
		r = hashes_get(j, "platforms", out->platform, BROKER_PLATFORMS_MAX, &out->nplatform,
			       e);
	return r;
}

int broker_guest_get(const struct broker *b, const char *name, struct broker_guest *out,
		     struct err *e)
{
	auto_mem char *path = NULL;
	auto_of(json) json_t *j = NULL;
	int r;

	if (!broker_name_valid(name))
		return err_set(e, -ENOENT, "no guest of this name");
	path = broker_path(b, "guests", name, ".json");
	if (!path)
		return err_set(e, -ENOMEM, "no memory");
	if (access(path, F_OK) < 0)
		return err_set(e, -ENOENT, "no guest of this name");
	r = broker_json_read(path, &j, e);
	if (r < 0)
		return r;
	memset(out, 0, sizeof(*out));
	r = record_get(j, out, e);
	if (r == 0 && strcmp(out->name, name) != 0)
		r = err_set(e, -EPROTO, "is of guest %s", out->name);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int broker_key_get(const struct broker *b, const char *name, struct secret *out, struct err *e)
{
	auto_mem char *path = broker_path(b, "guests", name, ".key");

	if (!path)
		return err_set(e, -ENOMEM, "no memory");
	if (access(path, F_OK) < 0)
		return err_set(e, -ENOENT, "guest %s was never started here", name);
	return secret_file_read(path, BROKER_ID_LEN + BROKER_KEY_LEN, out, e);
}

int broker_key_make(struct secret *out, struct err *e)
{
	return secret_random(out, BROKER_ID_LEN + BROKER_KEY_LEN, e);
}

int broker_key_put(const struct broker *b, const char *name, const struct secret *key,
		   struct err *e)
{
	auto_mem char *path = broker_path(b, "guests", name, ".key");

	if (!path)
		return err_set(e, -ENOMEM, "no memory");
	return fd_file_replace(path, key->b, key->len, 0600, e);
}
