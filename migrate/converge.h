/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Go on copying, stop the guest now, or give up: decided from what the last pass measured. */

#include <stdint.h>

enum mig_verdict {
	MIG_GO_ON,
	MIG_STOP_NOW, /* what is left takes no longer than the guest may be down */
	MIG_DIVERGES, /* and no pass is left to hope for */
};

struct mig_converge {
	unsigned pass; /* that just ended */
	unsigned max_passes;
	uint64_t left;      /* pages to be sent again */
	uint64_t send_rate; /* pages a second; 0: not known */
	uint64_t limit_ns;  /* how long the guest may be down */
	uint64_t fixed_ns;  /* of that, what is not for pages */
};

/* *expected_ns: the downtime if it stopped now; UINT64_MAX when nothing is known. */
enum mig_verdict mig_converge(const struct mig_converge *in, uint64_t *expected_ns);
