/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a migration needs of a guest's handler (doc/HANDLER.md): a mirror VM while it goes on, its
 * mailboxes and its window. The monitor implements this.
 */

#include <stdint.h>

#include "base/err.h"

struct mig_mirror;

struct mig_mirror_ops {
	/* A mirror VM with so many vCPUs; the guest may run meanwhile. */
	int (*open)(struct mig_mirror *m, unsigned vcpus, struct err *e);
	/* Until the handler has answered the command in this vCPU's mailbox. One thread a vCPU,
	 * several vCPUs at once. */
	int (*enter)(struct mig_mirror *m, unsigned vcpu, struct err *e);
	/* Also without an open one. */
	void (*close)(struct mig_mirror *m);
};

struct mig_mirror {
	const struct mig_mirror_ops *ops;
	uint8_t *mailbox; /* HANDLER_VCPUS_MAX of HANDLER_MAILBOX_LEN bytes, shared */
	uint8_t *window;  /* HANDLER_WINDOW_LEN bytes, shared */
};
