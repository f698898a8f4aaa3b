/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a migration needs of a virtual machine. The monitor implements this; migrate/ knows no
 * other thing about it. All calls come from the one migration thread, while vCPUs run, unless a
 * comment says otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/gpa.h"
#include "base/lines.h"
#include "base/ranges.h"

struct mig_mirror;
struct sev_vm;
struct mig_vm;

#define MIG_RAM_MAX 8

struct mig_ram {
	struct gpa at;
	uint64_t size;
	uint8_t *shared; /* the shared face; never private plain text */
};

/* What both sides must agree on before anything moves. */
struct mig_vm_desc {
	char name[64];
	uint32_t vcpus;
	uint32_t cbit;
	uint32_t nram;
	struct mig_ram ram[MIG_RAM_MAX]; /* ascending, disjoint */
	/* What the guest was shown of its CPU, in the monitor's own encoding; opaque here. Owned by
	 * the VM (describe) or by the decoder (accept). */
	const uint8_t *machine;
	size_t machine_len;
};

/* One bit a guest frame, indexed by frame number from 0 to the end of the last RAM range. */
struct mig_bitmap {
	uint64_t *words; /* owned by the caller */
	size_t nbits;
};

/* Who must say yes before a guest may be moved: what it runs on (KVM, the Secure Processor, its
 * operator), what it was booted by, and the guest itself. */
enum mig_party { MIG_PARTY_HOST, MIG_PARTY_FIRMWARE, MIG_PARTY_GUEST, MIG_PARTY_N };

enum mig_accept { MIG_ASK, MIG_TAKE };
enum mig_shared { MIG_GET, MIG_SET };
enum mig_dirty { MIG_DIRTY_START, MIG_DIRTY_SYNC, MIG_DIRTY_STOP };

struct mig_vm_ops {
	int (*describe)(struct mig_vm *vm, struct mig_vm_desc *out, struct err *e);
	/* Target: can this VM take what the source describes? Each difference is added as a line;
	 * with none, MIG_TAKE makes this VM such a one. MIG_ASK changes nothing. An error is
	 * something else than a difference: a description that makes no sense, say. */
	int (*accept)(struct mig_vm *vm, const struct mig_vm_desc *from, enum mig_accept how,
		      struct lines *differences, struct err *e);
	/* false: hold all vCPUs and return when none runs, exits completed. true: let go again,
	 * after state_load for the first time. A guest that its operator had paused stays paused:
	 * that is the VM's own business, and part of its state. -ESHUTDOWN, here and from dirty():
	 * the guest has ended (power-off, reset, crash). */
	int (*run)(struct mig_vm *vm, bool on, struct err *e);
	/* START turns the log on; SYNC ORs into bm every page written or whose status changed since
	 * the last SYNC (or START), and forgets them; STOP turns it off. */
	int (*dirty)(struct mig_vm *vm, enum mig_dirty what, struct mig_bitmap *bm, struct err *e);
	/* MIG_GET: snapshot of the shared-region list (frame numbers) into set. MIG_SET, target:
	 * the list as it came replaces whatever was there. */
	int (*shared)(struct mig_vm *vm, enum mig_shared what, struct ranges *set, struct err *e);
	/* vCPUs stopped. Everything that is not memory: vCPU, clock, interrupts, timer, devices,
	 * the migration-control MSR. The monitor's own versioned encoding; hostile on load. */
	int (*state_save)(struct mig_vm *vm, struct buf *out, struct err *e);
	int (*state_load)(struct mig_vm *vm, const uint8_t *p, size_t len, struct err *e);
	/* May the guest be moved now? -EPERM, with each party that says no and why, leaving out
	 * those in overridden: a bit an enum mig_party. */
	int (*consent)(struct mig_vm *vm, unsigned overridden, struct err *e);
};

struct mig_vm {
	const struct mig_vm_ops *ops;
	struct sev_vm *sev;         /* borrowed */
	struct mig_mirror *handler; /* borrowed; NULL: the guest has no migration handler */
};
