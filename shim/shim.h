/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Preloaded into a program, this library answers what only a machine with SEV would: ioctls on
 * /dev/sev, the SEV ioctls of KVM's VMs, and CPUID 0x8000001f. Everything else goes on to the next
 * library untouched.
 *
 * Which descriptor is what. /dev/sev is opened as /dev/full, a device of the kernel that nobody
 * sends ioctls to: a descriptor is /dev/sev when it is that device, however it came here (dup,
 * fork, exec, a socket), and its access mode is what the client asked for. /dev/kvm is recognised
 * by its device number. VMs and vCPUs have no such mark; they are followed through a table from
 * descriptor to object (fds.c). Only ioctls look there that belong to SEV or that a VM which SEV
 * changed has to refuse.
 *
 * Locks: those of sev/, then the table's. Signals are blocked while the table is locked, and
 * close(2) of what is not in it takes no lock at all, so signal handlers may close and dup.
 */

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sev/soft_shim.h"

#define shim_public __attribute__((visibility("default")))

/* --- start.c --------------------------------------------------------------------------------- */

struct shim_config {
	const char *state; /* NULL: not told what to be; everything passes through */
	unsigned cbit;
	bool cpuid_fault;
};
extern struct shim_config shim_config;

/* The platform, opened at its first use; NULL when that fails, which was said. Never closed. */
struct sev_platform *shim_platform(void);
/* ioctl(2)'s way to return 0 or more, or -errno. */
int shim_return(int r);

/* --- fds.c ----------------------------------------------------------------------------------- */

struct shim_vm;

/* One open VM or vCPU. Never given back to the heap, only used again: whoever loses a race against
 * close() reads an object of the same kind, not other memory. */
struct shim_file {
	struct shim_vm *vm;
	bool is_vm;
	unsigned index; /* of a vCPU, in order of creation */
	unsigned refs;  /* descriptors and running calls */
	struct shim_file *next_free;
};

struct shim_vm {
	struct sev_vm *sev;
	_Atomic unsigned vcpus;   /* made */
	_Atomic unsigned coming;  /* being made */
	_Atomic uint32_t refusal; /* enum shim_refusal bits */
	unsigned refs;            /* files */
	struct shim_vm *next_free;
};

/* What a VM answers to ioctls that are not SEV's. */
enum shim_refusal {
	SHIM_DEAD = 1,      /* all: EIO */
	SHIM_NO_RUN = 2,    /* KVM_RUN: EINVAL */
	SHIM_PROTECTED = 4, /* KVM_SET_GUEST_DEBUG: EINVAL */
	SHIM_NO_REGS = 8,   /* registers: EINVAL */
};

void shim_fds_start(void);
/* True while this is the process whose descriptors the table knows; a child of vfork() shares the
 * table, but not the descriptors. */
bool shim_fds_mine(void);
/* Without a lock or a reference: enough to see that a descriptor is of no concern. */
struct shim_file *shim_fds_peek(int fd);
/* With a reference, for shim_fds_put(); NULL: not a VM or vCPU. */
struct shim_file *shim_fds_get(int fd);
void shim_fds_put(struct shim_file *f);
/* A VM that is in no table yet: set its sev, then add it, or discard it. NULL: no memory. */
struct shim_vm *shim_fds_vm_new(void);
void shim_fds_vm_discard(struct shim_vm *vm);
/* False: no memory. With the last descriptor the VM's sev is freed. */
bool shim_fds_add_vm(int fd, struct shim_vm *vm);
bool shim_fds_add_vcpu(int fd, struct shim_vm *vm, unsigned index);
/* A descriptor of the vCPU with this index; -1: none is left. */
int shim_fds_find_vcpu(const struct shim_vm *vm, unsigned index);
/* After a dup; before a close; before all between first and last are closed. */
void shim_fds_copy(int from, int to);
void shim_fds_drop(int fd);
void shim_fds_drop_range(unsigned first, unsigned last);
void shim_fds_fork_hold(void);
void shim_fds_fork_parent(void);
void shim_fds_fork_child(void);

/* --- ioctl.c, kvm.c -------------------------------------------------------------------------- */

bool shim_is_sev(int fd);
/* These return what ioctl(2) does, errno included. */
int shim_kvm_create_vm(int kvm_fd, unsigned long type);
int shim_kvm_create_vcpu(int vm_fd, unsigned long id);
int shim_kvm_enable_cap(int vm_fd, uint64_t arg);
int shim_kvm_supported_cpuid(int kvm_fd, uint64_t arg);
int shim_kvm_device_attr(int fd, unsigned long request, uint64_t arg);
int shim_kvm_sev(int vm_fd, unsigned long request, uint64_t arg);
/* ioctl(2) as it was. */
int shim_ioctl_next(int fd, unsigned long request, uint64_t arg);

/* --- cpuid.c, signal.c ----------------------------------------------------------------------- */

/* Make CPUID fault in this thread and those it starts; false: this host's processor cannot. */
bool shim_cpuid_start(void);
/* The handler for SIGSEGV: true when the fault was a CPUID instruction, which was answered. */
bool shim_cpuid_answer(const siginfo_t *info, void *context);
/* Stand before the client's SIGSEGV handler. */
bool shim_signal_start(void);
