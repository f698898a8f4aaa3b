/* SPDX-License-Identifier: Apache-2.0 */

/* In builds without libfuse. */

#include "cuse/device.h"

#include <errno.h>

int cuse_device_new(const char *name, struct sev_platform *p, struct cuse_device **out,
		    struct err *e)
{
	(void)p;
	*out = NULL;
	return err_set(e, -ENOTSUP, "/dev/%s: this program was built without libfuse3", name);
}

void cuse_device_free(struct cuse_device *d)
{
	(void)d;
}

int cuse_device_run(struct cuse_device *d, int stop_fd, cuse_ready *ready, struct err *e)
{
	(void)d;
	(void)stop_fd;
	(void)ready;
	return err_set(e, -ENOTSUP, "no CUSE");
}
