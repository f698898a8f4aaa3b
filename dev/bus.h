/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The PCI bus of one guest and the devices on it. What they see of the world is struct dev_host:
 * the shared face of guest memory and a way to interrupt. They hold no pointer to private memory,
 * and know neither KVM nor SEV.
 *
 *	dev_bus_new() ... dev_bus_add() ... dev_bus_start() ... resume, pause, resume ... free
 *
 * Each device has a thread that does its work, and a lock; register accesses come from vCPU
 * threads and take that lock. A bus is paused until it is resumed for the first time. While it is
 * paused nothing is in flight: every request the guest has made is either done, with its result in
 * the used ring, or has not been looked at.
 *
 * Everything in guest memory is hostile. It is read once, checked, and then used. A guest that
 * breaks a rule of virtio gets DEVICE_NEEDS_RESET on that device and nothing else happens.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/gpa.h"

/* All required; called from any thread, with the lock of a device held: must not call back. */
struct dev_host_ops {
	/* The shared face of [at, at+len), or NULL where that is not RAM that can be shared. */
	uint8_t *(*mem)(void *ctx, struct gpa at, uint64_t len);
	/* A device has written there, after it did: the pages are dirty. */
	void (*wrote)(void *ctx, struct gpa at, uint64_t len);
	/* A message-signalled interrupt. */
	void (*msi)(void *ctx, uint64_t address, uint32_t data);
	/* Have fd (an eventfd, borrowed) written whenever the guest writes at `at`, instead of a
	 * call of dev_bus_mmio(); or stop that. Where it cannot be done the calls come. */
	void (*doorbell)(void *ctx, struct gpa at, int fd, bool on);
};

struct dev_host {
	const struct dev_host_ops *ops;
	void *ctx;
};

struct dev_bus;
struct dev_virtio;

int must_check dev_bus_new(const struct dev_host *host, struct dev_bus **out, struct err *e);
/* In the next slot. Takes the device, also on failure. */
int must_check dev_bus_add(struct dev_bus *bus, struct dev_virtio *dev, struct err *e);
/* A thread for each device; they wait for dev_bus_resume(). */
int must_check dev_bus_start(struct dev_bus *bus, struct err *e);
/* One round of work for every device in the caller's thread, without waiting; instead of threads,
 * for tests. */
void dev_bus_step(struct dev_bus *bus);

/* size bytes (1, 2, 4) at offset `at` (0 to 3) of the data port, with the address port as latched;
 * a read that finds nothing leaves all ones. */
void dev_bus_config(struct dev_bus *bus, uint32_t address, unsigned at, unsigned size, bool write,
		    uint32_t *v);
/* false: no BAR is there. len is 1, 2, 4 or 8. */
bool dev_bus_mmio(struct dev_bus *bus, struct gpa at, bool write, uint8_t *data, unsigned len);

/* Neither waits for a guest; pause waits for the requests being done. May be repeated. */
void dev_bus_pause(struct dev_bus *bus);
void dev_bus_resume(struct dev_bus *bus);
/* Paused: let go of what only one host may hold (disks), with all that was written made durable.
 * The next resume takes it back. */
int must_check dev_bus_release(struct dev_bus *bus, struct err *e);
/* After the first resume on a new host: tell the network where the guest is now. */
void dev_bus_announce(struct dev_bus *bus);

/* Paused. Everything the guest can see. Load is hostile, into a bus with the same devices. */
int must_check dev_bus_state_save(struct dev_bus *bus, struct buf *out, struct err *e);
int must_check dev_bus_state_load(struct dev_bus *bus, const uint8_t *p, size_t len, struct err *e);
/* "00:01.0 virtio-blk, 2048 sectors": what must be the same on both sides. false: no i-th device.
 */
bool dev_bus_name(const struct dev_bus *bus, unsigned i, char *name, size_t len);
void dev_bus_free(struct dev_bus *bus);
