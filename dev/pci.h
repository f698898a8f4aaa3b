/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The configuration space of one PCI function with 32-bit memory BARs, and its MSI-X vectors. No
 * locks and no memory of its own: the device it belongs to has those.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/pci.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/gpa.h"
#include "base/rdwr.h"
#include "dev/bus.h"

#define DEV_PCI_CONFIG 256u
#define DEV_PCI_BARS 2u
#define DEV_PCI_VECTORS 8u
#define DEV_PCI_NO_VECTOR 0xffffu
#define DEV_PCI_MSIX_LEN 0x1000u /* table at 0, pending bits in the second half */

struct dev_pci_vector {
	uint64_t address;
	uint32_t data;
	bool masked;
};

struct dev_pci {
	uint8_t config[DEV_PCI_CONFIG];
	uint8_t mask[DEV_PCI_CONFIG]; /* what the guest may write */
	uint32_t bar_len[DEV_PCI_BARS];
	unsigned cap_end;  /* where the next capability goes */
	unsigned cap_link; /* the byte that is to point to it */
	unsigned msix;     /* its capability; 0: none */
	unsigned nvector;
	struct dev_pci_vector vector[DEV_PCI_VECTORS];
	uint32_t pending; /* a bit a vector */
};

struct dev_pci_id {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class; /* 24 bits */
	uint8_t revision;
};

void dev_pci_init(struct dev_pci *p, const struct dev_pci_id *id);
/* A power of two from 4 KiB; at is where it is to lie before the guest moves it. */
void dev_pci_bar_add(struct dev_pci *p, unsigned bar, uint32_t at, uint32_t len);
/* len bytes of a capability; its first two are filled in here. Returns where it is. */
unsigned dev_pci_cap_add(struct dev_pci *p, uint8_t id, const uint8_t *cap, unsigned len);
/* n vectors in BAR bar, which must be DEV_PCI_MSIX_LEN bytes long. */
void dev_pci_msix_add(struct dev_pci *p, unsigned n, unsigned bar);

/* size is 1, 2 or 4 and at+size is within the space. */
uint32_t dev_pci_config_read(const struct dev_pci *p, unsigned at, unsigned size);
void dev_pci_config_write(struct dev_pci *p, const struct dev_host *h, unsigned at, unsigned size,
			  uint32_t v);
/* Where a BAR is, or 0 while memory decoding is off. */
uint32_t dev_pci_bar(const struct dev_pci *p, unsigned bar);
/* Is [at, at+len) in one of the BARs? */
bool dev_pci_find(const struct dev_pci *p, struct gpa at, unsigned len, unsigned *bar,
		  uint32_t *offset);

/* An access to the BAR that has the vectors; 4 or 8 bytes, aligned. */
void dev_pci_msix_access(struct dev_pci *p, const struct dev_host *h, uint32_t offset, bool write,
			 uint8_t *data, unsigned len);
bool dev_pci_msix_on(const struct dev_pci *p);
/* Send, or keep while it is masked. Nothing happens while MSI-X is off. */
void dev_pci_interrupt(struct dev_pci *p, const struct dev_host *h, uint16_t vector);

int must_check dev_pci_save(const struct dev_pci *p, struct buf *out, struct err *e);
/* Hostile; what the guest cannot write must be the same on both sides. */
int must_check dev_pci_load(struct dev_pci *p, struct rd *in, struct err *e);
