/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The function that a client would have called without the shim: the next of its name in the order
 * of loading. Usable before this library's own start, when other libraries' constructors call. */

#include <dlfcn.h>

#define shim_next(name)                                                                            \
	({                                                                                         \
		static __typeof__(&(name)) next_;                                                  \
		__typeof__(&(name)) fn_ = __atomic_load_n(&next_, __ATOMIC_RELAXED);               \
		if (!fn_) {                                                                        \
			*(void **)&fn_ = dlsym(RTLD_NEXT, #name);                                  \
			__atomic_store_n(&next_, fn_, __ATOMIC_RELAXED);                           \
		}                                                                                  \
		fn_;                                                                               \
	})
