/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The lock of a VM's run state, as clang's thread-safety analysis can follow it: fields say
 * GUARDED_BY(vmm_run), functions say REQUIRES(vmm_run), and a build with clang fails where the rule
 * is broken. In C an attribute cannot name a sibling member, so vmm_run is a name for "the lock of
 * the VM at hand"; there is no such object.
 */

#include <pthread.h>

#ifdef __clang__
#define thread_safety(x) __attribute__((x))
#else
#define thread_safety(x)
#endif

#define GUARDED_BY(l) thread_safety(guarded_by(l))
#define REQUIRES(l) thread_safety(requires_capability(l))

struct thread_safety(capability("mutex")) vmm_role
{
	char unused;
};
extern struct vmm_role vmm_run;

struct vmm_lock {
	pthread_mutex_t m;
	pthread_cond_t changed;
};

static inline void vmm_lock_init(struct vmm_lock *l)
{
	pthread_mutex_init(&l->m, NULL);
	pthread_cond_init(&l->changed, NULL);
}

static inline void vmm_lock_fini(struct vmm_lock *l)
{
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->m);
}

static inline void vmm_lock_take(struct vmm_lock *l) thread_safety(acquire_capability(vmm_run))
	thread_safety(no_thread_safety_analysis)
{
	pthread_mutex_lock(&l->m);
}

static inline void vmm_lock_drop(struct vmm_lock *l) thread_safety(release_capability(vmm_run))
	thread_safety(no_thread_safety_analysis)
{
	pthread_mutex_unlock(&l->m);
}

/* Until somebody tells; the caller looks again at what it waits for. */
static inline void vmm_lock_wait(struct vmm_lock *l) REQUIRES(vmm_run)
{
	pthread_cond_wait(&l->changed, &l->m);
}

static inline void vmm_lock_tell(struct vmm_lock *l) REQUIRES(vmm_run)
{
	pthread_cond_broadcast(&l->changed);
}
