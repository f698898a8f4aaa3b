/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long each wait may take, and why. Milliseconds. */

#include <stdint.h>
#include <time.h>

/* How soon a wait notices a cancel, an adoption or the other side's ABORT. */
#define MIG_POLL_MS 100
/* HELLO to HELLO_REPLY: a round trip and some Secure Processor commands, each below a second. */
#define MIG_HELLO_MS 10000
/* HELLO_REPLY to START: the source's verify() may ask a person or a service. */
#define MIG_SESSION_MS 60000
/* The guest runs meanwhile, so a peer that takes or sends nothing gets as long as TCP needs to come
 * back from a lost link. */
#define MIG_STALL_MS 30000
/* The guest is stopped: better go on here than wait for a peer that does not move. */
#define MIG_STOPPED_MS 10000
/* END to READY: the target loads what it already has. */
#define MIG_READY_MS 10000
/* READY to COMMIT: one SEND_FINISH and a round trip. Then the target goes back to listening, where
 * the source can find it. */
#define MIG_COMMIT_MS 5000
/* COMMIT to RUNNING, and RUNNING to DONE: then the side that waits takes the connection for lost
 * and asks, or listens, anew. Well below the default time for asking (30 s). */
#define MIG_RUNNING_MS 5000
/* Between two attempts to reach the target after COMMIT. */
#define MIG_RETRY_MS 200
/* A last word to a peer that may be gone is worth this much. */
#define MIG_ABORT_MS 2000
/* How long a target that runs the guest goes on listening for a source that did not hear it: twice
 * what a source goes on asking by default. */
#define MIG_LINGER_MS 60000

#define MIG_MAX_DOWNTIME_MS 300
#define MIG_MAX_PASSES 30
#define MIG_COMMIT_WAIT_MS 30000

static inline uint64_t mig_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t mig_deadline(unsigned ms)
{
	return mig_now_ns() + ms * 1000000ull;
}
