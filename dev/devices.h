/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kinds of device that a bus can have. Each call makes one, to be given to dev_bus_add().
 * What a device reads and writes outside the guest it is given here as a descriptor, or a callback.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "dev/bus.h"

/*
 * A disk: a raw image or a block device. Who writes to it holds an exclusive lock on it (an open
 * file description lock over all of it), who only reads a shared one. A guest that runs here takes
 * the lock at once; one that will arrive takes it when it is to run, which its source has let it
 * go for by then, and requests wait until it has.
 */
struct dev_disk {
	int fd; /* taken over, on failure too */
	bool readonly;
	bool later;      /* the guest is still to arrive: no lock yet */
	unsigned number; /* of the disks, from 1 */
};
int must_check dev_blk_new(const struct dev_disk *cfg, struct dev_virtio **out, struct err *e);

int must_check dev_rng_new(struct dev_virtio **out, struct err *e);

/* All required. */
struct dev_console_ops {
	/* Bytes the guest wrote; with the device's lock held. */
	void (*output)(void *ctx, const uint8_t *p, size_t len);
	/* There is room again after dev_console_input() took less than offered. */
	void (*room)(void *ctx);
};
int must_check dev_console_new(const struct dev_console_ops *ops, void *ctx,
			       struct dev_virtio **out, struct err *e);
/* As if typed; how many bytes fitted. Any thread. */
size_t dev_console_input(struct dev_virtio *console, const uint8_t *p, size_t len);

#define DEV_MAC_LEN 6u

/* What a network card is connected to; made by one of the calls below. */
struct dev_link;

/* Takes the link, on failure too. */
int must_check dev_net_new(const uint8_t mac[DEV_MAC_LEN], unsigned number, struct dev_link *link,
			   struct dev_virtio **out, struct err *e);
/* A tap device's descriptor, with IFF_NO_PI and without IFF_VNET_HDR; taken over. */
int must_check dev_link_tap(int fd, struct dev_link **out, struct err *e);

/* A network of its own behind a router in this process (libslirp): the guest gets an address by
 * DHCP and reaches what this process reaches. */
struct dev_forward {
	bool udp;
	uint32_t host_addr; /* in the host's byte order, as are the ports */
	uint16_t host_port, guest_port;
};
int must_check dev_link_user(const struct dev_forward *forward, size_t n, struct dev_link **out,
			     struct err *e);
void dev_link_free(struct dev_link *link);
