/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside the monitor: struct vm and what its files say to each other.
 *
 * Threads. One a vCPU, one that reads console input, and the callers of vmm/vm.h (control,
 * migration). vCPUs run while .go; whoever wants them stopped clears it, sends each a signal with
 * immediate_exit set, and waits until all are parked. A parked vCPU has completed its last exit,
 * so its registers are whole and any thread may use its descriptor.
 *
 * Each device on the PCI bus has a thread, too. They are paused by whoever has stopped the vCPUs,
 * with vm->lock held, and so never take that.
 *
 * Locks, in the order they are taken: vm->lock; that of a device; vm->pages.edit; those of serial
 * port, console, ports and interval sets are leaves.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "abi/psp.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/gpa.h"
#include "dev/bus.h"
#include "migrate/vm.h"
#include "pc/handover.h"
#include "sev/sev.h"
#include "vmm/boot.h"
#include "vmm/lock.h"
#include "vmm/machine.h"
#include "vmm/mirror.h"
#include "vmm/pages.h"
#include "vmm/ports.h"
#include "vmm/serial.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define VMM_RAM_LOW_MAX (3ull << 30) /* below the hole for devices under 4 GiB */
#define VMM_RAM_HIGH (4ull << 30)
#define VMM_VCPUS_MAX PC_CPUS_MAX
#define VMM_MSRS_MAX 512u
#define VMM_RAM_RANGES 3 /* low, firmware, high */
#define VMM_SLOTS_MAX (VMM_RAM_RANGES * SEV_SLOTS_PER_RAM)

struct vmm_memory {
	struct mig_ram ram[VMM_RAM_RANGES];
	size_t nram;
	int fd[VMM_RAM_RANGES]; /* owned memfds */
	uint64_t firmware_len;  /* of the range that ends at 4 GiB; 0: none */
	struct sev_slot slot[VMM_SLOTS_MAX];
	size_t nslot;
};

struct vmm_console {
	int in, out; /* borrowed, -1: none */
	int wake;    /* owned eventfd: room again, or quit */
	pthread_t thread;
	bool has_thread;
	atomic_bool quit;
	pthread_mutex_t lock; /* of output; a leaf */
	bool stalled;         /* nobody reads */
};

struct vm {
	struct mig_vm mig; /* first; .sev is owned here */
	char name[64];
	struct vm_config cfg;
	struct sev_platform *platform; /* borrowed */
	int kvm_fd, fd, event_fd;      /* owned */
	size_t run_len;

	struct vmm_memory mem;
	struct vmm_mirror mirror; /* of a guest with a handler: .mig.handler */
	struct vmm_pages pages;
	struct vmm_machine machine; /* what the guest is shown of its CPU */
	struct buf machine_bytes;   /* the same, encoded for a migration */
	uint32_t msr[VMM_MSRS_MAX]; /* that can be saved and set here */
	size_t nmsr;
	struct vmm_vcpu *vcpu; /* owned, cfg.vcpus of them once set up */
	unsigned nvcpu;
	bool manual_dirty;
	bool dirty_on;
	struct buf dirty_words; /* scratch for one slot's bitmap; migration thread only */

	struct serial *serial;             /* owned */
	struct ports *ports;               /* owned */
	struct dev_bus *bus;               /* owned */
	struct dev_virtio *virtio_console; /* the bus's, or NULL */
	struct vmm_console console;
	uint8_t measurement[SEV_MEASURE_LEN];
	atomic_bool measured;
	uint64_t accepted_ns; /* incoming: when the source was told yes */

	/* Value of MSR_MIGRATION, and whether the guest ever wrote it. */
	_Atomic uint64_t migration;
	atomic_bool migration_written;
	atomic_int sends;     /* consent.c: does the platform know the SEND commands? */
	bool hypercalls_lost; /* conversions do not come to the monitor, by no way */

	/* Read by vCPUs between two entries; set and cleared with .lock held. */
	atomic_bool halt;

	struct vmm_lock lock;
	enum { VMM_NEW, VMM_INCOMING, VMM_LIVE, VMM_ENDED } phase GUARDED_BY(vmm_run);
	bool want GUARDED_BY(vmm_run);   /* the operator wants it to run */
	bool held GUARDED_BY(vmm_run);   /* a migration has stopped it */
	bool loaded GUARDED_BY(vmm_run); /* incoming: state is complete */
	bool go GUARDED_BY(vmm_run);     /* vCPUs may enter the guest */
	bool quit GUARDED_BY(vmm_run);
	unsigned parked GUARDED_BY(vmm_run);
	enum vm_end end GUARDED_BY(vmm_run);
	char why[256] GUARDED_BY(vmm_run);
};

/* SEV-ES: registers are the guest's. */
static inline bool vmm_es(const struct vm *vm)
{
	return vm->cfg.policy & PSP_POLICY_ES;
}

/* vm.c */
int must_check vmm_setup(struct vm *vm, struct err *e);
/* The guest is over; the first reason stays. Any thread. */
void vmm_end(struct vm *vm, enum vm_end how, const char *fmt, ...) printf_like(3, 4);
/* The guest asks for a reset; any thread. */
void vmm_reset(struct vm *vm, const char *why);
/* Stop for, or go on after, a migration. */
int must_check vmm_hold(struct vm *vm, bool hold, struct err *e);
void vmm_live(struct vm *vm);
/* Put into the migration's state, and back. */
bool vmm_wanted(struct vm *vm);
void vmm_loaded(struct vm *vm, bool wanted);
/* 0 when no vCPU runs, -EBUSY otherwise. */
int must_check vmm_stopped_check(struct vm *vm, struct err *e);

/* host.c: the VM in KVM */
int must_check vmm_host_open(struct vm *vm, struct err *e);
int must_check vmm_host_hypercalls(struct vm *vm, struct err *e);
int must_check vmm_host_msr_filter(struct vm *vm, struct err *e);
void vmm_irq_line(struct vm *vm, unsigned irq, bool level);

/* memory.c */
int must_check vmm_memory_layout(uint64_t size, uint64_t firmware_len,
				 struct mig_ram ram[VMM_RAM_RANGES], size_t *n, struct err *e);
int must_check vmm_memory_map(struct vmm_memory *m, uint64_t size, uint64_t firmware_len,
			      struct err *e);
int must_check vmm_memory_attach(struct vm *vm, struct err *e);
/* The shared face of [at, at+len), or NULL unless all of it is in one RAM range. */
uint8_t *vmm_memory_at(const struct vmm_memory *m, struct gpa at, uint64_t len);
void vmm_memory_unmap(struct vmm_memory *m);

/* cpuid.c */
int must_check vmm_cpuid_host(struct vm *vm, struct vmm_machine *out, struct err *e);
/* Show vm->machine's table to every vCPU; before any has run. */
int must_check vmm_cpuid_apply(struct vm *vm, struct err *e);

/* dirty.c */
int must_check vmm_dirty(struct vm *vm, enum mig_dirty what, struct mig_bitmap *bm, struct err *e);

/* state: capture.c and restore.c over the pure records of vmm/state.h */
int must_check vmm_state_capture(struct vm *vm, struct buf *out, struct err *e);
int must_check vmm_state_restore(struct vm *vm, const uint8_t *p, size_t len, struct err *e);

uint32_t vmm_xsave_len(struct vm *vm);

extern const struct mig_vm_ops vmm_migratable_ops;
