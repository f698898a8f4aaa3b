/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-rng (virtio 1.2, 5.4): fills buffers from the host's generator. */

#include "dev/devices.h"
#include "dev/virtio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <linux/virtio_ids.h>

#define PCI_CLASS_OTHER 0x00ff00u
#define FILL_MAX 4096u /* of one request; a driver takes less than it asked for */

struct rng {
	struct dev_virtio v; /* first */
	struct dev_chain chain;
};

static int rng_work(struct dev_virtio *v, const struct dev_poll *p, struct err *e)
{
	struct rng *g = (struct rng *)(void *)v;

	(void)p;
	for (unsigned i = 0; i < DEV_VIRTIO_BATCH; i++) {
		uint8_t bytes[FILL_MAX];
		int r = dev_virtio_next(v, 0, &g->chain, e);
		uint64_t want;
		size_t n;

		if (r <= 0)
			return r;
		want = dev_chain_in(&g->chain);
		n = want < sizeof(bytes) ? (size_t)want : sizeof(bytes);
		if (getrandom(bytes, n, 0) != (ssize_t)n)
			n = 0;
		dev_chain_put(&g->chain, &v->host, 0, bytes, n);
		r = dev_virtio_done(v, 0, &g->chain, (uint32_t)n, e);
		if (r < 0)
			return r;
	}
	return 1;
}

static void rng_free(struct dev_virtio *v)
{
	free(v);
}

static const struct dev_virtio_ops rng_ops = {
	.poll = dev_virtio_no_poll,
	.work = rng_work,
	.event = dev_virtio_no_event,
	.save = dev_virtio_no_save,
	.load = dev_virtio_no_load,
	.free = rng_free,
};

int dev_rng_new(struct dev_virtio **out, struct err *e)
{
	struct rng *g = calloc(1, sizeof(*g));

	if (!g)
		return err_set(e, -ENOMEM, "rng: %m");
	g->v = (struct dev_virtio){
		.ops = &rng_ops,
		.name = "rng",
		.what = "virtio-rng",
		.type = VIRTIO_ID_RNG,
		.class = PCI_CLASS_OTHER,
		.nqueue = 1,
		.kick_fd = -1,
	};
	*out = &g->v;
	return 0;
}
