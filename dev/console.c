/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-console (virtio 1.2, 5.3) with one port: queue 0 to the guest, queue 1 from it. */

#include "dev/devices.h"
#include "dev/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/virtio_ids.h>

#define PCI_CLASS_CONSOLE 0x078000u
#define INPUT_MAX 65536u
#define OUTPUT_STEP 4096u
#define OUTPUT_SECONDS 2      /* one request to a reader that is slow */
#define OUTPUT_MAX (1u << 20) /* of one request; what is longer is cut */
#define CONFIG_LEN 12u        /* size, ports, emergency write: none is offered */
#define QUEUE_IN 0u
#define QUEUE_OUT 1u

struct console {
	struct dev_virtio v; /* first */
	const struct dev_console_ops *ops;
	void *ctx;
	struct dev_chain chain;
	/* Typed and not yet taken; with the device's lock. */
	uint8_t input[INPUT_MAX];
	uint32_t head, len;
	bool refused;
};

static struct console *console_of(struct dev_virtio *v)
{
	return (struct console *)(void *)v;
}

static void input_get(struct console *c, uint8_t *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = c->input[(c->head + i) % INPUT_MAX];
	c->head = (c->head + n) % INPUT_MAX;
	c->len -= n;
}

static int console_in(struct console *c, struct err *e)
{
	while (c->len) {
		uint8_t bytes[256];
		int r = dev_virtio_next(&c->v, QUEUE_IN, &c->chain, e);
		uint64_t room = r > 0 ? dev_chain_in(&c->chain) : 0;
		uint32_t n = c->len < sizeof(bytes) ? c->len : (uint32_t)sizeof(bytes);

		if (r <= 0)
			return r;
		n = room < n ? (uint32_t)room : n;
		input_get(c, bytes, n);
		dev_chain_put(&c->chain, &c->v.host, 0, bytes, n);
		r = dev_virtio_done(&c->v, QUEUE_IN, &c->chain, n, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Whoever stops the guest waits for this, so a reader that is slower still loses the rest. */
static void console_print(struct console *c)
{
	uint64_t len = dev_chain_out(&c->chain);
	int64_t until = now_s() + OUTPUT_SECONDS;
	uint8_t bytes[OUTPUT_STEP];
	size_t n;

	len = len < OUTPUT_MAX ? len : OUTPUT_MAX;
	for (uint64_t at = 0; at < len && now_s() <= until; at += n) {
		n = dev_chain_get(&c->chain, at, bytes,
				  len - at < sizeof(bytes) ? (size_t)(len - at) : sizeof(bytes));
		c->ops->output(c->ctx, bytes, n);
	}
}

static int console_work(struct dev_virtio *v, const struct dev_poll *p, struct err *e)
{
	struct console *c = console_of(v);
	int r = console_in(c, e);

	(void)p;
	if (r < 0)
		return r;
	if (c->refused && c->len < INPUT_MAX) {
		c->refused = false;
		c->ops->room(c->ctx);
	}
	for (unsigned i = 0; i < DEV_VIRTIO_BATCH; i++) {
		r = dev_virtio_next(v, QUEUE_OUT, &c->chain, e);
		if (r <= 0)
			return r;
		console_print(c);
		r = dev_virtio_done(v, QUEUE_OUT, &c->chain, 0, e);
		if (r < 0)
			return r;
	}
	return 1;
}

size_t dev_console_input(struct dev_virtio *v, const uint8_t *p, size_t len)
{
	struct console *c = console_of(v);
	size_t took;

	pthread_mutex_lock(&v->lock);
	took = INPUT_MAX - c->len < len ? INPUT_MAX - c->len : len;
	for (size_t i = 0; i < took; i++)
		c->input[(c->head + c->len + i) % INPUT_MAX] = p[i];
	c->len += (uint32_t)took;
	c->refused |= took < len; /* somebody else's may be what waits */
	pthread_mutex_unlock(&v->lock);
	dev_virtio_kick(v);
	return took;
}

/* Length u32 and bytes of what was typed and not taken. */
static int console_save(struct dev_virtio *v, struct buf *out, struct err *e)
{
	struct console *c = console_of(v);
	uint32_t tail = c->len < INPUT_MAX - c->head ? c->len : INPUT_MAX - c->head;
	int r = buf_add_le32(out, c->len, e);

	r = r ? r : buf_add(out, c->input + c->head, tail, e);
	return r ? r : buf_add(out, c->input, c->len - tail, e);
}

static int console_load(struct dev_virtio *v, struct rd *in, struct err *e)
{
	struct console *c = console_of(v);
	uint32_t len = 0;
	const uint8_t *p;

	if (rd_le32(in, &len) || len > INPUT_MAX || rd_span(in, &p, len))
		return err_set(e, -EPROTO, "console input of %u bytes", len);
	memcpy(c->input, p, len);
	c->head = 0;
	c->len = len;
	return 0;
}

static void console_free(struct dev_virtio *v)
{
	free(v);
}

static const struct dev_virtio_ops console_ops = {
	.poll = dev_virtio_no_poll,
	.work = console_work,
	.event = dev_virtio_no_event,
	.save = console_save,
	.load = console_load,
	.free = console_free,
};

int dev_console_new(const struct dev_console_ops *ops, void *ctx, struct dev_virtio **out,
		    struct err *e)
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, -ENOMEM, "console: %m");
	c->v = (struct dev_virtio){
		.ops = &console_ops,
		.name = "console",
		.what = "virtio-console",
		.type = VIRTIO_ID_CONSOLE,
		.class = PCI_CLASS_CONSOLE,
		.nqueue = 2,
		.config_len = CONFIG_LEN,
		.kick_fd = -1,
	};
	c->ops = ops;
	c->ctx = ctx;
	*out = &c->v;
	return 0;
}
