/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one way to SEV, in Linux's own shapes: SEV_ISSUE_CMD of /dev/sev, KVM_MEMORY_ENCRYPT_OP with
 * struct kvm_sev_cmd, and what belongs to them. Three backends answer:
 *
 *	sev_kernel_open()	ioctl(2): EPYC hosts
 *	sev_soft_open()		the software Secure Processor
 *	sev_fault_wrap()	another backend, breaking the k-th call: tests
 *
 * Memory. A guest page has a private and a shared face. The caller brings the shared face of a RAM
 * range (host memory it may touch) to sev_vm_ram_add(); the backend sets the KVM memslots. On
 * hardware that is one slot, registered as an encrypted region. In software the backend makes a
 * second, private backing, which no caller ever gets a pointer to, and sets slots at GPA and at
 * GPA + 2^cbit. The first MiB has one backing at both addresses, because an SEV guest's accesses
 * with paging off are private whatever its page tables say; it reads as nothing through the
 * caller's pointer. Every uaddr in a command points into the shared face and names the page.
 *
 * Results. The raw calls return 0 or -errno exactly as ioctl(2) would, the firmware's status in
 * cmd->error. The typed calls below turn both into one struct err and nothing else does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>
#include <linux/psp-sev.h>

#include "base/err.h"
#include "base/gpa.h"

struct sev_platform; /* an open /dev/sev, whoever answers it */
struct sev_vm;       /* the SEV side of one KVM VM */

struct sev_ram {
	struct gpa at;
	uint64_t size;       /* bytes, page multiple */
	uint8_t *shared;     /* the caller's mapping; it outlives the sev_vm */
	uint32_t first_slot; /* KVM slot numbers from here on are the backend's to use */
	/* One backing at both addresses, as below 1 MiB: code that runs with paging off. None of it
	 * can be shared; what stands there is still named by .shared, and reads as nothing. */
	bool always_private;
};

/* A memslot the backend made; the monitor needs it for the dirty log. */
struct sev_slot {
	uint32_t id;
	struct gpa at; /* without the C-bit, also for the private alias */
	uint64_t size;
};
#define SEV_SLOTS_PER_RAM 4

/* A VM's status as GUEST_STATUS gives it. */
struct sev_guest_status {
	uint32_t handle;
	uint32_t policy;
	uint32_t state; /* UNINIT 0, LUPDATE, LSECRET, RUNNING 3, SUPDATE, RUPDATE, SENT 6 */
};

struct sev_platform_ops {
	int (*issue)(struct sev_platform *p, struct sev_issue_cmd *cmd);
	/* What a peer needs to send to this platform besides PDH_CERT_EXPORT: ASK then ARK, as AMD
	 * distributes them. The kernel backend reads them from the file it was given. */
	int (*amd_chain)(struct sev_platform *p, uint8_t *out, size_t cap, size_t *len,
			 struct err *e);
	int (*vm_new)(struct sev_platform *p, int kvm_fd, int vm_fd, struct sev_vm **out,
		      struct err *e);
	int (*vm_mirror)(struct sev_vm *of, int kvm_fd, int vm_fd, struct sev_vm **out,
			 struct err *e);
	void (*free)(struct sev_platform *p);
};

struct sev_vm_ops {
	int (*op)(struct sev_vm *vm, struct kvm_sev_cmd *cmd);
	int (*region)(struct sev_vm *vm, const struct kvm_enc_region *r, bool add);
	int (*ram_add)(struct sev_vm *vm, const struct sev_ram *ram,
		       struct sev_slot slots[SEV_SLOTS_PER_RAM], size_t *n, struct err *e);
	/* The next run of pages at or after *at, below end, that may hold data (private or shared
	 * face); false when there is none. Pages outside were never written by anybody. */
	bool (*populated)(struct sev_vm *vm, struct gpa *at, struct gpa end, uint64_t *len);
	/* Fault in one face's memory of [at, at+len) ahead of a transfer; or while it goes on, from
	 * a thread of its own. */
	int (*prefault)(struct sev_vm *vm, struct gpa at, uint64_t len, bool is_private,
			struct err *e);
	/* KVM_MEM_LOG_DIRTY_PAGES on all memslots of the VM. */
	int (*log_dirty)(struct sev_vm *vm, bool on, struct err *e);
	/* SHA-256 of the private face's plain text of one page; -ENOTSUP on hardware. Debugging aid
	 * of the software platform, for tests. */
	int (*debug_digest)(struct sev_vm *vm, struct gpa at, uint8_t out[32], struct err *e);
	void (*free)(struct sev_vm *vm);
};

/* First members of every backend's own structs. */
struct sev_platform {
	const struct sev_platform_ops *ops;
	const char *name; /* "kernel", "soft", ... */
};

struct sev_vcpu_ops; /* sev/vcpu.h, as all that is done with these */
struct sev_vcpu {
	int fd;
	struct kvm_run *run;
};
#define SEV_VCPUS_MAX 64u

struct sev_vm {
	const struct sev_vm_ops *ops;
	const struct sev_vcpu_ops *vcpu_ops;
	struct sev_platform *platform; /* borrowed; must outlive the VM */
	/* C-bit position in guest page tables; in software it may be lowered until the first
	 * sev_vm_ram_add(). */
	unsigned cbit;
	bool soft;                  /* the monitor emulates the CPU's part (CPUID, MSRs) */
	struct gpa low_private_end; /* pages below are always private (soft: 1 MiB) */
	/* In software the CPU's part of SEV-ES writes to guest memory, which KVM's dirty log does
	 * not see: this is told of each write, in the vCPU's thread. May be NULL; set before the
	 * first vCPU runs. */
	void (*wrote)(void *ctx, struct gpa at, uint64_t len);
	void *wrote_ctx;
	struct sev_vcpu vcpu[SEV_VCPUS_MAX]; /* both members borrowed */
	unsigned nvcpu;
};

/* --- backends ------------------------------------------------------------------------------- */

/* amd_chain_path: a file with ASK and ARK, or with the ASK-signed CEK before them, which replaces
 * the unsigned one that firmware exports. May be NULL: then amd_chain() says what is missing. */
int must_check sev_kernel_open(const char *amd_chain_path, struct sev_platform **out,
			       struct err *e);
/* dir is a state directory made by sev_soft_init(). INIT was done when this returns. */
int must_check sev_soft_open(const char *dir, struct sev_platform **out, struct err *e);
struct sev_soft_init {
	unsigned api_major, api_minor, build; /* 0.0.0: the default, 1.55.21 */
	const char *ca_dir;  /* a state dir whose ARK and ASK sign this CEK; NULL: own root */
	const char *oca_dir; /* a state dir whose OCA owns this platform too; NULL: own OCA */
	/* RSA of an own ARK and ASK: 4096 (0 means that) or 2048, which is made faster. */
	unsigned root_bits;
};
/* Make a state directory (mode 0700, files 0600); -EEXIST when there is one already. */
int must_check sev_soft_init(const char *dir, const struct sev_soft_init *opt, struct err *e);
/* Break the k-th call (from 0, of platform and VMs) with -EIO and status 0x13; takes inner. *calls,
 * if not NULL, counts. NULL when there is no memory. */
struct sev_platform *sev_fault_wrap(struct sev_platform *inner, unsigned k, unsigned *calls);

/* --- raw calls ------------------------------------------------------------------------------ */

int sev_platform_issue(struct sev_platform *p, struct sev_issue_cmd *cmd);
int must_check sev_platform_amd_chain(struct sev_platform *p, uint8_t *out, size_t cap, size_t *len,
				      struct err *e);
void sev_platform_free(struct sev_platform *p);
/* Both descriptors are borrowed and stay open until sev_vm_free(). vm_fd -1: the software platform
 * sets no memslots, its memory works all the same. */
int must_check sev_vm_new(struct sev_platform *p, int kvm_fd, int vm_fd, struct sev_vm **out,
			  struct err *e);
/* A second KVM VM, without vCPUs yet, over all of of's memory, on the same encryption context
 * (KVM_CAP_VM_COPY_ENC_CONTEXT_FROM); of has its memory and is launched. Freed before of. */
int must_check sev_vm_mirror(struct sev_vm *of, int kvm_fd, int vm_fd, struct sev_vm **out,
			     struct err *e);
int sev_vm_op(struct sev_vm *vm, struct kvm_sev_cmd *cmd);
int must_check sev_vm_ram_add(struct sev_vm *vm, const struct sev_ram *ram,
			      struct sev_slot slots[SEV_SLOTS_PER_RAM], size_t *n, struct err *e);
bool sev_vm_populated(struct sev_vm *vm, struct gpa *at, struct gpa end, uint64_t *len);
int must_check sev_vm_prefault(struct sev_vm *vm, struct gpa at, uint64_t len, bool is_private,
			       struct err *e);
int must_check sev_vm_debug_digest(struct sev_vm *vm, struct gpa at, uint8_t out[32],
				   struct err *e);
/* 0 or -errno as of ioctl(2); only needed for memory that sev_vm_ram_add() did not bring. */
int sev_vm_region(struct sev_vm *vm, const struct kvm_enc_region *r, bool add);
int must_check sev_vm_log_dirty(struct sev_vm *vm, bool on, struct err *e);
void sev_vm_free(struct sev_vm *vm);

/* "POLICY_FAILURE (0x07)": the field's name of a firmware status. */
const char *sev_status_name(uint32_t status);

#include "sev/calls.h"
