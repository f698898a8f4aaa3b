/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A virtual machine without KVM, and everything around one migration of it: two software platforms
 * under one root, a source and a target in a thread each, and connections between them that can be
 * made to break. The guest is a random program that writes pages and converts them; it goes on
 * between any two SEND_UPDATE_DATA, in the migration's own thread, so that a run can be repeated.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/ranges.h"
#include "chan/chan.h"
#include "migrate/migrate.h"

#define FAKE_LOW 0x400000u /* RAM at 0, the first MiB always private */
#define FAKE_HIGH 0x100000u
#define FAKE_HIGH_AT 0x100000000ull
#define FAKE_FRAMES ((FAKE_HIGH_AT + FAKE_HIGH) / PAGE_LEN)
#define FAKE_STATE_LEN 300000u /* more than one page, less than a part */

/* Both hosts. */
struct fake_world {
	atomic_int running; /* guests that run: never more than one */
	atomic_int most;
};

struct fake_vm {
	struct mig_vm mig; /* first */
	struct fake_world *world;
	struct sev_platform *platform; /* borrowed */
	struct sev_vm *inner;          /* owned; mig.sev is a wrapper of ours, owned */
	uint8_t *low, *high;           /* shared faces */
	struct ranges shared;
	uint64_t *dirty;
	bool log_on;
	atomic_bool running;
	atomic_bool at_work; /* a thread that plays vCPU is in a step; run(false) waits for it */
	bool frozen;         /* runs, and writes nothing */
	bool paused;         /* by its operator; part of the state */
	bool ended;          /* powered off */
	bool stubborn;       /* accept() says no */
	unsigned taken;      /* calls of accept() that were not a mere question */
	bool broken_load;
	const char *blocked;
	uint32_t vcpus;
	bool es;       /* the vCPUs' state is sealed, too */
	bool mainline; /* the kernel has no commands to move such vCPUs */
	uint64_t rnd;
	unsigned pages_a_step; /* how busy the guest is */
	unsigned steps;
	unsigned *calls; /* of the SEV side, counted when not NULL; the break_at-th fails */
	unsigned break_at;
	uint8_t state[FAKE_STATE_LEN];
	void (*on_sync)(struct fake_vm *vm); /* called when the dirty log is read, or NULL */
	void (*on_get)(struct fake_vm *vm);  /* called when the list is read, or NULL */
	unsigned order;                      /* of calls, for the race rules */
};

/* Platforms under one root, in a temporary directory; once a test program. */
int fake_group_setup(void **state);
int fake_group_teardown(void **state);
/* A further handle on platform 0 or 1. */
struct sev_platform *fake_platform_open(unsigned which);
extern struct sev_platform *fake_platform[2];

/* What the following fake_vm_new() make: 0 plain SEV guests of one vCPU, else SEV-ES guests of so
 * many. */
extern uint32_t fake_es_vcpus;
/* launched: with content, running; otherwise waiting for a migration. */
struct fake_vm *fake_vm_new(struct fake_world *w, struct sev_platform *p, bool launched);
void fake_vm_free(struct fake_vm *vm);
void fake_write(struct fake_vm *vm, uint64_t frame, uint8_t v);
void fake_convert(struct fake_vm *vm, uint64_t frame, uint64_t n, bool shared);
/* Make the guest work. */
void fake_step(struct fake_vm *vm);
/* One face of one page. */
uint8_t *fake_page(struct fake_vm *vm, uint64_t frame, bool shared);
/* SEV INIT or, as fake_es_vcpus says, SEV-ES INIT. */
void fake_init(struct fake_vm *vm);
/* A vCPU's sealed state, SEV_VMSA_PACKET_LEN bytes. */
uint8_t *fake_vcpu(struct fake_vm *vm, uint32_t i);
/* Fails the test unless both have the same memory, by status, the same list, state and vCPUs. */
void fake_assert_same(struct fake_vm *a, struct fake_vm *b);

struct rig {
	struct fake_world world;
	struct fake_vm *src, *dst;
	struct mig_source_params source_params;
	struct mig_target_params target_params;

	/* Breaks the first connection, on one side, at its k-th send there. */
	bool fault, fault_target;
	unsigned fault_k;
	enum chan_fault_at fault_at;
	bool no_reconnect;
	/* Wraps each end before it is used, or NULL; takes and returns a channel. */
	struct chan *(*wrap)(struct rig *rig, struct chan *c, bool target);
	void *wrap_ctx;

	struct mig_source *source;
	struct mig_target *target;
	pthread_mutex_t lock; /* guards the next three */
	struct chan *waiting; /* a connection nobody accepted yet */
	bool closed;          /* no more will come */
	unsigned reconnects;

	int source_result, target_result;
	struct err source_err, target_err;
	struct mig_stats source_stats, target_stats;
	unsigned verified; /* calls of verify() */
	int verify_result;
	pthread_t target_thread;
};

void rig_init(struct rig *rig, struct sev_platform *a, struct sev_platform *b);
void rig_fini(struct rig *rig);
void rig_target_start(struct rig *rig);
/* Nobody will come any more. What waits in vain is told to stop. */
void rig_target_join(struct rig *rig);
/* A new connection to the target: our end. */
int rig_connect(struct rig *rig, struct chan **out, struct err *e);
/* The source's part alone, in this thread. */
void rig_source_run(struct rig *rig, struct chan *c);
/* Both, to the end. */
void rig_move(struct rig *rig);
