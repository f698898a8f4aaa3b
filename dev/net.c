/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-net (virtio 1.2, 5.1): queue 0 to the guest, queue 1 from it; no offloads. */

#include "dev/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#define PCI_CLASS_NET 0x020000u
#define CONFIG_LEN 8u
#define HEADER 12u /* struct virtio_net_hdr_v1 */
#define QUEUE_IN 0u
#define QUEUE_OUT 1u
#define RARP_LEN 28u
#define RARP_REQUEST 3u /* RFC 903 */

struct dev_net {
	struct dev_virtio v;   /* first */
	struct dev_link *link; /* owned */
	struct err broken;     /* code 0: not; the round says so at its end */
	struct dev_chain in, out;
	uint8_t frame[DEV_FRAME_MAX];
};

static struct dev_net *net_of(struct dev_virtio *v)
{
	return (struct dev_net *)(void *)v;
}

bool dev_net_room(struct dev_net *net)
{
	return !net->broken.code && dev_virtio_next(&net->v, QUEUE_IN, &net->in, &net->broken) == 1;
}

void dev_net_receive(struct dev_net *net, const uint8_t *frame, size_t len)
{
	static const uint8_t header[HEADER] = { [10] = 1 }; /* in one buffer */
	struct dev_chain *c = &net->in;

	if (!dev_net_room(net) || dev_chain_in(c) < HEADER + len)
		return;
	dev_chain_put(c, &net->v.host, 0, header, HEADER);
	dev_chain_put(c, &net->v.host, HEADER, frame, len);
	(void)!dev_virtio_done(&net->v, QUEUE_IN, c, HEADER + (uint32_t)len, &net->broken);
}

static int net_send(struct dev_net *net, struct err *e)
{
	uint64_t len = dev_chain_out(&net->out);

	if (len >= HEADER + ETH_HLEN && len <= HEADER + sizeof(net->frame)) {
		size_t n = dev_chain_get(&net->out, HEADER, net->frame, (size_t)len - HEADER);

		net->link->ops->send(net->link, net->frame, n);
	}
	return dev_virtio_done(&net->v, QUEUE_OUT, &net->out, 0, e);
}

static int net_work(struct dev_virtio *v, const struct dev_poll *p, struct err *e)
{
	struct dev_net *net = net_of(v);
	int r = 1;

	net->link->ops->work(net->link, p, net);
	for (unsigned i = 0; r == 1 && i < DEV_VIRTIO_BATCH; i++) {
		r = dev_virtio_next(v, QUEUE_OUT, &net->out, e);
		if (r == 1 && net_send(net, e) < 0)
			r = -EPROTO;
	}
	if (!net->broken.code)
		return r;
	*e = net->broken;
	return -EPROTO;
}

static void net_poll(struct dev_virtio *v, struct dev_poll *p)
{
	struct dev_net *net = net_of(v);

	if (dev_net_room(net))
		net->link->ops->poll(net->link, p);
	else if (net->broken.code)
		dev_poll_within(p, 0); /* the round says so */
}

/* A reverse ARP request: switches learn from it where the address is, and nobody answers. */
static void net_announce(struct dev_net *net)
{
	uint8_t frame[ETH_ZLEN] = { 0 };
	const uint8_t *mac = net->v.config;
	struct wr w = wr_of(frame, sizeof(frame));

	memset(frame, 0xff, ETH_ALEN);
	w.len = ETH_ALEN;
	wr_bytes(&w, mac, ETH_ALEN);
	wr_u8(&w, ETH_P_RARP >> 8);
	wr_u8(&w, ETH_P_RARP & 0xff);
	wr_bytes(&w,
		 (const uint8_t[]){ 0, ARPHRD_ETHER, ETH_P_IP >> 8, ETH_P_IP & 0xff, ETH_ALEN, 4, 0,
				    RARP_REQUEST },
		 8);
	wr_bytes(&w, mac, ETH_ALEN);
	wr_zero(&w, 4);
	wr_bytes(&w, mac, ETH_ALEN);
	net->link->ops->send(net->link, frame, sizeof(frame));
}

static int net_event(struct dev_virtio *v, enum dev_event what, struct err *e)
{
	(void)e;
	if (what == DEV_ANNOUNCE)
		net_announce(net_of(v));
	if (what == DEV_RESET)
		net_of(v)->broken.code = 0;
	return 0;
}

static void net_free(struct dev_virtio *v)
{
	dev_link_free(net_of(v)->link);
	free(v);
}

/* Frames on their way are lost in a move, as a network may lose them. */
static const struct dev_virtio_ops net_ops = {
	.poll = net_poll,
	.work = net_work,
	.event = net_event,
	.save = dev_virtio_no_save,
	.load = dev_virtio_no_load,
	.free = net_free,
};

void dev_link_free(struct dev_link *link)
{
	if (link)
		link->ops->free(link);
}

int dev_net_new(const uint8_t mac[DEV_MAC_LEN], unsigned number, struct dev_link *link,
		struct dev_virtio **out, struct err *e)
{
	struct dev_net *net = calloc(1, sizeof(*net));

	if (!net) {
		dev_link_free(link);
		return err_set(e, -ENOMEM, "network card: %m");
	}
	net->v = (struct dev_virtio){
		.ops = &net_ops,
		.what = "virtio-net",
		.type = VIRTIO_ID_NET,
		.class = PCI_CLASS_NET,
		.features = 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_STATUS,
		.nqueue = 2,
		.config_len = CONFIG_LEN,
		.config_own = DEV_MAC_LEN,
		.kick_fd = -1,
	};
	snprintf(net->v.name, sizeof(net->v.name), "net %u", number);
	memcpy(net->v.config, mac, DEV_MAC_LEN);
	net->v.config[DEV_MAC_LEN] = VIRTIO_NET_S_LINK_UP;
	net->link = link;
	*out = &net->v;
	return 0;
}
