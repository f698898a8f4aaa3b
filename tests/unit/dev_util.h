/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A guest for tests of devices: 1 MiB of shared memory at 1 MiB, and a driver's side of virtio-pci.
 * Queue q has its rings at the start of memory, buffers go behind UTIL_DATA. Whatever a device
 * writes must have been reported: util_step() sees to that.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "abi/pci.h"
#include "base/rdwr.h"
#include "dev/bus.h"
#include "dev/devices.h"

#define UTIL_RAM 0x100000u
#define UTIL_LEN 0x100000u
#define UTIL_SIZE 16u /* of a ring */
#define UTIL_DESC(q) (UTIL_RAM + (q)*0x4000u)
#define UTIL_DRIVER(q) (UTIL_DESC(q) + 0x1000u)
#define UTIL_DEVICE(q) (UTIL_DESC(q) + 0x2000u)
#define UTIL_DATA (UTIL_RAM + 0x10000u)
#define UTIL_MSIS 64u
#define UTIL_ISR 0x1000u
#define UTIL_CONFIG 0x2000u
#define UTIL_NOTIFY 0x3000u
#define UTIL_MSIX 0x4000u
#define UTIL_NEEDED (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM)

struct util_guest {
	uint8_t *ram, *before; /* owned */
	bool wrote[UTIL_LEN];
	struct {
		uint64_t address;
		uint32_t data;
	} msi[UTIL_MSIS];
	unsigned nmsi, bells;
	struct dev_bus *bus; /* owned */
};

static inline uint8_t *util_mem(void *ctx, struct gpa at, uint64_t len)
{
	struct util_guest *g = ctx;

	if (at.v < UTIL_RAM || at.v - UTIL_RAM > UTIL_LEN || len > UTIL_LEN - (at.v - UTIL_RAM))
		return NULL;
	return g->ram + (at.v - UTIL_RAM);
}

static inline void util_wrote(void *ctx, struct gpa at, uint64_t len)
{
	struct util_guest *g = ctx;

	assert_non_null(util_mem(ctx, at, len));
	memset(g->wrote + (at.v - UTIL_RAM), 1, len);
}

static inline void util_msi(void *ctx, uint64_t address, uint32_t data)
{
	struct util_guest *g = ctx;

	g->msi[g->nmsi % UTIL_MSIS].address = address;
	g->msi[g->nmsi++ % UTIL_MSIS].data = data;
}

static inline void util_doorbell(void *ctx, struct gpa at, int fd, bool on)
{
	struct util_guest *g = ctx;

	assert_true(fd >= 0 && at.v >= PCI_WINDOW);
	g->bells += on ? 1 : -1u;
}

/* A bus with these devices, resumed unless told otherwise. */
static inline struct util_guest *util_guest_new(struct dev_virtio **dev, unsigned n)
{
	static const struct dev_host_ops ops = { util_mem, util_wrote, util_msi, util_doorbell };
	struct util_guest *g = calloc(1, sizeof(*g));
	const struct dev_host host = { &ops, g };
	struct err e = { 0 };

	assert_non_null(g);
	g->ram = calloc(1, UTIL_LEN);
	g->before = calloc(1, UTIL_LEN);
	assert_non_null(g->ram);
	assert_non_null(g->before);
	assert_int_equal(dev_bus_new(&host, &g->bus, &e), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(dev_bus_add(g->bus, dev[i], &e), 0);
	dev_bus_resume(g->bus);
	return g;
}

static inline void util_guest_free(struct util_guest *g)
{
	dev_bus_free(g->bus);
	assert_int_equal(g->bells, 0);
	free(g->ram);
	free(g->before);
	free(g);
}

/* --- registers ------------------------------------------------------------------------------ */

static inline uint32_t util_config(struct util_guest *g, unsigned slot, unsigned reg, unsigned size)
{
	uint32_t v = UINT32_MAX;

	dev_bus_config(g->bus, 0x80000000u | slot << 11 | (reg & 0xfc), reg & 3, size, false, &v);
	return v;
}

static inline void util_config_set(struct util_guest *g, unsigned slot, unsigned reg, unsigned size,
				   uint32_t v)
{
	dev_bus_config(g->bus, 0x80000000u | slot << 11 | (reg & 0xfc), reg & 3, size, true, &v);
}

static inline uint64_t util_read(struct util_guest *g, unsigned slot, uint32_t at, unsigned len)
{
	uint8_t b[8] = { 0 };
	uint64_t v = 0;

	assert_true(dev_bus_mmio(g->bus, gpa(PCI_SLOT_BARS(slot) + at), false, b, len));
	memcpy(&v, b, len);
	return v;
}

static inline void util_write(struct util_guest *g, unsigned slot, uint32_t at, unsigned len,
			      uint64_t v)
{
	uint8_t b[8];

	memcpy(b, &v, 8);
	assert_true(dev_bus_mmio(g->bus, gpa(PCI_SLOT_BARS(slot) + at), true, b, len));
}

static inline uint8_t util_status(struct util_guest *g, unsigned slot)
{
	return (uint8_t)util_read(g, slot, VIRTIO_PCI_COMMON_STATUS, 1);
}

static inline void util_status_set(struct util_guest *g, unsigned slot, uint8_t v)
{
	util_write(g, slot, VIRTIO_PCI_COMMON_STATUS, 1, v);
}

/* Memory decoding and MSI-X on, vector i with data 0x40 + i. */
static inline void util_pci_on(struct util_guest *g, unsigned slot)
{
	util_config_set(g, slot, 4, 2, 6);
	util_config_set(g, slot, 0x40 + 2, 2, 0x8000);
	for (unsigned i = 0; i < 3; i++) {
		util_write(g, slot, UTIL_MSIX + 16 * i, 4, 0xfee00000);
		util_write(g, slot, UTIL_MSIX + 16 * i + 8, 4, 0x40 + i);
		util_write(g, slot, UTIL_MSIX + 16 * i + 12, 4, 0);
	}
}

static inline void util_accept(struct util_guest *g, unsigned slot, uint64_t features)
{
	util_status_set(g, slot, 0);
	util_status_set(g, slot, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	util_status_set(g, slot, VIRTIO_CONFIG_S_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		util_write(g, slot, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		util_write(g, slot, VIRTIO_PCI_COMMON_GF, 4, features >> 32 * i & 0xffffffff);
	}
	util_status_set(g, slot, VIRTIO_CONFIG_S_FEATURES_OK);
}

static inline void util_queue(struct util_guest *g, unsigned slot, unsigned q)
{
	util_write(g, slot, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
	util_write(g, slot, VIRTIO_PCI_COMMON_Q_SIZE, 2, UTIL_SIZE);
	util_write(g, slot, VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
	util_write(g, slot, VIRTIO_PCI_COMMON_Q_DESCLO, 4, UTIL_DESC(q));
	util_write(g, slot, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, UTIL_DRIVER(q));
	util_write(g, slot, VIRTIO_PCI_COMMON_Q_USEDLO, 4, UTIL_DEVICE(q));
	util_write(g, slot, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}
