/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/io.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ll
/* How long the last words of a closing channel may take. */
#define LINGER_MS 1000

int chan_io_init(struct chan_io *io, int fd, bool file, struct err *e)
{
	*io = CHAN_IO_NONE;
	io->fd = fd;
	io->file = file;
	io->abort_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (io->abort_fd >= 0)
		return 0;
	err_set(e, -errno, "eventfd: %m");
	chan_io_fini(io);
	return e->code;
}

void chan_io_fini(struct chan_io *io)
{
	if (io->fd >= 0)
		close(io->fd);
	if (io->abort_fd >= 0)
		close(io->abort_fd);
	io->fd = io->abort_fd = -1;
}

void chan_io_abort(struct chan_io *io)
{
	uint64_t one = 1;

	atomic_store(&io->aborted, true);
	/* Cannot fail but for a full counter, which wakes as well. */
	if (write(io->abort_fd, &one, sizeof(one)) < 0)
		errno = 0;
	if (!io->file)
		shutdown(io->fd, SHUT_RDWR); /* a listener or an unconnected one: no matter */
}

bool chan_io_aborted(struct chan_io *io)
{
	return atomic_load(&io->aborted) || (io->parent && atomic_load(&io->parent->aborted));
}

int64_t chan_io_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 * NS_PER_MS + ts.tv_nsec;
}

int64_t chan_io_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? CHAN_IO_FOREVER : chan_io_now() + timeout_ms * NS_PER_MS;
}

/* For poll: rounded up, so that it does not spin over the last part of a millisecond. */
static int ms_left(int64_t deadline)
{
	int64_t left;

	if (deadline == CHAN_IO_FOREVER)
		return -1;
	left = deadline - chan_io_now();
	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

static int canceled(struct err *e)
{
	return err_set(e, -ECANCELED, "broken off");
}

int chan_io_wait(struct chan_io *io, short events, int64_t deadline, struct err *e)
{
	struct pollfd p[4] = { { .fd = io->fd, .events = events },
			       { .fd = io->abort_fd, .events = POLLIN },
			       { .fd = io->parent ? io->parent->abort_fd : -1, .events = POLLIN },
			       { .fd = -1, .events = POLLIN } };
	bool yields = io->parent && io->yield_at < deadline;

	for (;;) {
		bool yield = yields && chan_io_now() >= io->yield_at;
		int ms = ms_left(yields && !yield ? io->yield_at : deadline), n;

		p[3].fd = yield ? io->parent->fd : -1;
		n = poll(p, 4, ms);
		if (chan_io_aborted(io))
			return canceled(e);
		if (n < 0 && errno != EINTR)
			return err_set(e, -errno, "poll: %m");
		if (n > 0 && p[0].revents)
			return 0;
		if (n > 0 && p[3].revents)
			return err_set(e, -ETIMEDOUT, "too slow, while others wait");
		if (n == 0 && ms == 0 && yield == yields)
			return err_set(e, -ETIMEDOUT, "nothing within the time limit");
	}
}

/* What errno says about the peer. A peer that is gone is one thing to callers: -ECONNRESET. */
static int failed(struct chan_io *io, const char *what, struct err *e)
{
	if (chan_io_aborted(io))
		return canceled(e);
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
		return err_set(e, -ECONNRESET, "%s: the peer is gone", what);
	return err_set(e, -errno, "%s: %m", what);
}

static ssize_t recv_once(struct chan_io *io, struct iovec *v, size_t n)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n };

	return io->file ? readv(io->fd, v, (int)n) : recvmsg(io->fd, &m, MSG_DONTWAIT);
}

static ssize_t send_once(struct chan_io *io, struct iovec *v, size_t n)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n };

	return io->file ? writev(io->fd, v, (int)n)
			: sendmsg(io->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

typedef ssize_t once_fn(struct chan_io *io, struct iovec *v, size_t n);

static ssize_t some(struct chan_io *io, once_fn *once, struct iovec *v, size_t n, int64_t deadline,
		    struct err *e)
{
	bool in = once == recv_once;

	for (;;) {
		ssize_t got;
		int r;

		if (chan_io_aborted(io))
			return canceled(e);
		got = once(io, v, n);
		if (got >= 0 && !chan_io_aborted(io))
			return got;
		if (got < 0 && errno == EINTR)
			continue;
		if (got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
			return failed(io, in ? "read" : "write", e);
		r = chan_io_wait(io, in ? POLLIN : POLLOUT, deadline, e);
		if (r < 0)
			return r;
	}
}

ssize_t chan_io_recv(struct chan_io *io, void *p, size_t len, int64_t deadline, struct err *e)
{
	struct iovec v = { p, len };

	return some(io, recv_once, &v, 1, deadline, e);
}

ssize_t chan_io_send(struct chan_io *io, const void *p, size_t len, int64_t deadline, struct err *e)
{
	struct iovec v = { (void *)(uintptr_t)p, len };

	return some(io, send_once, &v, 1, deadline, e);
}

/* Drop len bytes from the front, and empty spans; 0 when nothing is left. */
static size_t advance(struct iovec **v, size_t n, size_t len)
{
	while (n && len >= (*v)->iov_len) {
		len -= (*v)->iov_len;
		(*v)++;
		n--;
	}
	if (n) {
		(*v)->iov_base = (char *)(*v)->iov_base + len;
		(*v)->iov_len -= len;
	}
	return n;
}

int chan_io_readv(struct chan_io *io, struct iovec *v, size_t n, int64_t deadline, size_t *got,
		  struct err *e)
{
	for (n = advance(&v, n, 0); n;) {
		ssize_t r = some(io, recv_once, v, n, deadline, e);

		if (r < 0)
			return (int)r;
		if (r == 0)
			return err_set(e, -ECONNRESET, "the peer closed it");
		*got += (size_t)r;
		n = advance(&v, n, (size_t)r);
		deadline = chan_io_deadline(CHAN_STALL_MS);
	}
	return 0;
}

int chan_io_writev(struct chan_io *io, struct iovec *v, size_t n, struct err *e)
{
	for (n = advance(&v, n, 0); n;) {
		ssize_t r = some(io, send_once, v, n, chan_io_deadline(CHAN_STALL_MS), e);

		if (r < 0)
			return (int)r;
		n = advance(&v, n, (size_t)r);
	}
	return 0;
}

static bool outgoing(int fd)
{
	int left = 0;

	return ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0;
}

void chan_io_linger(struct chan_io *io)
{
	int64_t deadline = chan_io_deadline(LINGER_MS);
	struct pollfd p = { .fd = io->fd, .events = POLLIN };

	if (chan_io_aborted(io) || io->file || shutdown(io->fd, SHUT_WR) < 0)
		return;
	while (outgoing(io->fd) && chan_io_now() < deadline) {
		/* No event tells when the peer's kernel has it all: look every millisecond. */
		poll(&p, 1, 1);
		if (p.revents & POLLERR)
			return;
		/* MSG_TRUNC: tcp(7), read and thrown away */
		if (p.revents && recv(io->fd, NULL, 1u << 20, MSG_TRUNC | MSG_DONTWAIT) == 0)
			p.fd = -1;
		p.revents = 0;
	}
}
