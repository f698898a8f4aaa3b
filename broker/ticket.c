/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "owner/text.h"

void broker_ticket_wipe(struct broker_ticket *t)
{
	session_keys_wipe(&t->keys);
}

static int keys_write(const char *path, const struct session_keys *k, struct err *e)
{
	auto_secret struct secret both = { .len = 2 * PSP_KEY_LEN };

	memcpy(both.b, k->tek.b, PSP_KEY_LEN);
	memcpy(both.b + PSP_KEY_LEN, k->tik.b, PSP_KEY_LEN);
	return fd_file_replace(path, both.b, both.len, 0600, e);
}

static int keys_read(const char *path, struct session_keys *k, struct err *e)
{
	auto_secret struct secret both = { 0 };
	int r = secret_file_read(path, 2 * PSP_KEY_LEN, &both, e);

	if (r < 0)
		return r;
	k->tek.len = k->tik.len = PSP_KEY_LEN;
	memcpy(k->tek.b, both.b, PSP_KEY_LEN);
	memcpy(k->tik.b, both.b + PSP_KEY_LEN, PSP_KEY_LEN);
	return 0;
}

/* By the files' own time: whatever is in them, nobody can use it any more. */
static void tickets_expire(const struct broker *b)
{
	auto_mem char *path = broker_path(b, "tickets", "", "");
	DIR *dir = path ? opendir(path) : NULL;
	const struct dirent *d;
	struct stat st;

	while (dir && (d = readdir(dir)))
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && time(NULL) - st.st_mtime > BROKER_TICKET_SECONDS)
			(void)!unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
}

int broker_ticket_put(const struct broker *b, struct broker_ticket *t, struct err *e)
{
	auto_mem char *json_path = NULL;
	auto_mem char *key_path = NULL;
	auto_of(json) json_t *j = NULL;
	uint8_t id[BROKER_ID_LEN];
	int r = crypto_random(id, sizeof(id), e);

	if (r < 0)
		return r;
	tickets_expire(b);
	owner_hex_put(id, sizeof(id), t->id);
	t->made = b->now();
	json_path = broker_path(b, "tickets", t->id, ".json");
	key_path = broker_path(b, "tickets", t->id, ".key");
	j = json_pack("{s:s, s:b, s:s, s:I}", "guest", t->guest, "arrives", t->arrives, "platform",
		      t->platform, "made", (json_int_t)t->made);
	if (!json_path || !key_path || !j)
		return err_set(e, -ENOMEM, "no memory");
	r = keys_write(key_path, &t->keys, e);
	return r < 0 ? r : broker_json_write(json_path, j, e);
}

static int ticket_get(const json_t *j, struct broker_ticket *out, struct err *e)
{
	const char *guest = json_string_value(json_object_get(j, "guest"));
	const char *platform = json_string_value(json_object_get(j, "platform"));
	const json_t *arrives = json_object_get(j, "arrives"), *made = json_object_get(j, "made");

	if (!guest || !broker_name_valid(guest) || !platform ||
	    strlen(platform) >= sizeof(out->platform) || !json_is_boolean(arrives) ||
	    !json_is_integer(made))
		return err_set(e, -EPROTO, "a damaged ticket");
	snprintf(out->guest, sizeof(out->guest), "%s", guest);
	snprintf(out->platform, sizeof(out->platform), "%s", platform);
	out->arrives = json_is_true(arrives);
	out->made = json_integer_value(made);
	return 0;
}

int broker_ticket_take(const struct broker *b, const char *id, struct broker_ticket *out,
		       struct err *e)
{
	uint8_t raw[BROKER_ID_LEN];
	struct err ignored;
	auto_mem char *json_path = NULL;
	auto_mem char *key_path = NULL;
	auto_of(json) json_t *j = NULL;
	int64_t age;
	int r;

	/* Nothing but 32 digits becomes part of a path. */
	if (owner_hex_get(id, raw, sizeof(raw), &ignored) < 0)
		return err_set(e, -ENOENT, "no such ticket");
	owner_hex_put(raw, sizeof(raw), out->id);
	json_path = broker_path(b, "tickets", out->id, ".json");
	key_path = broker_path(b, "tickets", out->id, ".key");
	if (!json_path || !key_path)
		return err_set(e, -ENOMEM, "no memory");
	if (access(json_path, F_OK) < 0)
		return err_set(e, -ENOENT, "no such ticket, or it was used");
	r = broker_json_read(json_path, &j, e);
	if (r == 0)
		r = ticket_get(j, out, e);
	if (r == 0)
		r = keys_read(key_path, &out->keys, e);
	if (unlink(json_path) < 0 || unlink(key_path) < 0)
		return err_set(e, -errno, "%s: %m", json_path);
	if (r < 0)
		return r;
	age = b->now() - out->made;
	if (age < 0 || age > BROKER_TICKET_SECONDS)
		return err_set(e, -ENOENT, "the ticket is %lld s old, %u are allowed",
			       (long long)age, BROKER_TICKET_SECONDS);
	return 0;
}
