/* SPDX-License-Identifier: Apache-2.0 */

/* A device's life: its thread, its requests, how it is paused. */

#include "dev/virtio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "base/log.h"

#define KICK 0u               /* in the poll set */
#define ACQUIRE_RETRY_MS 100  /* until the other host lets go of a disk */
#define ANNOUNCE_TIMES 5u     /* switches may lose one, and learn late */
#define ANNOUNCE_EVERY_MS 100 /* twice as long after each */
#define BREAKS_LOGGED 3u      /* a guest does not fill the log */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* --- requests ------------------------------------------------------------------------------- */

bool dev_virtio_on(const struct dev_virtio *v)
{
	return !atomic_load(&v->paused) && (v->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

int dev_virtio_next(struct dev_virtio *v, unsigned queue, struct dev_chain *out, struct err *e)
{
	const struct dev_ring *ring = &v->queue[queue].ring;
	int r;

	if (!dev_virtio_on(v))
		return 0;
	r = dev_ring_pop(ring, &v->host, out, e);
	if (r)
		return r;
	dev_ring_arm(ring, &v->host);
	return dev_ring_pop(ring, &v->host, out, e);
}

int dev_virtio_done(struct dev_virtio *v, unsigned queue, const struct dev_chain *c,
		    uint32_t written, struct err *e)
{
	return dev_ring_push(&v->queue[queue].ring, &v->host, c, written, e);
}

void dev_virtio_tell(struct dev_virtio *v, unsigned queue)
{
	struct dev_queue *q = &v->queue[queue];

	if (!dev_ring_interrupt(&q->ring, &v->host))
		return;
	v->isr |= 1;
	dev_pci_interrupt(&v->pci, &v->host, q->vector);
}

static void virtio_break(struct dev_virtio *v, const struct err *e)
{
	if (v->told++ < BREAKS_LOGGED)
		log_warn("dev", "%s: the guest's driver is broken: %s", v->name, e->msg);
	v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	v->isr |= 2;
	dev_pci_interrupt(&v->pci, &v->host, v->config_vector);
}

/* --- a round -------------------------------------------------------------------------------- */

int dev_poll_add(struct dev_poll *p, int fd, short events)
{
	if (p->n == p->cap) {
		unsigned cap = p->cap ? 2 * p->cap : 16;
		struct pollfd *more = realloc(p->fd, cap * sizeof(*more));

		if (!more)
			return -1;
		p->fd = more;
		p->cap = cap;
	}
	p->fd[p->n] = (struct pollfd){ .fd = fd, .events = events };
	return (int)p->n++;
}

short dev_poll_ready(const struct dev_poll *p, int index)
{
	return index >= 0 && (unsigned)index < p->n ? p->fd[index].revents : 0;
}

void dev_poll_within(struct dev_poll *p, int ms)
{
	if (p->timeout_ms < 0 || ms < p->timeout_ms)
		p->timeout_ms = ms;
}

void dev_virtio_kick(struct dev_virtio *v)
{
	uint64_t one = 1;

	(void)!write(v->kick_fd, &one, sizeof(one)); /* full: it is about to look anyway */
}

/* May it work at all on this host? Asked again until it may, whether the guest uses it or not. */
static bool virtio_acquire(struct dev_virtio *v, bool quiet)
{
	struct err e = { 0 };

	if (v->held || atomic_load(&v->paused))
		return v->held;
	v->held = !v->ops->event(v, DEV_ACQUIRE, &e);
	if (!v->held && !quiet)
		log_warn("dev", "%s: waits: %s", v->name, e.msg);
	return v->held;
}

/* A network that was told once may not have heard. */
static void virtio_announce(struct dev_virtio *v)
{
	struct err e = { 0 };
	int64_t now = now_ms();

	if (!v->announce || atomic_load(&v->paused) || now < v->announce_ms)
		return;
	v->announce_ms = now + (ANNOUNCE_EVERY_MS << (ANNOUNCE_TIMES - v->announce));
	v->announce--;
	if (v->ops->event(v, DEV_ANNOUNCE, &e) < 0)
		log_debug("dev", "%s: announcement: %s", v->name, e.msg);
}

static void virtio_prepare(struct dev_virtio *v, bool waiting)
{
	int64_t left;

	v->poll.n = 0;
	v->poll.timeout_ms = waiting ? ACQUIRE_RETRY_MS : -1;
	(void)dev_poll_add(&v->poll, v->kick_fd, POLLIN);
	pthread_mutex_lock(&v->lock);
	if (v->held && dev_virtio_on(v))
		v->ops->poll(v, &v->poll);
	left = v->announce_ms - now_ms();
	if (v->announce && !atomic_load(&v->paused))
		dev_poll_within(&v->poll, left > 0 ? (int)left : 0);
	pthread_mutex_unlock(&v->lock);
}

/* 1: come back at once; 2: what it needs is held elsewhere. */
static int virtio_work(struct dev_virtio *v, bool waited)
{
	struct err e = { 0 };
	int r = 0;

	pthread_mutex_lock(&v->lock);
	virtio_announce(v);
	if (!virtio_acquire(v, waited) && !atomic_load(&v->paused)) {
		r = 2;
	} else if (v->held && dev_virtio_on(v)) {
		r = v->ops->work(v, &v->poll, &e);
		for (unsigned i = 0; i < v->nqueue; i++)
			dev_virtio_tell(v, i);
		if (r < 0)
			virtio_break(v, &e);
	}
	pthread_mutex_unlock(&v->lock);
	return r < 0 ? 0 : r;
}

void dev_virtio_round(struct dev_virtio *v, int timeout_ms)
{
	static const struct pollfd none;
	uint64_t n;

	virtio_prepare(v, false);
	if (timeout_ms >= 0)
		dev_poll_within(&v->poll, timeout_ms);
	if (poll(v->poll.fd, v->poll.n, v->poll.timeout_ms) < 0)
		v->poll.fd[KICK] = none;
	(void)!read(v->kick_fd, &n, sizeof(n));
	while (virtio_work(v, true) == 1)
		v->poll.n = 0; /* what was polled has been seen */
}

static void *virtio_main(void *arg)
{
	struct dev_virtio *v = arg;
	int more = 1;

	pthread_setname_np(pthread_self(), v->name);
	while (!atomic_load(&v->quit)) {
		uint64_t n;

		virtio_prepare(v, more == 2);
		if (more == 1)
			v->poll.timeout_ms = 0;
		if (!v->poll.n || poll(v->poll.fd, v->poll.n, v->poll.timeout_ms) < 0) {
			v->poll.n = 0;
			continue;
		}
		if (v->poll.fd[KICK].revents)
			(void)!read(v->kick_fd, &n, sizeof(n));
		more = virtio_work(v, more == 2);
	}
	return NULL;
}

/* --- defaults ------------------------------------------------------------------------------- */

void dev_virtio_no_poll(struct dev_virtio *v, struct dev_poll *p)
{
	(void)v;
	(void)p;
}

int dev_virtio_no_event(struct dev_virtio *v, enum dev_event what, struct err *e)
{
	(void)v;
	(void)what;
	(void)e;
	return 0;
}

int dev_virtio_no_save(struct dev_virtio *v, struct buf *out, struct err *e)
{
	(void)v;
	(void)out;
	(void)e;
	return 0;
}

int dev_virtio_no_load(struct dev_virtio *v, struct rd *in, struct err *e)
{
	(void)v;
	(void)in;
	(void)e;
	return 0;
}

/* --- for the bus ---------------------------------------------------------------------------- */

int dev_virtio_attach(struct dev_virtio *v, const struct dev_host *h, unsigned slot, struct err *e)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return err_set(e, -errno, "%s: eventfd: %m", v->name);
	v->kick_fd = fd;
	v->host = *h;
	v->slot = slot;
	atomic_store(&v->paused, true);
	pthread_mutex_init(&v->lock, NULL);
	dev_virtio_pci_init(v);
	return 0;
}

int dev_virtio_start(struct dev_virtio *v, struct err *e)
{
	int r = pthread_create(&v->thread, NULL, virtio_main, v);

	if (r)
		return err_set(e, -r, "%s: thread: %s", v->name, strerrordesc_np(r));
	v->has_thread = true;
	return 0;
}

/* The flag ends the work after the request at hand; with the lock had, it has ended. */
void dev_virtio_pause(struct dev_virtio *v)
{
	atomic_store(&v->paused, true);
	pthread_mutex_lock(&v->lock);
	pthread_mutex_unlock(&v->lock);
}

void dev_virtio_resume(struct dev_virtio *v)
{
	atomic_store(&v->paused, false);
	dev_virtio_kick(v);
}

int dev_virtio_release(struct dev_virtio *v, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&v->lock);
	if (v->held)
		r = v->ops->event(v, DEV_RELEASE, e);
	v->held = false;
	pthread_mutex_unlock(&v->lock);
	return r < 0 ? err_wrap(e, r, "%s", v->name) : 0;
}

void dev_virtio_announce(struct dev_virtio *v)
{
	pthread_mutex_lock(&v->lock);
	v->announce = ANNOUNCE_TIMES;
	v->announce_ms = now_ms();
	pthread_mutex_unlock(&v->lock);
	dev_virtio_kick(v);
}

void dev_virtio_free(struct dev_virtio *v)
{
	if (v->has_thread) {
		atomic_store(&v->quit, true);
		dev_virtio_kick(v);
		pthread_join(v->thread, NULL);
	}
	dev_virtio_doorbell(v, false);
	close(v->kick_fd);
	free(v->poll.fd);
	pthread_mutex_destroy(&v->lock);
	v->ops->free(v);
}
