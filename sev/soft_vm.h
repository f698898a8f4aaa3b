/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A VM of the software platform, private to sev/soft*.c: its memory and KVM's side of its life.
 * Lock order and files: sev/soft.h. */

#include "sev/soft.h"
#include "sev/soft_cpu.h"

/* --- memory (soft_mem.c) --------------------------------------------------------------------- */

#define SOFT_RAM_MAX 16
#define SOFT_SLOTS_PER_RAM 3

struct soft_slot {
	uint32_t id;
	uint64_t at; /* with the C-bit: this stays in here */
	uint64_t size;
	uint8_t *host;
};

struct soft_ram {
	struct sev_ram ram;
	uint8_t *priv; /* owned mapping */
	bool locked;   /* both faces stay resident: mincore() tells all */
	bool borrowed; /* a mirror's: priv is its owner's */
	size_t nslots;
	struct soft_slot slot[SOFT_SLOTS_PER_RAM];
};

struct soft_region {
	uint64_t addr, size;
	struct soft_region *next;
};

/* What KVM calls an encryption context: lives as long as its VM or a mirror. Guarded by the
 * platform's lock. */
struct soft_context {
	unsigned refs;
	uint32_t asid;
	uint32_t handle; /* 0: no guest yet */
	unsigned forks;  /* as the platform's, when it was made */
};

struct soft_vmsa {
	uint8_t page[SEV_VMSA_LEN] __attribute__((aligned(SEV_VMSA_LEN)));
};

struct soft_vm {
	struct sev_vm base;
	int vm_fd;                     /* borrowed; -1: no memslots */
	bool in_place;                 /* memory is the client's: no ranges of RAM */
	bool es_offered;               /* kvm_amd.sev_es */
	struct sev_soft_client client; /* zero where there is none */
	unsigned forks;                /* as the platform's, when it was made: else not ours */
	unsigned moving;               /* atomic; part of a copy or move of contexts */
	/* Filled before other threads know the VM, never changed again. */
	size_t nram;
	struct soft_ram ram[SOFT_RAM_MAX];
	pthread_mutex_t lock; /* KVM's kvm->lock; guards what follows */
	bool need_init;       /* INIT2 is to come */
	bool active;          /* SEV INIT was done */
	bool es, mirror, dead;
	uint32_t handle; /* 0: no guest context yet; a mirror has the one there was */
	uint32_t sev_fd; /* as LAUNCH_START or RECEIVE_START was told */
	struct soft_context *context;
	struct soft_vmsa *vmsa; /* owned; protected state by vCPU */
	unsigned nvmsa;
	struct soft_vcpu vcpu[SEV_VCPUS_MAX]; /* of those that base.vcpu has; see soft_cpu.h */
	_Atomic uint64_t jump_table;
	struct soft_region *regions;
	struct soft_user user;
};

int must_check soft_mem_cbit(int vm_fd, unsigned *out, struct err *e);
int must_check soft_mem_add(struct sev_vm *vm, const struct sev_ram *ram,
			    struct sev_slot slots[SEV_SLOTS_PER_RAM], size_t *n, struct err *e);
bool soft_mem_populated(struct sev_vm *vm, struct gpa *at, struct gpa end, uint64_t *len);
int must_check soft_mem_prefault(struct sev_vm *vm, struct gpa at, uint64_t len, bool is_private,
				 struct err *e);
int must_check soft_mem_log_dirty(struct sev_vm *vm, bool on, struct err *e);
int must_check soft_mem_digest(struct sev_vm *vm, struct gpa at, uint8_t out[32], struct err *e);
/* The private face of what uaddr names, or NULL: not this guest's RAM. */
uint8_t *soft_mem_private(struct soft_vm *vm, uint64_t uaddr, uint64_t len);
/* The same by guest physical address, without the C-bit: all in one range. There is no shared face
 * where memory is always private. */
bool soft_mem_two_faced(struct soft_vm *vm, struct gpa at);
uint8_t *soft_mem_private_at(struct soft_vm *vm, struct gpa at, uint64_t len);
uint8_t *soft_mem_shared_at(struct soft_vm *vm, struct gpa at, uint64_t len);
/* Make the shared face read as zeros, giving its memory back where whole pages are meant. */
void soft_mem_wipe_shared(uint64_t uaddr, uint64_t len);
/* The same memory for a mirror, in memslots of its own. */
int must_check soft_mem_borrow(struct soft_vm *vm, const struct soft_vm *from, struct err *e);
void soft_mem_fini(struct soft_vm *vm);

/* --- KVM's side ------------------------------------------------------------------------------- */

int must_check soft_vm_new(struct sev_platform *p, int kvm_fd, int vm_fd, struct sev_vm **out,
			   struct err *e);
int must_check soft_vm_mirror(struct sev_vm *of, int kvm_fd, int vm_fd, struct sev_vm **out,
			      struct err *e);
/* Without the memory's set-up. */
struct soft_vm *soft_vm_make(struct sev_platform *p, int vm_fd);
/* KVM_MEMORY_ENCRYPT_OP; true: a handler ran, and *cmd is to be copied back. */
bool soft_vm_command(struct soft_vm *vm, struct kvm_sev_cmd *cmd, int *ret);
int soft_vm_region(struct soft_vm *vm, const struct kvm_enc_region *r, bool add);

/* The CPU's part wrote to guest memory, which no dirty log of KVM's shows. */
static inline void soft_vm_wrote(const struct soft_vm *vm, struct gpa at, uint64_t len)
{
	if (vm->base.wrote)
		vm->base.wrote(vm->base.wrote_ctx, at, len);
}

static inline struct soft_platform *soft_platform_of(const struct soft_vm *vm)
{
	return (struct soft_platform *)vm->base.platform;
}

/* One command: 0 or -errno, the firmware's status into cmd->error (then -EIO). Both locks are
 * held. */
typedef int soft_cmd(struct soft_vm *vm, struct kvm_sev_cmd *cmd);
soft_cmd soft_init, soft_es_init, soft_init2;
soft_cmd soft_send_start, soft_send_update, soft_receive_start, soft_receive_update;
soft_cmd soft_launch_update_vmsa, soft_send_update_vmsa, soft_receive_update_vmsa;
soft_cmd soft_receive_finish;

/* ACTIVATE the context that a START command made and write its parameters back; a context for which
 * either fails is ended. */
int soft_vm_bind(struct soft_vm *vm, struct kvm_sev_cmd *cmd, uint32_t handle, const void *params,
		 size_t len);
/* Private memory as pinned pages: NULL where KVM cannot have them. */
uint8_t *soft_vm_memory(struct soft_vm *vm, uint64_t uaddr, uint64_t len, bool write);
/* How many vCPUs there are; is one being made? */
unsigned soft_vm_vcpus(const struct soft_vm *vm);
bool soft_vm_vcpu_coming(const struct soft_vm *vm);
/* psp_copy_user_blob() of the kernel: { NULL, 0 } for address 0 where that is allowed. */
int soft_vm_blob(struct soft_vm *vm, uint64_t uaddr, uint32_t len, struct psp_bytes *out);
/* __sev_issue_cmd() of the kernel: the number must be an open /dev/sev. */
int soft_vm_fd(const struct soft_vm *vm, uint32_t fd);
/* Drop the VM's reference to its context; the platform's lock is held. */
void soft_vm_context_put(struct soft_vm *vm);
/* Is the VM over, as seen from this process? Its lock is held. */
static inline bool soft_vm_gone(const struct soft_vm *vm)
{
	return vm->dead || vm->forks != soft_forks();
}

/* A firmware command for the VM's guest. */
#define SOFT_ISSUE(vm, cmd, call)                                                                  \
	({                                                                                         \
		int r_ = soft_vm_fd((vm), (vm)->sev_fd);                                           \
		r_ < 0 ? r_ : soft_fw((call), &(cmd)->error);                                      \
	})
