/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One virtual machine: memory, vCPUs in a thread each, the devices a small guest needs, and the
 * SEV side behind sev/sev.h. The monitor holds only the shared face of guest memory.
 *
 *	vm_new() ... vm_boot() or (migration target) vm_incoming() ... vm_start() ... vm_free()
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "dev/devices.h"
#include "migrate/vm.h"
#include "sev/sev.h"

enum vm_state {
	VM_NEW,      /* made, nothing in it */
	VM_INCOMING, /* waits for a migration to fill it */
	VM_PAUSED,
	VM_RUNNING,
	VM_ENDED, /* the guest powered off, reset or died; see vm_end */
};

enum vm_end { VM_END_NONE, VM_END_POWEROFF, VM_END_RESET, VM_END_ERROR };

#define VM_DISKS_MAX 16
#define VM_NETS_MAX 8

/* What is on the PCI bus, in this order. vm_new() takes what descriptors and links there are, and
 * leaves -1 and NULL behind; vm_devices_fini() releases what it did not get to. */
struct vm_devices {
	struct dev_disk disk[VM_DISKS_MAX];
	size_t ndisk;
	struct {
		uint8_t mac[DEV_MAC_LEN];
		struct dev_link *link;
	} net[VM_NETS_MAX];
	size_t nnet;
	bool rng;
	bool console; /* takes the console's input; its output joins the serial port's */
};
void vm_devices_fini(struct vm_devices *d);

struct vm_config {
	const char *name;
	uint64_t memory; /* bytes, multiple of 2 MiB, at least 8 MiB */
	unsigned vcpus;
	uint32_t policy;       /* SEV guest policy */
	unsigned cbit;         /* 0: what the platform offers */
	uint64_t firmware_len; /* of its image, which has memory of its own; 0: boots without */
	uint8_t firmware_digest[32]; /* SHA-256 of the image */
	bool firmware_migrates;      /* as its table says */
	int console_in;              /* -1: none; borrowed */
	int console_out;             /* -1: none; borrowed */
	/* Do not offer it to the guest (CPUID), and refuse to move it. */
	bool no_migration;
	struct vm_devices *devices; /* or NULL; used by vm_new() only */
};

/* What the guest's owner answers to a measurement: a LAUNCH_SECRET packet, and its place. */
struct vm_secret {
	struct gpa at;
	uint8_t hdr[SEV_PACKET_HDR_LEN];
	const void *packet; /* of whoever answered; good until vm_boot() returns */
	size_t len;
};

/* A boot through firmware (doc/FIRMWARE.md); all borrowed. */
struct vm_firmware {
	const uint8_t *image;
	size_t len; /* as vm_config had it */
	/* The table of hashes, a multiple of 16 bytes; measured after the image. */
	const uint8_t *hashes;
	size_t hashes_len;
	/* Where secondary vCPUs begin under SEV-ES, as the image's GUID table says; 0: as after a
	 * reset. */
	uint32_t es_reset;
	/* What is handed over, and checked by the firmware: the kernel as vm_kernel_pack() made it,
	 * the initial RAM disk or NULL, the command line. */
	const uint8_t *kernel, *initrd;
	size_t kernel_len, initrd_len;
	const char *append;
};

/* Either a kernel or firmware. */
struct vm_boot {
	const char *kernel; /* bzImage or ELF */
	const char *initrd; /* or NULL */
	const char *append; /* or NULL */
	const struct vm_firmware *firmware;
	const char *handler; /* image of a migration handler, or NULL; not with firmware */
	/* Guest owner's launch session, all or none. */
	const void *dh, *session;
	size_t dh_len, session_len;
	/* Between the measurement and the end of the launch: asks the owner and may wait. 0 with
	 * *out filled; 1: no secret, launch on; -errno: the launch fails. NULL: nobody to ask. */
	int (*secret)(void *ctx, const uint8_t measurement[SEV_MEASURE_LEN], struct vm_secret *out,
		      struct err *e);
	void *secret_ctx;
};

struct vm;

int must_check vm_new(const struct vm_config *cfg, struct sev_platform *platform, struct vm **out,
		      struct err *e);
/* A kernel file in the form in which it is handed to the firmware and hashed, appended to out. */
int must_check vm_kernel_pack(const char *path, struct buf *out, struct err *e);
/* Load, encrypt, measure, finish the launch. The measurement (48 bytes) is kept. */
int must_check vm_boot(struct vm *vm, const struct vm_boot *boot, struct err *e);
/* Ready to be filled: SEV initialised, no LAUNCH_START. */
int must_check vm_incoming(struct vm *vm, struct err *e);
/* After vm_boot(), instead of vm_start(): the guest was launched only so that its handler can fill
 * it with another. */
int must_check vm_park(struct vm *vm, struct err *e);
int must_check vm_start(struct vm *vm, struct err *e); /* vCPUs run */
int must_check vm_pause(struct vm *vm, struct err *e); /* none runs when this returns */
/* The migration's view of this VM; owned by it. */
struct mig_vm *vm_migratable(struct vm *vm);
enum vm_state vm_state(struct vm *vm);
/* How and why it ended; the text is the VM's. */
enum vm_end vm_end(struct vm *vm, const char **why);
/* Readable whenever the state changed by itself (guest ended). */
int vm_event_fd(const struct vm *vm);
/* The launch measurement, or NULL before vm_boot(). */
/* LAUNCH_SECRET, while vm_boot() waits in its secret(); any thread. */
int must_check vm_launch_secret(struct vm *vm, const struct vm_secret *s, struct err *e);
const uint8_t *vm_measurement(const struct vm *vm);
/* Value of MSR 0x4b564d08, and whether it was ever written. */
bool vm_migration_msr(struct vm *vm, uint64_t *value);
/* Why this party does not want the guest moved, or NULL: it says yes. Any thread. */
const char *vm_says_no(struct vm *vm, enum mig_party who);
/* Frames in the shared-region list. */
uint64_t vm_shared_pages(struct vm *vm);
/* SHA-256 over every private and shared page that was ever written, in address order, with the
 * address and the face in front of each; software platform only, vCPUs stopped. For tests. */
int must_check vm_debug_digest(struct vm *vm, uint8_t out[32], struct err *e);
/* Write the whole shared face to a file, as the monitor sees it; for tests. */
int must_check vm_debug_dump_shared(struct vm *vm, const char *path, struct err *e);
/* Bytes for the guest's console, as if typed. */
int must_check vm_console_write(struct vm *vm, const void *p, size_t len, struct err *e);
void vm_free(struct vm *vm);

/* Can this /dev/kvm run Linux, small guests only, or nothing? Runs a probe guest. */
enum vm_probe { VM_PROBE_NONE, VM_PROBE_SMALL, VM_PROBE_LINUX };
enum vm_probe vm_probe_kvm(char *why, size_t len);
