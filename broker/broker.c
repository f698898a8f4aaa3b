/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

#define RECORD_MAX 65536u

char *broker_path(const struct broker *b, const char *kind, const char *name, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s/%s/%s%s", b->dir, kind, name, suffix) < 0 ? NULL : path;
}

bool broker_name_valid(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n && n < sizeof(((struct broker_guest *)0)->name) && !name[n] && name[0] != '.';
}

int broker_json_read(const char *path, json_t **out, struct err *e)
{
	auto_buf struct buf text = { 0 };
	json_error_t why;
	int r = fd_file_read(path, RECORD_MAX, &text, e);

	if (r < 0)
		return r;
	*out = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, &why);
	if (!*out)
		return err_set(e, -EPROTO, "%s:%d: %s", path, why.line, why.text);
	return 0;
}

int broker_json_write(const char *path, const json_t *j, struct err *e)
{
	auto_mem char *text = json_dumps(j, JSON_INDENT(2) | JSON_SORT_KEYS);

	if (!text)
		return err_set(e, -ENOMEM, "%s: no memory", path);
	return fd_file_replace(path, text, strlen(text), 0600, e);
}

int broker_log(struct broker *b, json_t *line, struct err *e)
{
	auto_mem char *path = broker_path(b, ".", "audit", ".log");
	char *text = json_dumps(line, JSON_COMPACT);
	auto_mem char *whole = NULL;
	auto_fd int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	int r;

	if (fd < 0 || !text || asprintf(&whole, "%s\n", text) < 0) {
		free(text);
		return err_set(e, -EIO, "audit log: cannot be written: %m");
	}
	free(text);
	r = fd_write_all(fd, whole, strlen(whole), "audit log", e);
	if (r == 0 && fdatasync(fd) < 0)
		r = err_set(e, -errno, "audit log: %m");
	return r;
}

static int dir_make(const char *path, struct err *e)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? err_set(e, -errno, "%s: %m", path) : 0;
}

static int dirs_make(const struct broker *b, struct err *e)
{
	static const char *const kinds[] = { "guests", "tickets" };
	int r = dir_make(b->dir, e);

	for (size_t i = 0; i < 2 && r == 0; i++) {
		auto_mem char *path = broker_path(b, kinds[i], "", "");

		r = path ? dir_make(path, e) : err_set(e, -ENOMEM, "no memory");
	}
	return r;
}

static int64_t system_now(void)
{
	return time(NULL);
}

int broker_open(const char *dir, int64_t (*now)(void), struct broker **out, struct err *e)
{
	auto_of(broker) struct broker *b = calloc(1, sizeof(*b));
	struct stat st;
	int r;

	if (!b || !(b->dir = strdup(dir)))
		return err_set(e, -ENOMEM, "no memory");
	b->fd = -1;
	b->now = now ? now : system_now;
	r = dirs_make(b, e);
	if (r < 0)
		return r;
	b->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->fd < 0 || fstat(b->fd, &st) < 0)
		return err_set(e, -errno, "%s: %m", dir);
	if (st.st_mode & 077)
		return err_set(e, -EPERM, "%s: others may look into it; chmod 700", dir);
	*out = steal_ptr(&b);
	return 0;
}

void broker_free(struct broker *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		close(b->fd);
	free(b->dir);
	free(b);
}
