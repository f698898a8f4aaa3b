/* SPDX-License-Identifier: Apache-2.0 */

/* Calls that copy and close descriptors, for the table of VMs and vCPUs. */

#include "shim/shim.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <stdarg.h>
#include <unistd.h>

#include "shim/next.h"

shim_public int close_range(unsigned first, unsigned last, int flags);
shim_public void closefrom(int first);

/* The entry goes first: once the number is free, another thread may be given it. */
shim_public int close(int fd)
{
	shim_fds_drop(fd);
	return shim_next(close)(fd);
}

shim_public int close_range(unsigned first, unsigned last, int flags)
{
	if (!(flags & CLOSE_RANGE_CLOEXEC))
		shim_fds_drop_range(first, last);
	return shim_next(close_range)(first, last, flags);
}

shim_public void closefrom(int first)
{
	shim_fds_drop_range(first < 0 ? 0 : (unsigned)first, ~0u);
	shim_next(closefrom)(first);
}

static int copied(int from, int to)
{
	if (to >= 0)
		shim_fds_copy(from, to);
	return to;
}

shim_public int dup(int fd)
{
	return copied(fd, shim_next(dup)(fd));
}

shim_public int dup2(int from, int to)
{
	return copied(from, shim_next(dup2)(from, to));
}

shim_public int dup3(int from, int to, int flags)
{
	return copied(from, shim_next(dup3)(from, to, flags));
}

/* The third argument is passed on as it came, int or pointer, as the C library does it. */
#define FCNTL(name)                                                                                \
	shim_public int name(int fd, int cmd, ...)                                                 \
	{                                                                                          \
		uintptr_t arg;                                                                     \
		va_list ap;                                                                        \
		int r;                                                                             \
                                                                                                   \
		va_start(ap, cmd);                                                                 \
		arg = va_arg(ap, uintptr_t);                                                       \
		va_end(ap);                                                                        \
		r = shim_next(name)(fd, cmd, arg);                                                 \
		return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? copied(fd, r) : r;               \
	}

FCNTL(fcntl)
FCNTL(fcntl64)
