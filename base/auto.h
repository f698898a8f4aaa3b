/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ownership by scope. What a function acquires it holds in an auto_ variable, which is released on
 * every way out; what it hands over it steals:
 *
 *	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	...
 *	*out = steal_fd(&fd);
 *
 * A type with a _free(T *) function gets its own with DEFINE_AUTO(name, T *, T_free).
 */

#include <stdlib.h>
#include <unistd.h>

#define cleanup_with(fn) __attribute__((cleanup(fn)))

static inline void auto_fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd); /* never retried: the number may belong to another thread by then */
}

static inline void auto_mem_free(void *p)
{
	free(*(void **)p);
}

#define auto_fd cleanup_with(auto_fd_close)
#define auto_mem cleanup_with(auto_mem_free)

static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/* Take the pointer out of *pp and leave NULL behind, keeping its type. */
#define steal_ptr(pp)                                                                              \
	({                                                                                         \
		__typeof__(*(pp)) steal_v_ = *(pp);                                                \
		*(pp) = NULL;                                                                      \
		steal_v_;                                                                          \
	})

#define DEFINE_AUTO(name, type, fn)                                                                \
	static inline void name##_auto_release(type *p)                                            \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}
#define auto_of(name) cleanup_with(name##_auto_release)
