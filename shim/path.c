/* SPDX-License-Identifier: Apache-2.0 */

/* Calls that take a path: /dev/sev is /dev/full for all of them, see shim.h. */

#include "shim/shim.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "shim/next.h"

/* What programs call that were built with _FORTIFY_SOURCE, or against a C library before 2.33. */
shim_public int __open_2(const char *path, int flags);
shim_public int __open64_2(const char *path, int flags);
shim_public int __openat_2(int at, const char *path, int flags);
shim_public int __openat64_2(int at, const char *path, int flags);
shim_public int __xstat(int version, const char *path, struct stat *st);
shim_public int __xstat64(int version, const char *path, struct stat64 *st);
shim_public int __lxstat(int version, const char *path, struct stat *st);
shim_public int __lxstat64(int version, const char *path, struct stat64 *st);

/* The C library declares path as never NULL; the kernel answers EFAULT. */
static const char *real_path(const char *path)
{
	const char *volatile p = path;

	if (!shim_config.state || !p || strcmp(p, "/dev/sev") != 0)
		return path;
	return "/dev/full";
}

/* --- open ------------------------------------------------------------------------------------ */

/* A descriptor that was closed behind our back comes back here. */
static int opened(int fd)
{
	if (fd >= 0)
		shim_fds_drop(fd);
	return fd;
}

static bool has_mode(int flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#define MODE_GET(mode, last)                                                                       \
	do {                                                                                       \
		va_list ap_;                                                                       \
		va_start(ap_, last);                                                               \
		if (has_mode(last))                                                                \
			(mode) = va_arg(ap_, mode_t);                                              \
		va_end(ap_);                                                                       \
	} while (0)

shim_public int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_GET(mode, flags);
	return opened(shim_next(open)(real_path(path), flags, mode));
}

shim_public int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_GET(mode, flags);
	return opened(shim_next(open64)(real_path(path), flags, mode));
}

shim_public int openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_GET(mode, flags);
	return opened(shim_next(openat)(at, real_path(path), flags, mode));
}

shim_public int openat64(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_GET(mode, flags);
	return opened(shim_next(openat64)(at, real_path(path), flags, mode));
}

shim_public int __open_2(const char *path, int flags)
{
	return opened(shim_next(__open_2)(real_path(path), flags));
}

shim_public int __open64_2(const char *path, int flags)
{
	return opened(shim_next(__open64_2)(real_path(path), flags));
}

shim_public int __openat_2(int at, const char *path, int flags)
{
	return opened(shim_next(__openat_2)(at, real_path(path), flags));
}

shim_public int __openat64_2(int at, const char *path, int flags)
{
	return opened(shim_next(__openat64_2)(at, real_path(path), flags));
}

/* --- is it there? ---------------------------------------------------------------------------- */

shim_public int access(const char *path, int mode)
{
	return shim_next(access)(real_path(path), mode);
}

shim_public int euidaccess(const char *path, int mode)
{
	return shim_next(euidaccess)(real_path(path), mode);
}

shim_public int eaccess(const char *path, int mode)
{
	return shim_next(eaccess)(real_path(path), mode);
}

shim_public int faccessat(int at, const char *path, int mode, int flags)
{
	return shim_next(faccessat)(at, real_path(path), mode, flags);
}

shim_public int stat(const char *restrict path, struct stat *restrict st)
{
	return shim_next(stat)(real_path(path), st);
}

shim_public int stat64(const char *restrict path, struct stat64 *restrict st)
{
	return shim_next(stat64)(real_path(path), st);
}

shim_public int lstat(const char *restrict path, struct stat *restrict st)
{
	return shim_next(lstat)(real_path(path), st);
}

shim_public int lstat64(const char *restrict path, struct stat64 *restrict st)
{
	return shim_next(lstat64)(real_path(path), st);
}

shim_public int fstatat(int at, const char *restrict path, struct stat *restrict st, int flags)
{
	return shim_next(fstatat)(at, real_path(path), st, flags);
}

shim_public int fstatat64(int at, const char *restrict path, struct stat64 *restrict st, int flags)
{
	return shim_next(fstatat64)(at, real_path(path), st, flags);
}

shim_public int statx(int at, const char *restrict path, int flags, unsigned mask,
		      struct statx *restrict st)
{
	return shim_next(statx)(at, real_path(path), flags, mask, st);
}

shim_public int __xstat(int version, const char *path, struct stat *st)
{
	return shim_next(__xstat)(version, real_path(path), st);
}

shim_public int __xstat64(int version, const char *path, struct stat64 *st)
{
	return shim_next(__xstat64)(version, real_path(path), st);
}

shim_public int __lxstat(int version, const char *path, struct stat *st)
{
	return shim_next(__lxstat)(version, real_path(path), st);
}

shim_public int __lxstat64(int version, const char *path, struct stat64 *st)
{
	return shim_next(__lxstat64)(version, real_path(path), st);
}
