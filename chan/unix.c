/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/sock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"

/* A whole message on its way while the next is made. Unix sockets do not grow their buffers by
 * themselves as TCP's do; the kernel cuts this down to its wmem_max. */
#define BUFFER_LEN (4 << 20)
#define BACKLOG 8

void chan_unix_tune(int fd)
{
	int len = BUFFER_LEN;

	(void)!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len, sizeof(len));
}

static struct sockaddr_un addr_of(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	return sa;
}

int chan_unix_connect(const char *path, int *out, struct err *e)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = addr_of(path);

	if (fd < 0)
		return err_set(e, -errno, "socket: %m");
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_set(e, -errno, "%s: connect: %m", path);
	chan_unix_tune(fd);
	*out = steal_fd(&fd);
	return 0;
}

/* Nobody answers on a socket file that its listener left behind. */
static int stale_remove(const char *path, struct err *e)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = addr_of(path);
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(e, -errno, "%s: %m", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, -EEXIST, "%s: exists and is not a socket; not replaced", path);
	if (fd < 0)
		return err_set(e, -errno, "socket: %m");
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno != ECONNREFUSED)
		return err_set(e, -EADDRINUSE, "%s: in use by another process", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(e, -errno, "%s: %m", path);
	return 0;
}

int chan_unix_listen(const char *path, int *out, struct stat *made, struct err *e)
{
	auto_fd int fd = -1;
	struct sockaddr_un sa = addr_of(path);
	int r = stale_remove(path, e);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Before bind: the file takes the socket's mode, so it is never open to others. */
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_set(e, -errno, "socket: %m");
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_set(e, -errno, "%s: bind: %m", path);
	if (lstat(path, made) < 0 || listen(fd, BACKLOG) < 0) {
		err_set(e, -errno, "%s: listen: %m", path);
		unlink(path);
		return e->code;
	}
	*out = steal_fd(&fd);
	return 0;
}

void chan_unix_unlink(const char *path, const struct stat *made)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == made->st_dev && st.st_ino == made->st_ino)
		unlink(path);
}
