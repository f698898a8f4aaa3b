/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-net from the guest's side; the network gives back each frame that it gets, and one that
 * comes by itself. */

#include "tests/fuzz/dev_drive_run.h"

#include "dev/net.h"

struct echo {
	struct dev_link link; /* first */
	uint8_t frame[DEV_FRAME_MAX];
	size_t len;
};

static void echo_poll(struct dev_link *l, struct dev_poll *p)
{
	(void)l;
	(void)p;
}

static void echo_work(struct dev_link *l, const struct dev_poll *p, struct dev_net *net)
{
	struct echo *o = (struct echo *)(void *)l;

	(void)p;
	if (!dev_net_room(net))
		return;
	dev_net_receive(net, o->frame, o->len);
	o->len = 60;
}

static void echo_send(struct dev_link *l, const uint8_t *frame, size_t len)
{
	struct echo *o = (struct echo *)(void *)l;

	if (len > sizeof(o->frame) || len < 14)
		abort();
	memcpy(o->frame, frame, len);
	o->len = len;
}

static void echo_free(struct dev_link *l)
{
	free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dev_link_ops ops = { echo_poll, echo_work, echo_send, echo_free };
	static const uint8_t mac[DEV_MAC_LEN] = { 2, 0, 0, 0, 0, 1 };
	struct echo *o = calloc(1, sizeof(*o));
	struct dev_virtio *dev;
	struct err e = { 0 };

	if (!o)
		abort();
	o->link.ops = &ops;
	if (dev_net_new(mac, 1, &o->link, &dev, &e))
		abort();
	return drive_run(dev, 2, data, size);
}
