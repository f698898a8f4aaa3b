/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A network in user space: libslirp plays router, DHCP and DNS server of 10.0.2.0/24. It lives in
 * the card's thread, with the card's lock held.
 *
 * Its connections end in sockets of this process, so none of them can move to another host; a guest
 * that moved finds the same network there, and its old connections are reset.
 */

#include "dev/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <slirp/libslirp.h>

#include "base/auto.h"
#include "base/log.h"

#define NET_PREFIX 0x0a000200u /* 10.0.2.0, a host's order */
#define NET_MASK 0xffffff00u
#define NET_ROUTER (NET_PREFIX + 2)
#define NET_DNS (NET_PREFIX + 3)
#define NET_FIRST (NET_PREFIX + 15) /* what DHCP gives out */
#define USER_WAIT_MS 1000u

struct user {
	struct dev_link link; /* first */
	Slirp *slirp;         /* owned */
	struct dev_net *net;  /* while it works: who takes frames */
	struct dev_poll *poll;
	const struct dev_poll *polled;
};

static struct user *user_of(struct dev_link *l)
{
	return (struct user *)(void *)l;
}

/* --- what libslirp asks for ----------------------------------------------------------------- */

static ssize_t user_packet(const void *frame, size_t len, void *ctx)
{
	struct user *u = ctx;

	if (u->net)
		dev_net_receive(u->net, frame, len);
	return (ssize_t)len;
}

static void user_guest_error(const char *msg, void *ctx)
{
	(void)ctx;
	log_debug("dev", "user network: %s", msg);
}

static int64_t user_clock(void *ctx)
{
	struct timespec t;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Its only timer is that of IPv6 router advertisements, and IPv6 is off. */
static void *user_timer_new(SlirpTimerCb cb, void *cb_ctx, void *ctx)
{
	(void)cb;
	(void)cb_ctx;
	return ctx;
}

static void user_timer_free(void *timer, void *ctx)
{
	(void)timer;
	(void)ctx;
}

static void user_timer_mod(void *timer, int64_t ms, void *ctx)
{
	(void)timer;
	(void)ms;
	(void)ctx;
}

/* Descriptors are asked for anew in each round. */
static void user_fd(int fd, void *ctx)
{
	(void)fd;
	(void)ctx;
}

static void user_notify(void *ctx)
{
	(void)ctx;
}

static const SlirpCb user_callbacks = {
	.send_packet = user_packet,
	.guest_error = user_guest_error,
	.clock_get_ns = user_clock,
	.timer_new = user_timer_new,
	.timer_free = user_timer_free,
	.timer_mod = user_timer_mod,
	.register_poll_fd = user_fd,
	.unregister_poll_fd = user_fd,
	.notify = user_notify,
};

/* --- rounds --------------------------------------------------------------------------------- */

static const struct {
	int theirs;
	short ours;
} user_events[] = {
	{ SLIRP_POLL_IN, POLLIN },   { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};
#define USER_EVENTS (sizeof(user_events) / sizeof(user_events[0]))

static int user_add(int fd, int events, void *ctx)
{
	struct user *u = ctx;
	short ours = 0;

	for (size_t i = 0; i < USER_EVENTS; i++)
		if (events & user_events[i].theirs)
			ours |= user_events[i].ours;
	return dev_poll_add(u->poll, fd, ours);
}

static int user_ready(int index, void *ctx)
{
	const struct user *u = ctx;
	short ours = dev_poll_ready(u->polled, index);
	int theirs = 0;

	for (size_t i = 0; i < USER_EVENTS; i++)
		if (ours & user_events[i].ours)
			theirs |= user_events[i].theirs;
	return theirs;
}

static void user_poll(struct dev_link *l, struct dev_poll *p)
{
	struct user *u = user_of(l);
	uint32_t ms = USER_WAIT_MS;

	u->poll = p;
	slirp_pollfds_fill(u->slirp, &ms, user_add, u);
	u->poll = NULL;
	dev_poll_within(p, (int)(ms < USER_WAIT_MS ? ms : USER_WAIT_MS));
}

static void user_work(struct dev_link *l, const struct dev_poll *p, struct dev_net *net)
{
	struct user *u = user_of(l);

	u->net = net;
	u->polled = p;
	slirp_pollfds_poll(u->slirp, 0, user_ready, u);
	u->polled = NULL;
}

static void user_send(struct dev_link *l, const uint8_t *frame, size_t len)
{
	slirp_input(user_of(l)->slirp, frame, (int)len);
}

static void user_free(struct dev_link *l)
{
	struct user *u = user_of(l);

	u->net = NULL;
	if (u->slirp)
		slirp_cleanup(u->slirp);
	free(u);
}

static const struct dev_link_ops user_ops = {
	.poll = user_poll,
	.work = user_work,
	.send = user_send,
	.free = user_free,
};

/* --- set-up --------------------------------------------------------------------------------- */

static struct in_addr address(uint32_t v)
{
	return (struct in_addr){ .s_addr = htonl(v) };
}

static int user_forward(struct user *u, const struct dev_forward *f, struct err *e)
{
	if (!slirp_add_hostfwd(u->slirp, f->udp, address(f->host_addr), f->host_port,
			       address(NET_FIRST), f->guest_port))
		return 0;
	return err_set(e, errno ? -errno : -EINVAL, "forwarding %s port %u to the guest's %u: %m",
		       f->udp ? "UDP" : "TCP", f->host_port, f->guest_port);
}

DEFINE_AUTO(dev_link, struct dev_link *, dev_link_free)

int dev_link_user(const struct dev_forward *forward, size_t n, struct dev_link **out, struct err *e)
{
	const SlirpConfig cfg = {
		.version = 1,
		.in_enabled = true,
		.vnetwork = address(NET_PREFIX),
		.vnetmask = address(NET_MASK),
		.vhost = address(NET_ROUTER),
		.vdhcp_start = address(NET_FIRST),
		.vnameserver = address(NET_DNS),
	};
	auto_of(dev_link) struct dev_link *link = NULL;
	struct user *u = calloc(1, sizeof(*u));
	int r = 0;

	if (!u)
		return err_set(e, -ENOMEM, "user network: %m");
	u->link.ops = &user_ops;
	link = &u->link;
	u->slirp = slirp_new(&cfg, &user_callbacks, u);
	if (!u->slirp)
		return err_set(e, -EIO, "user network: libslirp does not start");
	for (size_t i = 0; !r && i < n; i++)
		r = user_forward(u, &forward[i], e);
	if (!r)
		*out = steal_ptr(&link);
	return r;
}
