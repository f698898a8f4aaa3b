/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/shim.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Descriptors below a million, the most that a kernel allows by default, in pieces made at first
 * use. */
#define PIECE 1024u
#define PIECES 1024u

typedef _Atomic(struct shim_file *) entry;

static _Atomic(entry *) pieces[PIECES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below, and writing pieces */
static struct shim_file *free_files;
static struct shim_vm *free_vms;
static pid_t owner;

struct held {
	sigset_t signals;
};

static struct held table_lock(void)
{
	struct held h;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &h.signals);
	pthread_mutex_lock(&lock);
	return h;
}

static void table_unlock(struct held h)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, &h.signals, NULL);
}

void shim_fds_start(void)
{
	owner = getpid();
}

bool shim_fds_mine(void)
{
	return getpid() == owner;
}

/* --- entries --------------------------------------------------------------------------------- */

static entry *entry_at(int fd)
{
	entry *piece;

	if (fd < 0 || (unsigned)fd >= PIECE * PIECES)
		return NULL;
	piece = atomic_load_explicit(&pieces[(unsigned)fd / PIECE], memory_order_acquire);
	return piece ? &piece[(unsigned)fd % PIECE] : NULL;
}

/* With its piece made; the lock is held. */
static entry *entry_make(int fd)
{
	void *piece;

	if (fd < 0 || (unsigned)fd >= PIECE * PIECES)
		return NULL;
	if (!pieces[(unsigned)fd / PIECE]) {
		/* Not calloc(): dup() may be called where the heap may not be used. */
		piece = mmap(NULL, PIECE * sizeof(entry), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (piece == MAP_FAILED)
			return NULL;
		atomic_store_explicit(&pieces[(unsigned)fd / PIECE], piece, memory_order_release);
	}
	return entry_at(fd);
}

struct shim_file *shim_fds_peek(int fd)
{
	entry *at = entry_at(fd);

	return at ? atomic_load_explicit(at, memory_order_acquire) : NULL;
}

struct shim_file *shim_fds_get(int fd)
{
	struct shim_file *f = shim_fds_peek(fd);
	struct held h;

	if (!f)
		return NULL;
	h = table_lock();
	f = shim_fds_peek(fd);
	if (f)
		f->refs++;
	table_unlock(h);
	return f;
}

/* One reference less, under the lock; what comes back has to be freed without it. */
static struct sev_vm *file_release(struct shim_file *f)
{
	struct shim_vm *vm = f->vm;

	if (--f->refs)
		return NULL;
	f->next_free = free_files;
	free_files = f;
	if (--vm->refs)
		return NULL;
	vm->next_free = free_vms;
	free_vms = vm;
	return vm->sev;
}

void shim_fds_put(struct shim_file *f)
{
	struct held h = table_lock();
	struct sev_vm *last = file_release(f);

	table_unlock(h);
	sev_vm_free(last);
}

/* --- objects --------------------------------------------------------------------------------- */

static struct shim_file *file_new(void)
{
	struct shim_file *f = free_files;

	if (f)
		free_files = f->next_free;
	else
		f = calloc(1, sizeof(*f));
	return f;
}

struct shim_vm *shim_fds_vm_new(void)
{
	struct held h = table_lock();
	struct shim_vm *vm = free_vms;

	if (vm)
		free_vms = vm->next_free;
	else
		vm = calloc(1, sizeof(*vm));
	table_unlock(h);
	if (vm) {
		vm->sev = NULL;
		vm->vcpus = vm->coming = 0;
		vm->refusal = 0;
		vm->refs = 0;
	}
	return vm;
}

void shim_fds_vm_discard(struct shim_vm *vm)
{
	struct held h = table_lock();

	vm->next_free = free_vms;
	free_vms = vm;
	table_unlock(h);
}

/* The lock is held. A descriptor that was closed behind our back may still have an entry; *stale is
 * to be freed without the lock. */
static bool file_place(int fd, struct shim_vm *vm, bool is_vm, unsigned index,
		       struct sev_vm **stale)
{
	entry *at = entry_make(fd);
	struct shim_file *f = at ? file_new() : NULL;
	struct shim_file *old;

	if (!f)
		return false;
	*f = (struct shim_file){ .vm = vm, .is_vm = is_vm, .index = index, .refs = 1 };
	vm->refs++;
	old = atomic_exchange(at, f);
	*stale = old ? file_release(old) : NULL;
	return true;
}

bool shim_fds_add_vm(int fd, struct shim_vm *vm)
{
	struct sev_vm *stale = NULL;
	struct held h = table_lock();
	bool ok = file_place(fd, vm, true, 0, &stale);

	table_unlock(h);
	sev_vm_free(stale);
	return ok;
}

bool shim_fds_add_vcpu(int fd, struct shim_vm *vm, unsigned index)
{
	struct sev_vm *stale = NULL;
	struct held h = table_lock();
	bool ok = file_place(fd, vm, false, index, &stale);

	table_unlock(h);
	sev_vm_free(stale);
	return ok;
}

int shim_fds_find_vcpu(const struct shim_vm *vm, unsigned index)
{
	struct held h = table_lock();
	int found = -1;

	for (unsigned i = 0; i < PIECES && found < 0; i++) {
		for (unsigned j = 0; pieces[i] && j < PIECE && found < 0; j++) {
			const struct shim_file *f = pieces[i][j];

			if (f && f->vm == vm && !f->is_vm && f->index == index)
				found = (int)(i * PIECE + j);
		}
	}
	table_unlock(h);
	return found;
}

/* --- dup and close --------------------------------------------------------------------------- */

void shim_fds_copy(int from, int to)
{
	struct sev_vm *stale = NULL;
	struct shim_file *f, *old;
	struct held h;
	entry *at;

	if (from == to || (!shim_fds_peek(from) && !shim_fds_peek(to)) || !shim_fds_mine())
		return;
	h = table_lock();
	f = shim_fds_peek(from);
	at = f ? entry_make(to) : entry_at(to);
	if (at) {
		if (f)
			f->refs++;
		old = atomic_exchange(at, f);
		stale = old ? file_release(old) : NULL;
	}
	table_unlock(h);
	sev_vm_free(stale);
}

void shim_fds_drop(int fd)
{
	struct sev_vm *last = NULL;
	struct shim_file *old;
	struct held h;

	if (!shim_fds_peek(fd) || !shim_fds_mine())
		return;
	h = table_lock();
	old = atomic_exchange(entry_at(fd), NULL);
	if (old)
		last = file_release(old);
	table_unlock(h);
	sev_vm_free(last);
}

void shim_fds_drop_range(unsigned first, unsigned last)
{
	if (last >= PIECE * PIECES)
		last = PIECE * PIECES - 1;
	for (unsigned fd = first; fd <= last; fd++) {
		if (!pieces[fd / PIECE])
			fd |= PIECE - 1; /* on to the next piece */
		else
			shim_fds_drop((int)fd);
	}
}

/* --- fork ------------------------------------------------------------------------------------ */

static struct held fork_held;

void shim_fds_fork_hold(void)
{
	struct held h = table_lock();

	fork_held = h;
}

void shim_fds_fork_parent(void)
{
	table_unlock(fork_held);
}

void shim_fds_fork_child(void)
{
	owner = getpid();
	/* KVM: a VM belongs to the address space that made it. */
	for (unsigned i = 0; i < PIECES; i++) {
		for (unsigned j = 0; pieces[i] && j < PIECE; j++) {
			struct shim_file *f = pieces[i][j];

			if (f)
				f->vm->refusal = SHIM_DEAD;
		}
	}
	table_unlock(fork_held);
}
