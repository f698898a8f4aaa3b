/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"

/* A dead host is noticed after half a minute, whether we wait for it (probes: 10 s + 4 times 5 s)
 * or send to it (user timeout): the same patience as CHAN_STALL_MS. */
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 4
#define USER_TIMEOUT_MS CHAN_STALL_MS
#define BACKLOG 8 /* one migration at a time; the rest are retries */

DEFINE_AUTO(addrs, struct addrinfo *, freeaddrinfo)

static void opt_set(int fd, int level, int name, int v)
{
	/* Each of these is a help; a kernel without one still moves the guest. */
	(void)!setsockopt(fd, level, name, &v, sizeof(v));
}

/* A pacing congestion control (BBR, the default of some hosts) halves a stream between machines
 * side by side. Buffers stay the kernel's: TCP's grow by themselves beyond what SO_SNDBUF allows.
 */
void chan_tcp_tune(int fd)
{
	static const char *const wanted[] = { "cubic", "reno" };

	opt_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	opt_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	opt_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	opt_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	opt_set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
	opt_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, wanted[i],
			       (socklen_t)strlen(wanted[i])) == 0)
			return;
}

void chan_tcp_congestion(int fd, char out[16])
{
	socklen_t len = 15;

	memset(out, 0, 16);
	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out, &len) < 0)
		out[0] = '\0';
}

void chan_tcp_addr(int fd, bool peer, char out[CHAN_ADDR_TEXT])
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	char host[INET6_ADDRSTRLEN + 16], port[8];
	int r = peer ? getpeername(fd, (struct sockaddr *)&sa, &len)
		     : getsockname(fd, (struct sockaddr *)&sa, &len);

	if (r < 0 || getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port,
				 sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(out, CHAN_ADDR_TEXT, "unknown address");
	else
		snprintf(out, CHAN_ADDR_TEXT, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

int chan_tcp_port(int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
}

static int resolve(const struct chan_uri *u, int flags, struct addrinfo **out, struct err *e)
{
	struct addrinfo hints = { .ai_flags = flags | AI_NUMERICSERV,
				  .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM };
	char port[8];
	int r;

	snprintf(port, sizeof(port), "%u", u->port);
	r = getaddrinfo(u->host, port, &hints, out);
	return r == 0 ? 0 : err_set(e, -ENXIO, "%s: %s", u->host, gai_strerror(r));
}

static int listen_at(const struct addrinfo *a, int *out, struct err *e)
{
	auto_fd int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, -errno, "socket: %m");
	opt_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	chan_tcp_tune(fd);
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return err_set(e, -errno, "listen: %m");
	*out = steal_fd(&fd);
	return 0;
}

int chan_tcp_listen(const struct chan_uri *u, int *out, struct err *e)
{
	auto_of(addrs) struct addrinfo *all = NULL;
	int r = resolve(u, AI_PASSIVE, &all, e);

	if (r < 0)
		return r;
	r = -ENXIO;
	for (const struct addrinfo *a = all; a && r < 0; a = a->ai_next)
		r = listen_at(a, out, e);
	return r;
}

static int connect_wait(int fd, int64_t deadline, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int code = 0, n;
	socklen_t len = sizeof(code);
	int64_t left;

	do {
		left = deadline == CHAN_IO_FOREVER ? -1 : (deadline - chan_io_now()) / 1000000 + 1;
		n = left < 0 && deadline != CHAN_IO_FOREVER ? 0 : poll(&p, 1, (int)left);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(e, -ETIMEDOUT, "connect: no answer");
	if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		return err_set(e, -errno, "connect: %m");
	errno = code;
	return code ? err_set(e, -code, "connect: %m") : 0;
}

static int connect_to(const struct addrinfo *a, int64_t deadline, int *out, struct err *e)
{
	auto_fd int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0;

	if (fd < 0)
		return err_set(e, -errno, "socket: %m");
	chan_tcp_tune(fd);
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		r = errno == EINPROGRESS ? connect_wait(fd, deadline, e)
					 : err_set(e, -errno, "connect: %m");
	if (r == 0)
		*out = steal_fd(&fd);
	return r;
}

int chan_tcp_connect(const struct chan_uri *u, int64_t deadline, int *out, struct err *e)
{
	auto_of(addrs) struct addrinfo *all = NULL;
	int r;

	if (u->port == 0)
		return err_set(e, -EINVAL, "port 0 is only for listening");
	r = resolve(u, 0, &all, e);
	if (r < 0)
		return r;
	r = -ENXIO;
	for (const struct addrinfo *a = all; a && r < 0; a = a->ai_next)
		r = connect_to(a, deadline, out, e);
	return r;
}
