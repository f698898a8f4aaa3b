/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A guest that does anything: the input is a list of what it does, one after another, to a device
 * that a decent driver has set up. Memory is small, so that a random address hits something; it is
 * exactly as long as it says, so that AddressSanitizer sees what goes past it. Whatever a device
 * wrote must have been reported, and its state must load again and be saved as the same bytes.
 */

#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "abi/pci.h"
#include "base/rdwr.h"
#include "dev/bus.h"
#include "dev/devices.h"

#define DRIVE_RAM 0x100000u
#define DRIVE_LEN 0x8000u
#define DRIVE_SLOT 1u
#define DRIVE_SIZE 8u /* of a ring */
#define DRIVE_RING(q) (DRIVE_RAM + (q)*0x400u)
#define DRIVE_STEPS 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct drive {
	uint8_t *ram, *before;
	uint8_t wrote[DRIVE_LEN];
	struct dev_bus *bus;
};

static inline uint8_t *drive_mem(void *ctx, struct gpa at, uint64_t len)
{
	struct drive *d = ctx;

	if (at.v < DRIVE_RAM || at.v - DRIVE_RAM > DRIVE_LEN ||
	    len > DRIVE_LEN - (at.v - DRIVE_RAM))
		return NULL;
	return d->ram + (at.v - DRIVE_RAM);
}

static inline void drive_wrote(void *ctx, struct gpa at, uint64_t len)
{
	struct drive *d = ctx;

	if (!drive_mem(ctx, at, len))
		abort();
	memset(d->wrote + (at.v - DRIVE_RAM), 1, len);
}

static inline void drive_msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	(void)address;
	(void)data;
}

static inline void drive_doorbell(void *ctx, struct gpa at, int fd, bool on)
{
	(void)ctx;
	(void)at;
	(void)fd;
	(void)on;
}

static inline void drive_reg(struct drive *d, uint32_t at, unsigned len, uint64_t v)
{
	uint8_t b[8];

	memcpy(b, &v, 8);
	dev_bus_mmio(d->bus, gpa(PCI_SLOT_BARS(DRIVE_SLOT) + at), true, b, len);
}

/* Reset to DRIVER_OK, as a driver would. */
static inline void drive_driver(struct drive *d, unsigned nqueue, bool event_idx)
{
	uint64_t features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM |
			    (uint64_t)event_idx << VIRTIO_RING_F_EVENT_IDX;
	uint32_t v = 6;

	dev_bus_config(d->bus, 0x80000004u | DRIVE_SLOT << 11, 0, 2, true, &v);
	drive_reg(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (unsigned i = 0; i < 2; i++) {
		drive_reg(d, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		drive_reg(d, VIRTIO_PCI_COMMON_GF, 4, features >> 32 * i);
	}
	drive_reg(d, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned q = 0; q < nqueue; q++) {
		drive_reg(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
		drive_reg(d, VIRTIO_PCI_COMMON_Q_SIZE, 2, DRIVE_SIZE);
		drive_reg(d, VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
		drive_reg(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4, DRIVE_RING(q));
		drive_reg(d, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, DRIVE_RING(q) + 0x100);
		drive_reg(d, VIRTIO_PCI_COMMON_Q_USEDLO, 4, DRIVE_RING(q) + 0x200);
		drive_reg(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	drive_reg(d, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
}
