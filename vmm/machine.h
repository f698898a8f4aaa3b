/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a guest finds itself in: its CPU (the CPUID table of vCPU 0, the TSC's frequency), what
 * booted it, its devices. It travels in mig_vm_desc.machine; the target shows the same, if it can.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/lines.h"

#define MACHINE_CPUID_MAX 160u
#define MACHINE_DIGEST_LEN 32u
#define MACHINE_DEVICES_MAX 32u
#define MACHINE_DEVICE_LEN 48u

/* What booted the guest, and whether it takes part in migration. An image says so in its table. */
enum machine_firmware {
	MACHINE_FIRMWARE_NONE,   /* the monitor loaded the kernel itself */
	MACHINE_FIRMWARE_SILENT, /* an image that does not speak of migration */
	MACHINE_FIRMWARE_READY,  /* an image that does */
	MACHINE_FIRMWARES
};

struct vmm_machine {
	uint32_t tsc_khz;                   /* 0: unknown */
	uint32_t firmware;                  /* enum machine_firmware */
	uint8_t digest[MACHINE_DIGEST_LEN]; /* SHA-256 of the image, or zeros */
	uint32_t ndevice;
	/* "00:02.0 virtio-blk": where and what, as the guest finds it. */
	char device[MACHINE_DEVICES_MAX][MACHINE_DEVICE_LEN];
	uint32_t n;
	struct kvm_cpuid_entry2 cpuid[MACHINE_CPUID_MAX];
	bool tsc_scales; /* of a host, does not travel: guests may have another frequency */
};

int must_check vmm_machine_put(const struct vmm_machine *m, struct buf *out, struct err *e);
int must_check vmm_machine_get(const uint8_t *p, size_t len, struct vmm_machine *out,
			       struct err *e);
/* One more device. */
int must_check vmm_machine_device(struct vmm_machine *m, const char *name, struct err *e);
/* What keeps a host that would show `here` from running a guest that was shown `from`: a line
 * each. */
void vmm_machine_compare(const struct vmm_machine *from, const struct vmm_machine *here,
			 struct lines *out);
/* As the table shows it; 0 without one. */
unsigned vmm_machine_cbit(const struct vmm_machine *m);
/* Show nothing whose state has no place in an SEV-ES guest's VMSA: beyond x87, SSE and AVX. It
 * would be lost in a move. */
void vmm_machine_narrow(struct vmm_machine *m);
/* NULL: no such leaf. */
struct kvm_cpuid_entry2 *vmm_machine_leaf(struct vmm_machine *m, uint32_t function, uint32_t index);
