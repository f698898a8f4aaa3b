/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A virtio device behind modern virtio-pci (virtio 1.2, chapter 4.1): what all kinds have in
 * common. A kind fills in a struct dev_virtio and gives the calls of struct dev_virtio_ops; each
 * runs with the device's lock held, in the device's own thread or, where a comment says so, in a
 * vCPU's.
 *
 * VIRTIO_F_VERSION_1 and VIRTIO_F_ACCESS_PLATFORM are always offered and must be taken: a driver
 * that believes it may give any address would give one of private memory.
 */

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_config.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rdwr.h"
#include "dev/bus.h"
#include "dev/pci.h"
#include "dev/ring.h"

#define DEV_VIRTIO_QUEUES 2u
#define DEV_VIRTIO_CONFIG 64u
#define DEV_STATUS_KNOWN                                                                           \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |        \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)
#define DEV_VIRTIO_BATCH 16u /* requests between two looks at who else wants the device */

/* Descriptors to wait for. An index stays valid until the next round. */
struct dev_poll {
	struct pollfd *fd; /* owned by the device */
	unsigned n, cap;
	int timeout_ms; /* -1: none */
};

enum dev_event {
	DEV_RESET,    /* the guest did; any thread */
	DEV_ACQUIRE,  /* before work on this host; -EAGAIN: not yet, ask again */
	DEV_RELEASE,  /* paused: give up what only one host may hold; the caller's thread */
	DEV_ANNOUNCE, /* tell the network; repeated a few times */
};

/* All required. */
struct dev_virtio_ops {
	/* What to wait for besides the guest's doorbell. */
	void (*poll)(struct dev_virtio *v, struct dev_poll *p);
	/* Do what can be done without waiting for anybody else. 0: that was all; 1: there is more;
	 * -EPROTO: the guest broke a rule. */
	int (*work)(struct dev_virtio *v, const struct dev_poll *p, struct err *e);
	int (*event)(struct dev_virtio *v, enum dev_event what, struct err *e);
	/* What the common part does not know; load is hostile and checks all of it. */
	int (*save)(struct dev_virtio *v, struct buf *out, struct err *e);
	int (*load)(struct dev_virtio *v, struct rd *in, struct err *e);
	/* Of the whole object; its thread is gone. */
	void (*free)(struct dev_virtio *v);
};

struct dev_queue {
	struct dev_ring ring;
	uint16_t vector;
};

struct dev_virtio {
	const struct dev_virtio_ops *ops;
	char name[16]; /* "disk 1", for messages */
	char what[40]; /* "virtio-blk, 2048 sectors": the same on both sides of a move */
	uint16_t type;
	uint32_t class;    /* PCI's */
	uint64_t features; /* the kind's own; the common ones are added */
	unsigned nqueue;
	uint8_t config[DEV_VIRTIO_CONFIG]; /* the kind's fields, read only to the guest */
	unsigned config_len;
	unsigned config_own; /* bytes of it, from the start, that may differ between two hosts */

	struct dev_host host; /* from the bus */
	unsigned slot;
	int kick_fd; /* owned eventfd: the guest's doorbell, and others who want a look */
	pthread_t thread;
	bool has_thread;
	atomic_bool paused, quit;
	struct dev_poll poll; /* of the thread */

	pthread_mutex_t lock; /* a leaf; what follows */
	struct dev_pci pci;
	unsigned window;      /* the capability for access without the BAR */
	uint32_t doorbell_at; /* as told to the host; 0: not */
	uint8_t status, isr, generation;
	uint16_t config_vector, queue_select;
	uint32_t offered_select, accepted_select;
	uint64_t accepted;
	struct dev_queue queue[DEV_VIRTIO_QUEUES];
	bool held;               /* DEV_ACQUIRE was done */
	unsigned announce, told; /* rounds to go; broken rules that were logged */
	int64_t announce_ms;     /* when the next one is due */
};

/* For a kind: make a request the next one. 1: here it is; 0: none for now; -EPROTO. */
int must_check dev_virtio_next(struct dev_virtio *v, unsigned queue, struct dev_chain *out,
			       struct err *e);
int must_check dev_virtio_done(struct dev_virtio *v, unsigned queue, const struct dev_chain *c,
			       uint32_t written, struct err *e);
/* Interrupt for what was done, if the guest wants that. */
void dev_virtio_tell(struct dev_virtio *v, unsigned queue);
/* Should work go on with the next request, or come back later? */
bool dev_virtio_on(const struct dev_virtio *v);
/* -1: no memory; the descriptor is looked at in a later round. */
int dev_poll_add(struct dev_poll *p, int fd, short events);
/* What poll(2) said of it; 0 also for -1 and for a descriptor of an earlier round. */
short dev_poll_ready(const struct dev_poll *p, int index);
void dev_poll_within(struct dev_poll *p, int ms);
/* Have the thread look; any thread, no lock. */
void dev_virtio_kick(struct dev_virtio *v);

/* For kinds that have nothing to do there. */
void dev_virtio_no_poll(struct dev_virtio *v, struct dev_poll *p);
int must_check dev_virtio_no_event(struct dev_virtio *v, enum dev_event what, struct err *e);
int must_check dev_virtio_no_save(struct dev_virtio *v, struct buf *out, struct err *e);
int must_check dev_virtio_no_load(struct dev_virtio *v, struct rd *in, struct err *e);

/* For the bus; takes the object on success only. */
int must_check dev_virtio_attach(struct dev_virtio *v, const struct dev_host *h, unsigned slot,
				 struct err *e);
int must_check dev_virtio_start(struct dev_virtio *v, struct err *e);
void dev_virtio_round(struct dev_virtio *v, int timeout_ms);
void dev_virtio_pause(struct dev_virtio *v);
void dev_virtio_resume(struct dev_virtio *v);
int must_check dev_virtio_release(struct dev_virtio *v, struct err *e);
void dev_virtio_announce(struct dev_virtio *v);
void dev_virtio_free(struct dev_virtio *v);

/* virtio_pci.c: registers; the lock is held. */
void dev_virtio_pci_init(struct dev_virtio *v);
uint32_t dev_virtio_config_read(struct dev_virtio *v, unsigned at, unsigned size);
void dev_virtio_config_write(struct dev_virtio *v, unsigned at, unsigned size, uint32_t x);
bool dev_virtio_mmio(struct dev_virtio *v, struct gpa at, bool write, uint8_t *data, unsigned len);
/* Register the doorbell where the BAR is now. */
void dev_virtio_doorbell(struct dev_virtio *v, bool on);
void dev_virtio_reset(struct dev_virtio *v);
uint64_t dev_virtio_features(const struct dev_virtio *v);

/* virtio_state.c; the lock is held. */
int must_check dev_virtio_save(struct dev_virtio *v, struct buf *out, struct err *e);
int must_check dev_virtio_load(struct dev_virtio *v, struct rd *in, struct err *e);
