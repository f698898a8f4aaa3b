/* SPDX-License-Identifier: Apache-2.0 */
#define FUSE_USE_VERSION 35

#include "cuse/device.h"

#include <cuse_lowlevel.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "sev/soft_shim.h"

#define CUSE_NODE "/dev/cuse"
#define NAME_MAX_LEN 31u

struct cuse_device {
	struct fuse_session *session;
	struct sev_platform *platform;
	cuse_ready *ready;
	bool there;
	char path[NAME_MAX_LEN + sizeof("/dev/")];
};
DEFINE_AUTO(cuse_device, struct cuse_device *, cuse_device_free)

/* --- what the kernel passes on --------------------------------------------------------------- */

static void on_init_done(void *userdata)
{
	struct cuse_device *d = userdata;

	d->there = true;
	d->ready(d->path);
}

/* In `fh`: was it opened for writing? The fourth access mode is for neither. */
static void on_open(fuse_req_t req, struct fuse_file_info *fi)
{
	int mode = fi->flags & O_ACCMODE;

	fi->fh = mode == O_WRONLY || mode == O_RDWR;
	fuse_reply_open(req, fi);
}

static void on_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)size;
	(void)off;
	(void)fi;
	fuse_reply_err(req, EINVAL);
}

static void on_write(fuse_req_t req, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	(void)buf;
	(void)size;
	(void)off;
	(void)fi;
	fuse_reply_err(req, EINVAL);
}

/* A result, not an error: not every errno of ccp's is one that FUSE lets through. */
static void on_ioctl(fuse_req_t req, int request, void *arg, struct fuse_file_info *fi,
		     unsigned flags, const void *in, size_t in_len, size_t out_len)
{
	struct cuse_device *d = fuse_req_userdata(req);
	int r = -ENOTTY; /* ccp has nothing for 32-bit programs */

	(void)in;
	(void)in_len;
	(void)out_len;
	if (!(flags & FUSE_IOCTL_COMPAT))
		r = sev_soft_dev_ioctl_of(d->platform, fuse_req_ctx(req)->pid, (uint32_t)request,
					  (uintptr_t)arg, fi->fh);
	fuse_reply_ioctl(req, r, NULL, 0);
}

static const struct cuse_lowlevel_ops ops = {
	.init_done = on_init_done,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.ioctl = on_ioctl,
};

/* --- the device ------------------------------------------------------------------------------ */

/* libfuse would say it on stderr, and not what to do. */
static int cuse_check(struct err *e)
{
	auto_fd int fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return err_set(e, -ENOENT,
			       CUSE_NODE
			       ": %m; \"modprobe cuse\" loads it where the kernel has it; "
			       "elsewhere there is sevmig shim");
	return err_set(e, -errno, CUSE_NODE ": %m%s", errno == EACCES ? "; this needs root" : "");
}

static int name_check(const struct cuse_device *d, const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (!len || len > NAME_MAX_LEN ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)
		return err_set(e, -EINVAL, "%s: not 1 to %u of a-z, 0-9, _ and -", name,
			       NAME_MAX_LEN);
	if (access(d->path, F_OK) == 0)
		return err_set(e, -EEXIST, "%s is there already", d->path);
	return 0;
}

static struct fuse_session *session_new(const char *name, struct cuse_device *d)
{
	char program[] = "sevmig", foreground[] = "-f", devname[NAME_MAX_LEN + 16];
	char *argv[] = { program, foreground, NULL };
	const char *info[] = { devname };
	const struct cuse_info ci = { .dev_info_argc = 1,
				      .dev_info_argv = info,
				      .flags = CUSE_UNRESTRICTED_IOCTL };
	int threads;

	snprintf(devname, sizeof(devname), "DEVNAME=%s", name);
	return cuse_lowlevel_setup(2, argv, &ci, &ops, &threads, d);
}

int cuse_device_new(const char *name, struct sev_platform *p, struct cuse_device **out,
		    struct err *e)
{
	auto_of(cuse_device) struct cuse_device *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_set(e, -ENOMEM, "%s: no memory", name);
	d->platform = p;
	snprintf(d->path, sizeof(d->path), "/dev/%s", name);
	r = name_check(d, name, e);
	if (r == 0)
		r = cuse_check(e);
	if (r < 0)
		return r;
	d->session = session_new(name, d);
	if (!d->session)
		return err_set(e, -EIO, "%s: CUSE does not start", d->path);
	*out = steal_ptr(&d);
	return 0;
}

void cuse_device_free(struct cuse_device *d)
{
	if (d && d->session)
		cuse_lowlevel_teardown(d->session);
	free(d);
}

/* --- service --------------------------------------------------------------------------------- */

/* 1: a request; 0: told to stop. */
static int request_wait(struct cuse_device *d, int stop_fd, struct err *e)
{
	struct pollfd fds[] = { { stop_fd, POLLIN, 0 },
				{ fuse_session_fd(d->session), POLLIN, 0 } };

	while (poll(fds, 2, -1) < 0) {
		if (errno != EINTR)
			return err_set(e, -errno, "%s: poll: %m", d->path);
	}
	return !fds[0].revents;
}

/* One at a time, as there is one Secure Processor. */
static int serve(struct cuse_device *d, int stop_fd, struct fuse_buf *buf, struct err *e)
{
	int r = request_wait(d, stop_fd, e);

	while (r > 0) {
		r = fuse_session_receive_buf(d->session, buf);
		if (r > 0)
			fuse_session_process_buf(d->session, buf);
		else if (r != -EINTR && r != -EAGAIN)
			return err_set(e, r ? r : -ENODEV, "%s: %s", d->path,
				       d->there ? "the kernel ended it"
						: "the kernel does not make it");
		r = request_wait(d, stop_fd, e);
	}
	return r;
}

int cuse_device_run(struct cuse_device *d, int stop_fd, cuse_ready *ready, struct err *e)
{
	struct fuse_buf buf = { 0 };
	int r;

	d->ready = ready;
	r = serve(d, stop_fd, &buf, e);
	free(buf.mem);
	return r;
}
