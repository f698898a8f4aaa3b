/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"

int fd_write_all(int fd, const void *p, size_t len, const char *what, struct err *e)
{
	const char *at = p;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "%s: write: %m", what);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_read_all(int fd, void *p, size_t len, const char *what, struct err *e)
{
	char *at = p;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "%s: read: %m", what);
		if (n == 0)
			return err_set(e, -ECONNRESET, "%s: ended %zu bytes early", what, len);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t start = out->len;

	if (fd < 0)
		return err_set(e, -errno, "%s: %m", path);
	for (;;) {
		ssize_t n;
		int r = buf_reserve(out, 65536, e);

		if (r < 0)
			return r;
		n = read(fd, out->p + out->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "%s: read: %m", path);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		if (out->len - start > max)
			return err_set(e, -EFBIG, "%s: more than %zu bytes", path, max);
	}
}

static int folder_sync(const char *path, struct err *e)
{
	auto_mem char *copy = strdup(path);
	auto_fd int fd = -1;

	if (!copy)
		return err_set(e, -ENOMEM, "%s: no memory", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_set(e, -errno, "%s: sync of its folder: %m", path);
	return 0;
}

static int temp_fill(int fd, const char *tmp, const void *p, size_t len, mode_t mode, struct err *e)
{
	int r = fd_write_all(fd, p, len, tmp, e);

	if (r < 0)
		return r;
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return err_set(e, -errno, "%s: %m", tmp);
	return 0;
}

int fd_file_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *e)
{
	auto_mem char *tmp = NULL;
	auto_fd int fd = -1;
	int r;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		return err_set(e, -ENOMEM, "%s: no memory", path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "%s: %m", tmp);
	r = temp_fill(fd, tmp, p, len, mode, e);
	if (r == 0 && rename(tmp, path) < 0)
		r = err_set(e, -errno, "%s: rename: %m", path);
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	return folder_sync(path, e);
}
