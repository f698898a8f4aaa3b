/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Between a network card and what it is connected to. Frames are Ethernet without checksum. All
 * calls are made with the card's lock held, in its thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dev/devices.h"
#include "dev/virtio.h"

#define DEV_FRAME_MAX 65550u

struct dev_net;

/* All required. */
struct dev_link_ops {
	/* Wait for what can bring frames; only called while the card has room. */
	void (*poll)(struct dev_link *l, struct dev_poll *p);
	/* Take frames to the card, as long as it has room. */
	void (*work)(struct dev_link *l, const struct dev_poll *p, struct dev_net *net);
	/* A frame from the card, in private memory; lost if it cannot be sent now. */
	void (*send)(struct dev_link *l, const uint8_t *frame, size_t len);
	void (*free)(struct dev_link *l);
};

struct dev_link {
	const struct dev_link_ops *ops;
};

/* Has the guest a buffer for a frame? */
bool dev_net_room(struct dev_net *net);
/* A frame for the guest; without room, or longer than the guest's buffer, it is lost. */
void dev_net_receive(struct dev_net *net, const uint8_t *frame, size_t len);
