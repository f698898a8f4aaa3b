/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A character device /dev/NAME that answers as /dev/sev does, for every process of the machine: a
 * driver in user space (CUSE) before a software platform. No library is preloaded into anything;
 * static programs, those of Go and setuid ones find it, too. KVM's side is not there.
 *
 * What an ioctl's struct points to is the caller's memory, and is read and written there while the
 * caller waits. So this needs root, as a driver would.
 */

#include "base/err.h"
#include "sev/sev.h"

struct cuse_device;

/* Borrows p, of sev_soft_open(). -ENOENT: no CUSE in this kernel; -ENOTSUP: built without it. */
int must_check cuse_device_new(const char *name, struct sev_platform *p, struct cuse_device **out,
			       struct err *e);
/* With it the device disappears; whoever has it open gets errors. */
void cuse_device_free(struct cuse_device *d);

/* Answer until stop_fd is readable. Calls ready once, when the device is there. */
typedef void cuse_ready(const char *path);
int must_check cuse_device_run(struct cuse_device *d, int stop_fd, cuse_ready *ready,
			       struct err *e);
