/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside the software platform. psp/ is the Secure Processor; here is what Linux puts before it:
 * the driver's and KVM's checks and errno values (soft.c, soft_vm.c, soft_init.c, soft_move.c,
 * soft_es.c, soft_mirror.c), the two faces of guest memory (soft_mem.c), the caller's memory
 * (soft_user.c), the state directory (soft_dir.c), clients with system calls (soft_shim.c).
 *
 * Lock order: soft_vm.lock, soft_platform.lock, the state directory's flock. The Secure Processor
 * runs one command at a time, so psp is only touched under soft_platform.lock.
 */

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "abi/psp.h"
#include "base/buf.h"
#include "psp/psp.h"
#include "sev/soft_shim.h"

#define SOFT_BLOB_MAX 0x4000u /* SEV_FW_BLOB_MAX_SIZE of the kernel */

/* --- the caller's memory (soft_user.c) ------------------------------------------------------- */

#define SOFT_USER_SPANS 8
struct soft_user {
	struct soft_span {
		uintptr_t start, end;
		bool writable;
	} span[SOFT_USER_SPANS]; /* page-aligned memory that was seen to be there */
	unsigned next;           /* the one to be replaced */
	bool forget;             /* of a client that may unmap at any time: ask every time */
	pid_t other;             /* a thread of the process whose memory it is; 0: this one's */
};

/* This process's memory itself, or NULL where copy_from_user() and copy_to_user() would fail. */
const uint8_t *soft_user_read(struct soft_user *u, uint64_t uaddr, size_t len);
uint8_t *soft_user_write(struct soft_user *u, uint64_t uaddr, size_t len);
/* 0 or -EFAULT. */
int soft_user_get(struct soft_user *u, void *to, uint64_t uaddr, size_t len);
int soft_user_put(struct soft_user *u, uint64_t uaddr, const void *from, size_t len);
/* What get_user_pages() for writing would find: faults it in. NULL: not all there, or not
 * writable. */
uint8_t *soft_user_pin(uint64_t uaddr, uint64_t len);
/* The same without touching a page: is all of it mapped? */
bool soft_user_mapped(uint64_t uaddr, uint64_t len);

/* --- the state directory (soft_dir.c) -------------------------------------------------------- */

struct soft_dir {
	char *path;       /* owned */
	int fd;           /* owned; the directory, for flock() */
	struct stat file; /* the state file whose content psp has */
	uint64_t changes; /* psp_nv_changes() then */
};

int must_check soft_dir_open(struct soft_dir *d, const char *path, struct err *e);
int must_check soft_dir_lock(struct soft_dir *d, struct err *e);
void soft_dir_unlock(struct soft_dir *d);
/* Under the lock: make psp (NULL: a new one) what the state file says, if that changed. */
int must_check soft_dir_load(struct soft_dir *d, struct psp **psp, struct err *e);
/* Under the lock: write the state file if psp changed. */
int must_check soft_dir_save(struct soft_dir *d, const struct psp *psp, struct err *e);
/* Under the lock: remove what killed processes left. */
void soft_dir_clean(const struct soft_dir *d);
/* After fork(): locks of the parent are not the child's. */
void soft_dir_forked(struct soft_dir *d);

/* Numbers that all processes on one platform share: an ASID, and with SOFT_GUEST added the guest
 * context on it. Held until dropped or until the process ends, however it does. Under the lock. */
#define SOFT_GUEST 0x10000u
int soft_dir_hold(const struct soft_dir *d, uint32_t n); /* 0 or -errno */
void soft_dir_drop(const struct soft_dir *d, uint32_t n);
/* How many of [from, to) others hold. */
uint32_t soft_dir_others(const struct soft_dir *d, uint32_t from, uint32_t to);
void soft_dir_fini(struct soft_dir *d);

/* --- the platform (soft.c) ------------------------------------------------------------------- */

struct soft_platform {
	struct sev_platform base;
	pthread_mutex_t lock;
	struct psp *psp;
	struct soft_dir dir;
	struct soft_user user;               /* what issue() was given */
	uint8_t asid_used[PSP_ASID_MAX + 1]; /* by a VM of this process */
	unsigned forks;                      /* of this process's ancestors, when it was ours */
};

/* How many forks there are between the first process here and this one. */
unsigned soft_forks(void);
/* The lock; in a child of the process that opened it also what makes it the child's own. */
void soft_platform_enter(struct soft_platform *p);
void soft_platform_leave(struct soft_platform *p);
/* Runs with the state directory locked, others' changes loaded, its own saved after. The platform's
 * lock is held. 0 or -errno, status into *fw. */
typedef int soft_with_state(struct soft_platform *p, void *arg, uint32_t *fw);
int soft_platform_with(struct soft_platform *p, soft_with_state *run, void *arg, uint32_t *fw);
struct soft_caller {
	pid_t other;   /* as in struct soft_user */
	bool writable; /* /dev/sev was opened for writing */
	bool client;   /* may unmap at any time */
};
/* One /dev/sev command; true: it was one, and *cmd is to be copied back whatever *ret says. */
bool soft_platform_issue(struct soft_platform *p, struct sev_issue_cmd *cmd,
			 const struct soft_caller *by, int *ret);

static inline int soft_fw(enum psp_status s, uint32_t *fw)
{
	*fw = (uint32_t)s;
	return s == PSP_SUCCESS ? 0 : -EIO;
}
