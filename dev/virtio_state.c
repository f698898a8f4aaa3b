/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A device's record: version u32, its PCI function, then
 *
 *	status u8, isr u8, generation u8, 0 u8, config vector u16, queue select u16,
 *	feature selects u32 u32, features accepted u64,
 *	configuration: length u32, bytes,
 *	queues: number u32, and for each: size u16, ready u16, vector u16, next u16,
 *		descriptors u64, driver's ring u64, device's ring u64
 *
 * and what its kind adds. Nothing is in flight when it is saved: one index says how far a queue
 * has come.
 */

#include "dev/virtio.h"

#include <errno.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#define VIRTIO_STATE_VERSION 1u
/* A copy of what a record replaces: all of it or nothing. */
struct virtio_record {
	struct dev_pci pci;
	uint8_t status, isr, generation, zero;
	uint16_t config_vector, queue_select;
	uint32_t offered_select, accepted_select;
	uint64_t accepted;
	uint8_t config[DEV_VIRTIO_CONFIG];
	struct dev_queue queue[DEV_VIRTIO_QUEUES];
};

static int queue_save(const struct dev_queue *q, struct buf *out, struct err *e)
{
	uint8_t bytes[32];
	struct wr w = wr_of(bytes, sizeof(bytes));

	wr_le16(&w, q->ring.size);
	wr_le16(&w, q->ring.ready);
	wr_le16(&w, q->vector);
	wr_le16(&w, q->ring.next);
	wr_le64(&w, q->ring.desc.v);
	wr_le64(&w, q->ring.driver.v);
	wr_le64(&w, q->ring.device.v);
	return buf_add(out, bytes, w.len, e);
}

static int common_save(const struct dev_virtio *v, struct buf *out, struct err *e)
{
	uint8_t bytes[28];
	struct wr w = wr_of(bytes, sizeof(bytes));

	wr_u8(&w, v->status);
	wr_u8(&w, v->isr);
	wr_u8(&w, v->generation);
	wr_u8(&w, 0);
	wr_le16(&w, v->config_vector);
	wr_le16(&w, v->queue_select);
	wr_le32(&w, v->offered_select);
	wr_le32(&w, v->accepted_select);
	wr_le64(&w, v->accepted);
	wr_le32(&w, v->config_len);
	return buf_add(out, bytes, w.len, e);
}

int dev_virtio_save(struct dev_virtio *v, struct buf *out, struct err *e)
{
	int r = buf_add_le32(out, VIRTIO_STATE_VERSION, e);

	r = r ? r : dev_pci_save(&v->pci, out, e);
	r = r ? r : common_save(v, out, e);
	r = r ? r : buf_add(out, v->config, v->config_len, e);
	r = r ? r : buf_add_le32(out, v->nqueue, e);
	for (unsigned i = 0; !r && i < v->nqueue; i++)
		r = queue_save(&v->queue[i], out, e);
	return r ? r : v->ops->save(v, out, e);
}

static int queue_load(const struct dev_virtio *v, struct dev_queue *q, uint64_t accepted,
		      struct rd *in, struct err *e)
{
	uint16_t ready = 0;

	*q = (struct dev_queue){ .ring = { 0 } };
	rd_le16(in, &q->ring.size);
	rd_le16(in, &ready);
	rd_le16(in, &q->vector);
	rd_le16(in, &q->ring.next);
	rd_le64(in, &q->ring.desc.v);
	rd_le64(in, &q->ring.driver.v);
	if (rd_le64(in, &q->ring.device.v))
		return err_set(e, -EPROTO, "a queue is cut short");
	if (ready > 1 || (ready && !dev_ring_sane(&q->ring)) ||
	    (q->vector >= v->pci.nvector && q->vector != VIRTIO_MSI_NO_VECTOR))
		return err_set(e, -EPROTO, "a queue is malformed");
	q->ring.ready = ready;
	q->ring.event_idx = accepted & 1ull << VIRTIO_RING_F_EVENT_IDX;
	q->ring.told = q->ring.next;
	return 0;
}

static int common_check(const struct dev_virtio *v, const struct virtio_record *s, struct err *e)
{
	uint8_t progress = s->status & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);

	if ((s->status & ~DEV_STATUS_KNOWN) || progress == VIRTIO_CONFIG_S_DRIVER_OK || s->zero ||
	    (s->isr & ~3u) ||
	    (s->config_vector >= v->pci.nvector && s->config_vector != VIRTIO_MSI_NO_VECTOR))
		return err_set(e, -EPROTO, "device registers are malformed");
	if (progress && (s->accepted & ~dev_virtio_features(v)))
		return err_set(e, -ENOTSUP, "features %#llx are in use there, %#llx offered here",
			       (unsigned long long)s->accepted,
			       (unsigned long long)dev_virtio_features(v));
	for (unsigned i = v->config_own; i < v->config_len; i++)
		if (s->config[i] != v->config[i])
			return err_set(e, -ENOTSUP, "configuration byte %u is %#x there, %#x here",
				       i, s->config[i], v->config[i]);
	return 0;
}

static int common_load(const struct dev_virtio *v, struct virtio_record *s, struct rd *in,
		       struct err *e)
{
	uint32_t len = 0, n = 0;
	int r;

	rd_u8(in, &s->status);
	rd_u8(in, &s->isr);
	rd_u8(in, &s->generation);
	rd_u8(in, &s->zero);
	rd_le16(in, &s->config_vector);
	rd_le16(in, &s->queue_select);
	rd_le32(in, &s->offered_select);
	rd_le32(in, &s->accepted_select);
	rd_le64(in, &s->accepted);
	if (rd_le32(in, &len) || len != v->config_len)
		return err_set(e, -EPROTO, "configuration of %u bytes there, %u here", len,
			       v->config_len);
	rd_bytes(in, s->config, len);
	if (rd_le32(in, &n) || n != v->nqueue)
		return err_set(e, -EPROTO, "%u queues there, %u here", n, v->nqueue);
	r = common_check(v, s, e);
	for (unsigned i = 0; !r && i < n; i++)
		r = queue_load(v, &s->queue[i], s->accepted, in, e);
	return r;
}

int dev_virtio_load(struct dev_virtio *v, struct rd *in, struct err *e)
{
	struct virtio_record s = { .pci = v->pci };
	uint32_t version = 0;
	int r;

	if (rd_le32(in, &version) || version != VIRTIO_STATE_VERSION)
		return err_set(e, -EPROTO, "state of version %u, this side knows %u", version,
			       VIRTIO_STATE_VERSION);
	r = dev_pci_load(&s.pci, in, e);
	r = r ? r : common_load(v, &s, in, e);
	r = r ? r : v->ops->load(v, in, e);
	if (r)
		return r;
	v->pci = s.pci;
	v->status = s.status;
	v->isr = s.isr;
	v->generation = s.generation;
	v->config_vector = s.config_vector;
	v->queue_select = s.queue_select;
	v->offered_select = s.offered_select;
	v->accepted_select = s.accepted_select;
	v->accepted = s.accepted;
	memcpy(v->config, s.config, v->config_own);
	memcpy(v->queue, s.queue, sizeof(v->queue));
	dev_virtio_doorbell(v, true);
	return 0;
}
