/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"

#define NAME_LEN_MAX 63

bool cli_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_LEN_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			return false;
	return true;
}

int cli_runtime_dir(char *out, size_t len, struct err *e)
{
	const char *own = getenv("SEVMIG_RUNTIME_DIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (own && *own)
		n = snprintf(out, len, "%s", own);
	else if (xdg && *xdg)
		n = snprintf(out, len, "%s/sevmig", xdg);
	else if (geteuid() == 0)
		n = snprintf(out, len, "/run/sevmig");
	else
		return err_set(e, -ENOENT,
			       "no place for control sockets: set XDG_RUNTIME_DIR or "
			       "SEVMIG_RUNTIME_DIR");
	if (n < 0 || (size_t)n >= len)
		return err_set(e, -ENAMETOOLONG, "runtime directory: name too long");
	return 0;
}

static int socket_path(const char *name, char *out, size_t len, struct err *e)
{
	struct sockaddr_un at;
	size_t used;
	int r;

	if (!cli_name_valid(name))
		return err_set(
			e, -EINVAL,
			"%s: not a guest's name (letters, digits, '.', '_', '-'; at most %d)", name,
			NAME_LEN_MAX);
	r = cli_runtime_dir(out, len, e);
	if (r < 0)
		return r;
	used = strlen(out);
	if (used + strlen(name) + sizeof("/.sock") > sizeof(at.sun_path) ||
	    used + strlen(name) + sizeof("/.sock") > len)
		return err_set(e, -ENAMETOOLONG, "%s/%s.sock: too long for a socket", out, name);
	snprintf(out + used, len - used, "/%s.sock", name);
	return 0;
}

/* Does somebody answer there? */
static bool socket_alive(const struct sockaddr_un *at)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0;
}

/* The caller holds the lock of the folder, so nobody else binds or cleans up here meanwhile. */
static int socket_bind(const char *name, const char *path, int *out, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, -errno, "socket: %m");
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (socket_alive(&at))
		return err_set(e, -EADDRINUSE, "a guest named %s is running already (%s)", name,
			       path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(e, -errno, "%s: %m", path);
	/* The mode must hold from the first moment; on Linux bind() takes it from the socket. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 16) < 0)
		return err_set(e, -errno, "%s: %m", path);
	*out = steal_fd(&fd);
	return 0;
}

int cli_runtime_listen(const char *name, int *fd, char *path, size_t len, struct err *e)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	auto_fd int lock = -1;
	int r = socket_path(name, path, len, e);

	if (r == 0)
		r = cli_runtime_dir(dir, sizeof(dir), e);
	if (r < 0)
		return r;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %m", dir);
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_set(e, -errno, "%s: %m", dir);
	return socket_bind(name, path, fd, e);
}

int cli_runtime_connect(const char *name, struct control_client **out, struct err *e)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int r = socket_path(name, path, sizeof(path), e);

	if (r < 0)
		return r;
	r = control_client_open(path, CLI_CALL_MS, out, e);
	if (r == -ENOENT || r == -ECONNREFUSED)
		return err_set(e, r, "no guest named %s is running here (%s)", name, path);
	return r;
}
