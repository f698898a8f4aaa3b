/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The software platform for programs that make their own system calls: what an ioctl(2) on /dev/sev
 * or on a KVM VM answers where there is SEV, for a shim that stands between such a program (the
 * client) and its kernel. Addresses are the client's, in this process; they may be anything at all.
 *
 * Memory stays in place: the guest's memory is what the client mapped, plain text all the time.
 * LAUNCH_UPDATE_DATA measures it and leaves it, SEND reads it, RECEIVE and LAUNCH_SECRET write
 *plain text to it, DBG copies. Nothing is pinned, and any mapped memory may be named; no
 *sev_vm_ram_add() is needed.
 *
 * Results are ioctl(2)'s, negative: 0, or -errno to be put into errno. What the kernel would have
 * written to the client's memory was written then.
 *
 * Who does what
 *	shim			which descriptor is /dev/sev, KVM, a VM, a vCPU; dup, close, fork,
 *exec; which client descriptor belongs to which struct sev_vm
 *	here			all checks, their order, errno, status, write-back
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sev/sev.h"
#include "sev/vmsa.h"

/* --- what Linux 6.10's headers bring -----------------------------------------------------------
 */

#define SEV_KVM_INIT2 22u
#define SEV_KVM_CAP_VM_TYPES 235
#define SEV_VM_TYPE_SEV 2u
#define SEV_VM_TYPE_ES 3u
#define SEV_GHCB_VERSION_MAX 2u

struct sev_kvm_init2 {
	uint64_t vmsa_features;
	uint32_t flags;
	uint16_t ghcb_version;
	uint16_t pad1;
	uint32_t pad2[8];
};
_Static_assert(sizeof(struct sev_kvm_init2) == 48, "see doc/SEV-INTERFACE.md");

/* --- /dev/sev -------------------------------------------------------------------------------- */

/* One ioctl on an open /dev/sev of sev_soft_open()'s platform. writable: it was opened with
 * O_WRONLY or O_RDWR. */
int sev_soft_dev_ioctl(struct sev_platform *p, unsigned long request, uint64_t arg, bool writable);
/* The same for a client in another process: addresses are in the memory of its thread tid, which
 * waits for the answer. -ESRCH: not a thread. Needs the right to trace it: memory that may not be
 * touched is -EFAULT. */
int sev_soft_dev_ioctl_of(struct sev_platform *p, pid_t tid, unsigned long request, uint64_t arg,
			  bool writable);

/* --- KVM VMs --------------------------------------------------------------------------------- */

/* What only the shim knows about a client's VM. Called with the VM's lock held: must not call back
 * in. Any function may be NULL. */
struct sev_soft_client {
	void *ctx;
	/* KVM_CREATE_VM's argument: 0, 2 (KVM_X86_SEV_VM) or 3 (KVM_X86_SEV_ES_VM). The real VM is
	 * made with 0. */
	unsigned vm_type;
	/* Is fd, a number from struct kvm_sev_cmd or one remembered from LAUNCH_START, an open
	 * /dev/sev of this process now? NULL: it always is. */
	bool (*is_sev)(void *ctx, uint32_t fd);
	/* How many vCPUs the VM has. NULL: none. */
	unsigned (*vcpus)(void *ctx);
	/* Is a KVM_CREATE_VCPU under way? NULL: no. */
	bool (*vcpu_coming)(void *ctx);
	/* Registers of the n-th vCPU in the order of its index, for LAUNCH_UPDATE_VMSA: what
	 * KVM_GET_REGS, _SREGS, _DEBUGREGS, _XCRS and _XSAVE say. *out comes filled with reset
	 * values; 0 or -errno, which the command then answers. NULL: reset values. */
	int (*vcpu_regs)(void *ctx, unsigned n, struct sev_vmsa_regs *out);
	/* Answer SEND_UPDATE_VMSA and RECEIVE_UPDATE_VMSA as Hygon's kernels do; mainline refuses
	 * them with EINVAL. */
	bool update_vmsa;
	/* A second LAUNCH_UPDATE_VMSA is EINVAL (Linux 6.12). Otherwise it measures again (6.1 and
	 * 6.16, and what the kernel's own selftests of 6.11 to 7.0 need). */
	bool vmsa_once;
};

/* At KVM_CREATE_VM. Copies *client; p is borrowed. sev_vm_free() when the client's last descriptor
 * of the VM is closed; VMs that were mirrored from or moved to others may go in any order. */
int must_check sev_soft_client_vm(struct sev_platform *p, const struct sev_soft_client *client,
				  struct sev_vm **out, struct err *e);

/* KVM_MEMORY_ENCRYPT_OP (arg may be 0: the probe), _REG_REGION, _UNREG_REGION. Other requests are
 * -ENOTTY and not for here. */
int sev_soft_vm_ioctl(struct sev_vm *vm, unsigned long request, uint64_t arg);
/* KVM_ENABLE_CAP of KVM_CAP_VM_COPY_ENC_CONTEXT_FROM and KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM on vm.
 * from NULL: args[0] was a VM that never was the shim's (not one at all: -EBADF is the shim's). */
int sev_soft_vm_copy_from(struct sev_vm *vm, struct sev_vm *from);
int sev_soft_vm_move_from(struct sev_vm *vm, struct sev_vm *from);

/* Asked before any other ioctl of the client's on the VM or its vCPUs. */
struct sev_soft_vm_state {
	bool dead;        /* moved away, or forked: every ioctl is EIO */
	bool no_run;      /* type 2 or 3 without INIT2: KVM_RUN is EINVAL */
	bool es;          /* SEV-ES */
	bool protected;   /* LAUNCH_UPDATE_VMSA was done: KVM_SET_GUEST_DEBUG is EINVAL */
	bool regs_hidden; /* and the vCPUs' register ioctls are EINVAL (types other than 0) */
};
struct sev_soft_vm_state sev_soft_vm_state(struct sev_vm *vm);

/* --- discovery ------------------------------------------------------------------------------- */

/* KVM_CHECK_EXTENSION: what a host with SEV and SEV-ES answers where this one's KVM answered kvm.
 */
int sev_soft_capability(unsigned long cap, int kvm);
/* Attribute KVM_X86_SEV_VMSA_FEATURES of group KVM_X86_GRP_SEV of /dev/kvm. */
#define SEV_SOFT_VMSA_FEATURES 0ull
/* CPUID 0x8000001f of such a host: EAX, EBX, ECX, EDX. */
void sev_soft_cpuid(unsigned cbit, uint32_t regs[4]);

/* --- fork ------------------------------------------------------------------------------------ */

/* For pthread_atfork(): hold before, release in both after. A child gets a platform of its own on
 * the same state directory; VMs it inherited are dead in it, as KVM's are. */
void sev_soft_fork_hold(struct sev_platform *p);
void sev_soft_fork_release(struct sev_platform *p);
