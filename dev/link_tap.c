/* SPDX-License-Identifier: Apache-2.0 */

/* A tap device: one read is one frame, so is one write. */

#include "dev/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/auto.h"

#define TAP_BATCH 64u

struct tap {
	struct dev_link link; /* first */
	int fd;               /* owned */
	int polled;
	uint8_t frame[DEV_FRAME_MAX];
};

static struct tap *tap_of(struct dev_link *l)
{
	return (struct tap *)(void *)l;
}

static void tap_poll(struct dev_link *l, struct dev_poll *p)
{
	tap_of(l)->polled = dev_poll_add(p, tap_of(l)->fd, POLLIN);
}

static void tap_work(struct dev_link *l, const struct dev_poll *p, struct dev_net *net)
{
	struct tap *t = tap_of(l);
	bool ready = dev_poll_ready(p, t->polled) & POLLIN;

	t->polled = -1;
	for (unsigned i = 0; ready && i < TAP_BATCH && dev_net_room(net); i++) {
		ssize_t n = read(t->fd, t->frame, sizeof(t->frame));

		if (n <= 0)
			return;
		dev_net_receive(net, t->frame, (size_t)n);
	}
}

static void tap_send(struct dev_link *l, const uint8_t *frame, size_t len)
{
	(void)!write(tap_of(l)->fd, frame, len); /* full or down: the frame is lost */
}

static void tap_free(struct dev_link *l)
{
	close(tap_of(l)->fd);
	free(l);
}

static const struct dev_link_ops tap_ops = {
	.poll = tap_poll,
	.work = tap_work,
	.send = tap_send,
	.free = tap_free,
};

int dev_link_tap(int fd, struct dev_link **out, struct err *e)
{
	auto_fd int held = fd;
	int flags = fcntl(fd, F_GETFL);
	struct tap *t;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_set(e, -errno, "tap: %m");
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, -ENOMEM, "tap: %m");
	t->link.ops = &tap_ops;
	t->fd = steal_fd(&held);
	t->polled = -1;
	*out = &t->link;
	return 0;
}
