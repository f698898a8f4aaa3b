/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/ring.h"

#include <errno.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "base/rdwr.h"

#define DESC_LEN 16u
#define DRIVER_HEAD 4u /* flags, idx; then a u16 for each entry and used_event */
#define DEVICE_HEAD 4u /* flags, idx; then { id, len } u32 for each entry and avail_event */

static uint64_t driver_len(const struct dev_ring *r)
{
	return DRIVER_HEAD + 2ull * r->size + 2;
}

static uint64_t device_len(const struct dev_ring *r)
{
	return DEVICE_HEAD + 8ull * r->size + 2;
}

/*
 * One fetch, which the compiler may not repeat; p is aligned, dev_ring_sane() saw to that. Guest
 * and device each write an index, then read the other's: in one order for both, so that one of the
 * two sees the other.
 */
static uint16_t fetch16(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_SEQ_CST);
}

static void store16(uint8_t *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)(void *)p, v, __ATOMIC_SEQ_CST);
}

bool dev_ring_sane(const struct dev_ring *r)
{
	return r->size && r->size <= DEV_RING_MAX && !(r->size & (r->size - 1)) &&
	       !(r->desc.v % 16) && !(r->driver.v % 2) && !(r->device.v % 4);
}

static int chain_add(struct dev_chain *c, const struct dev_host *h, uint64_t at, uint32_t len,
		     bool write, struct err *e)
{
	uint8_t *p;

	if (!write && c->n_in)
		return err_set(e, -EPROTO, "a part to read behind one to write");
	if (!len)
		return 0;
	p = h->ops->mem(h->ctx, gpa(at), len);
	if (!p)
		return err_set(e, -EPROTO, "%u bytes at %#llx, which is no shared memory", len,
			       (unsigned long long)at);
	c->piece[c->n_out + c->n_in] = (struct dev_piece){ p, len, gpa(at) };
	if (write)
		c->n_in++;
	else
		c->n_out++;
	return 0;
}

static int chain_walk(const struct dev_ring *r, const struct dev_host *h, struct dev_chain *c,
		      struct err *e)
{
	const uint8_t *table = h->ops->mem(h->ctx, r->desc, (uint64_t)DESC_LEN * r->size);
	uint16_t i = c->head, flags = VRING_DESC_F_NEXT;

	if (!table)
		return err_set(e, -EPROTO, "descriptors at %#llx, which is no shared memory",
			       (unsigned long long)r->desc.v);
	for (unsigned n = 0; flags & VRING_DESC_F_NEXT; n++) {
		uint8_t copy[DESC_LEN];
		struct rd in = rd_of(copy, sizeof(copy));
		uint64_t at = 0;
		uint32_t len = 0;
		int k;

		if (n == r->size)
			return err_set(e, -EPROTO, "a chain without end");
		if (i >= r->size)
			return err_set(e, -EPROTO, "descriptor %u of %u", i, r->size);
		memcpy(copy, table + (size_t)i * DESC_LEN, DESC_LEN);
		__asm__ volatile("" ::: "memory"); /* the copy is what counts from here on */
		rd_le64(&in, &at);
		rd_le32(&in, &len);
		rd_le16(&in, &flags);
		rd_le16(&in, &i);
		if (flags & VRING_DESC_F_INDIRECT)
			return err_set(e, -EPROTO, "an indirect descriptor, which was not offered");
		k = chain_add(c, h, at, len, flags & VRING_DESC_F_WRITE, e);
		if (k < 0)
			return k;
	}
	return 0;
}

int dev_ring_pop(const struct dev_ring *r, const struct dev_host *h, struct dev_chain *out,
		 struct err *e)
{
	const uint8_t *driver;
	uint16_t waiting;
	int k;

	if (!r->ready)
		return 0;
	driver = h->ops->mem(h->ctx, r->driver, driver_len(r));
	if (!driver)
		return err_set(e, -EPROTO, "driver's ring at %#llx, which is no shared memory",
			       (unsigned long long)r->driver.v);
	waiting = (uint16_t)(fetch16(driver + 2) - r->next);
	if (waiting > r->size)
		return err_set(e, -EPROTO, "%u requests in a ring of %u", waiting, r->size);
	if (!waiting)
		return 0;
	out->n_out = out->n_in = 0;
	out->head = fetch16(driver + DRIVER_HEAD + 2 * (size_t)(r->next & (r->size - 1)));
	k = chain_walk(r, h, out, e);
	return k < 0 ? k : 1;
}

int dev_ring_push(struct dev_ring *r, const struct dev_host *h, const struct dev_chain *c,
		  uint32_t written, struct err *e)
{
	uint8_t *device = h->ops->mem(h->ctx, r->device, device_len(r));
	struct wr w;

	if (!device)
		return err_set(e, -EPROTO, "device's ring at %#llx, which is no shared memory",
			       (unsigned long long)r->device.v);
	w = wr_of(device + DEVICE_HEAD + 8 * (size_t)(r->next & (r->size - 1)), 8);
	wr_le32(&w, c->head);
	wr_le32(&w, written);
	r->next++;
	store16(device + 2, r->next);
	h->ops->wrote(h->ctx, r->device, device_len(r));
	return 0;
}

void dev_ring_arm(const struct dev_ring *r, const struct dev_host *h)
{
	uint8_t *device;

	if (!r->ready || !r->event_idx)
		return; /* without it the doorbell is always on */
	device = h->ops->mem(h->ctx, r->device, device_len(r));
	if (!device)
		return; /* the next push says so */
	store16(device + DEVICE_HEAD + 8 * (size_t)r->size, r->next);
	h->ops->wrote(h->ctx, r->device, device_len(r));
}

bool dev_ring_interrupt(struct dev_ring *r, const struct dev_host *h)
{
	const uint8_t *driver;
	uint16_t told = r->told;

	if (!r->ready || told == r->next)
		return false;
	driver = h->ops->mem(h->ctx, r->driver, driver_len(r));
	if (!driver)
		return false;
	r->told = r->next;
	if (!r->event_idx)
		return !(fetch16(driver) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(fetch16(driver + DRIVER_HEAD + 2 * (size_t)r->size), r->next, told);
}

/* --- the parts of a request ----------------------------------------------------------------- */

static uint64_t pieces_len(const struct dev_piece *p, unsigned n)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += p[i].len;
	return len;
}

uint64_t dev_chain_out(const struct dev_chain *c)
{
	return pieces_len(c->piece, c->n_out);
}

uint64_t dev_chain_in(const struct dev_chain *c)
{
	return pieces_len(c->piece + c->n_out, c->n_in);
}

static unsigned pieces_iov(const struct dev_piece *p, unsigned n, uint64_t at, uint64_t len,
			   struct iovec *v, unsigned max, size_t *bytes)
{
	unsigned k = 0;

	*bytes = 0;
	for (unsigned i = 0; i < n && len && k < max; i++) {
		uint64_t part;

		if (at >= p[i].len) {
			at -= p[i].len;
			continue;
		}
		part = p[i].len - at < len ? p[i].len - at : len;
		v[k++] = (struct iovec){ p[i].p + at, (size_t)part };
		*bytes += (size_t)part;
		len -= part;
		at = 0;
	}
	return k;
}

unsigned dev_chain_out_iov(const struct dev_chain *c, uint64_t at, uint64_t len, struct iovec *v,
			   unsigned max, size_t *bytes)
{
	return pieces_iov(c->piece, c->n_out, at, len, v, max, bytes);
}

unsigned dev_chain_in_iov(const struct dev_chain *c, uint64_t at, uint64_t len, struct iovec *v,
			  unsigned max, size_t *bytes)
{
	return pieces_iov(c->piece + c->n_out, c->n_in, at, len, v, max, bytes);
}

size_t dev_chain_get(const struct dev_chain *c, uint64_t at, void *to, size_t len)
{
	struct iovec v[DEV_RING_MAX];
	uint8_t *p = to;
	size_t bytes;
	unsigned n = dev_chain_out_iov(c, at, len, v, DEV_RING_MAX, &bytes);

	for (unsigned i = 0; i < n; p += v[i].iov_len, i++)
		memcpy(p, v[i].iov_base, v[i].iov_len);
	return bytes;
}

size_t dev_chain_put(const struct dev_chain *c, const struct dev_host *h, uint64_t at,
		     const void *from, size_t len)
{
	struct iovec v[DEV_RING_MAX];
	const uint8_t *p = from;
	size_t bytes;
	unsigned n = dev_chain_in_iov(c, at, len, v, DEV_RING_MAX, &bytes);

	for (unsigned i = 0; i < n; p += v[i].iov_len, i++)
		memcpy(v[i].iov_base, p, v[i].iov_len);
	dev_chain_wrote(c, h, at, bytes);
	return bytes;
}

void dev_chain_wrote(const struct dev_chain *c, const struct dev_host *h, uint64_t at, uint64_t len)
{
	const struct dev_piece *p = c->piece + c->n_out;

	for (unsigned i = 0; i < c->n_in && len; i++) {
		uint64_t part;

		if (at >= p[i].len) {
			at -= p[i].len;
			continue;
		}
		part = p[i].len - at < len ? p[i].len - at : len;
		h->ops->wrote(h->ctx, gpa(p[i].at.v + at), part);
		len -= part;
		at = 0;
	}
}
