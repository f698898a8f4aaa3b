/* SPDX-License-Identifier: Apache-2.0 */

/* The registers of modern virtio-pci (virtio 1.2, 4.1.4), and what writing to them does. */

#include "dev/virtio.h"

#include <string.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#define VENDOR_VIRTIO 0x1af4u
#define DEVICE_MODERN 0x1040u /* plus the type */

#define BAR_REGS 0u
#define BAR_MSIX 1u
#define REGS_COMMON 0x0000u
#define REGS_COMMON_LEN 0x38u
#define REGS_ISR 0x1000u
#define REGS_CONFIG 0x2000u
#define REGS_NOTIFY 0x3000u
#define REGS_LEN 0x4000u
#define NOTIFY_STEP 4u

#define WINDOW_BAR 4u /* in the capability for access without the BAR */
#define WINDOW_OFFSET 8u
#define WINDOW_LENGTH 12u
#define WINDOW_DATA 16u
#define WINDOW_END 20u

#define FEATURES_NEEDED (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM)
#define FEATURES_COMMON (FEATURES_NEEDED | 1ull << VIRTIO_RING_F_EVENT_IDX)

uint64_t dev_virtio_features(const struct dev_virtio *v)
{
	return v->features | FEATURES_COMMON;
}

/* --- set-up --------------------------------------------------------------------------------- */

static unsigned cap_add(struct dev_virtio *v, uint8_t type, uint32_t offset, uint32_t len,
			unsigned cap_len)
{
	uint8_t cap[WINDOW_END] = { 0 };
	struct wr w = wr_of(cap + 2, sizeof(cap) - 2);

	wr_u8(&w, (uint8_t)cap_len);
	wr_u8(&w, type);
	wr_u8(&w, BAR_REGS);
	wr_zero(&w, 3);
	wr_le32(&w, offset);
	wr_le32(&w, len);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		wr_le32(&w, NOTIFY_STEP);
	return dev_pci_cap_add(&v->pci, PCI_CAP_ID_VNDR, cap, cap_len);
}

void dev_virtio_pci_init(struct dev_virtio *v)
{
	const struct dev_pci_id id = {
		.vendor = VENDOR_VIRTIO,
		.device = (uint16_t)(DEVICE_MODERN + v->type),
		.subvendor = VENDOR_VIRTIO,
		.subdevice = (uint16_t)(DEVICE_MODERN + v->type),
		.class = v->class,
		.revision = 1,
	};
	struct dev_pci *p = &v->pci;

	dev_pci_init(p, &id);
	dev_pci_bar_add(p, BAR_REGS, PCI_SLOT_BARS(v->slot), REGS_LEN);
	dev_pci_bar_add(p, BAR_MSIX, PCI_SLOT_BARS(v->slot) + REGS_LEN, DEV_PCI_MSIX_LEN);
	dev_pci_msix_add(p, v->nqueue + 1, BAR_MSIX);
	cap_add(v, VIRTIO_PCI_CAP_COMMON_CFG, REGS_COMMON, REGS_COMMON_LEN, 16);
	cap_add(v, VIRTIO_PCI_CAP_NOTIFY_CFG, REGS_NOTIFY, NOTIFY_STEP * v->nqueue, 20);
	cap_add(v, VIRTIO_PCI_CAP_ISR_CFG, REGS_ISR, 1, 16);
	if (v->config_len)
		cap_add(v, VIRTIO_PCI_CAP_DEVICE_CFG, REGS_CONFIG, v->config_len, 16);
	v->window = cap_add(v, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, WINDOW_END);
	memset(p->mask + v->window + WINDOW_BAR, 0xff, 1);
	memset(p->mask + v->window + WINDOW_OFFSET, 0xff, WINDOW_END - WINDOW_OFFSET);
	dev_virtio_reset(v);
}

static void queue_reset(struct dev_queue *q)
{
	*q = (struct dev_queue){ .ring = { .size = DEV_RING_MAX }, .vector = VIRTIO_MSI_NO_VECTOR };
}

void dev_virtio_reset(struct dev_virtio *v)
{
	struct err e = { 0 };

	v->status = v->isr = 0;
	v->accepted = 0;
	v->offered_select = v->accepted_select = 0;
	v->queue_select = 0;
	v->config_vector = VIRTIO_MSI_NO_VECTOR;
	v->pci.pending = 0;
	for (unsigned i = 0; i < v->nqueue; i++)
		queue_reset(&v->queue[i]);
	(void)!v->ops->event(v, DEV_RESET, &e);
}

void dev_virtio_doorbell(struct dev_virtio *v, bool on)
{
	uint32_t at = on ? dev_pci_bar(&v->pci, BAR_REGS) : 0;
	uint32_t old = v->doorbell_at;

	if (at)
		at += REGS_NOTIFY;
	if (at == old)
		return;
	for (unsigned i = 0; old && i < v->nqueue; i++)
		v->host.ops->doorbell(v->host.ctx, gpa(old + i * NOTIFY_STEP), v->kick_fd, false);
	for (unsigned i = 0; at && i < v->nqueue; i++)
		v->host.ops->doorbell(v->host.ctx, gpa(at + i * NOTIFY_STEP), v->kick_fd, true);
	v->doorbell_at = at;
}

/* --- common configuration ------------------------------------------------------------------- */

/* Each field is accessed as a whole; those of 64 bits, by halves. */
static unsigned common_len(uint32_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_STATUS:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return 1;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return 2;
	default:
		return 4;
	}
}

static struct dev_queue *queue_selected(struct dev_virtio *v)
{
	return v->queue_select < v->nqueue ? &v->queue[v->queue_select] : NULL;
}

static uint32_t features_half(uint64_t features, uint32_t select)
{
	return select > 1 ? 0 : (uint32_t)(features >> 32 * select);
}

static uint32_t queue_read(const struct dev_virtio *v, const struct dev_queue *q, uint32_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->ring.size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return q->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->ring.ready;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return v->queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return (uint32_t)q->ring.desc.v;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return (uint32_t)(q->ring.desc.v >> 32);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return (uint32_t)q->ring.driver.v;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return (uint32_t)(q->ring.driver.v >> 32);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return (uint32_t)q->ring.device.v;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return (uint32_t)(q->ring.device.v >> 32);
	default:
		return 0;
	}
}

static uint32_t common_read(struct dev_virtio *v, uint32_t offset)
{
	const struct dev_queue *q = queue_selected(v);

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return v->offered_select;
	case VIRTIO_PCI_COMMON_DF:
		return features_half(dev_virtio_features(v), v->offered_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return v->accepted_select;
	case VIRTIO_PCI_COMMON_GF:
		return features_half(v->accepted, v->accepted_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return v->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return v->nqueue;
	case VIRTIO_PCI_COMMON_STATUS:
		return v->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return v->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return v->queue_select;
	default:
		return q ? queue_read(v, q, offset) : 0;
	}
}

static void half_set(struct gpa *at, bool high, uint32_t x)
{
	at->v = high ? (at->v & 0xffffffff) | (uint64_t)x << 32 : (at->v & ~0xffffffffull) | x;
}

static uint16_t vector_of(const struct dev_virtio *v, uint32_t x)
{
	return x < v->pci.nvector ? (uint16_t)x : VIRTIO_MSI_NO_VECTOR;
}

static void queue_enable(const struct dev_virtio *v, struct dev_queue *q)
{
	q->ring.event_idx = v->accepted & 1ull << VIRTIO_RING_F_EVENT_IDX;
	q->ring.next = q->ring.told = 0;
	q->ring.ready = dev_ring_sane(&q->ring);
}

static void queue_write(struct dev_virtio *v, struct dev_queue *q, uint32_t offset, uint32_t x)
{
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX)
		q->vector = vector_of(v, x);
	if (q->ring.ready)
		return; /* it does not change under the device's feet */
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		q->ring.size = (uint16_t)x;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (x == 1)
			queue_enable(v, q);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		half_set(&q->ring.desc, offset == VIRTIO_PCI_COMMON_Q_DESCHI, x);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		half_set(&q->ring.driver, offset == VIRTIO_PCI_COMMON_Q_AVAILHI, x);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		half_set(&q->ring.device, offset == VIRTIO_PCI_COMMON_Q_USEDHI, x);
		break;
	default:
		break;
	}
}

static void accepted_write(struct dev_virtio *v, uint32_t x)
{
	unsigned shift = 32 * v->accepted_select;

	if (v->accepted_select > 1 || (v->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	v->accepted &= ~(0xffffffffull << shift);
	v->accepted |= (uint64_t)x << shift;
}

/* Bits are only ever added; zero is a reset. */
static void status_write(struct dev_virtio *v, uint8_t x)
{
	uint8_t new = x &DEV_STATUS_KNOWN & ~v->status & ~VIRTIO_CONFIG_S_NEEDS_RESET;

	if (!x) {
		dev_virtio_reset(v);
		return;
	}
	if ((new &VIRTIO_CONFIG_S_FEATURES_OK) &&
	    ((v->accepted & ~dev_virtio_features(v)) || (~v->accepted & FEATURES_NEEDED)))
		new = (uint8_t)(new & ~VIRTIO_CONFIG_S_FEATURES_OK);
	if (!((v->status | new) & VIRTIO_CONFIG_S_FEATURES_OK))
		new = (uint8_t)(new & ~VIRTIO_CONFIG_S_DRIVER_OK);
	v->status |= new;
	if (new &VIRTIO_CONFIG_S_DRIVER_OK)
		dev_virtio_kick(v);
}

static void common_write(struct dev_virtio *v, uint32_t offset, uint32_t x)
{
	struct dev_queue *q = queue_selected(v);

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		v->offered_select = x;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		v->accepted_select = x;
		break;
	case VIRTIO_PCI_COMMON_GF:
		accepted_write(v, x);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		v->config_vector = vector_of(v, x);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		status_write(v, (uint8_t)x);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		v->queue_select = (uint16_t)x;
		break;
	default:
		if (q)
			queue_write(v, q, offset, x);
		break;
	}
}

/* --- the BARs ------------------------------------------------------------------------------- */

static uint64_t bytes_get(const uint8_t *data, unsigned len)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < len; i++)
		v |= (uint64_t)data[i] << 8 * i;
	return v;
}

static void bytes_put(uint8_t *data, unsigned len, uint64_t v)
{
	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(v >> 8 * i);
}

static void common_access(struct dev_virtio *v, uint32_t offset, bool write, uint8_t *data,
			  unsigned len)
{
	if (offset >= REGS_COMMON_LEN || len != common_len(offset))
		return;
	if (write)
		common_write(v, offset, (uint32_t)bytes_get(data, len));
	else
		bytes_put(data, len, common_read(v, offset));
}

static void config_access(const struct dev_virtio *v, uint32_t offset, bool write, uint8_t *data,
			  unsigned len)
{
	if (write)
		return;
	for (unsigned i = 0; i < len; i++)
		data[i] = offset + i < v->config_len ? v->config[offset + i] : 0;
}

static void regs_access(struct dev_virtio *v, uint32_t offset, bool write, uint8_t *data,
			unsigned len)
{
	if (offset >= REGS_NOTIFY) {
		if (write)
			dev_virtio_kick(v);
	} else if (offset >= REGS_CONFIG) {
		config_access(v, offset - REGS_CONFIG, write, data, len);
	} else if (offset >= REGS_ISR) {
		if (write || offset != REGS_ISR)
			return;
		bytes_put(data, len, v->isr);
		v->isr = 0;
	} else {
		common_access(v, offset, write, data, len);
	}
}

static void bar_access(struct dev_virtio *v, unsigned bar, uint32_t offset, bool write,
		       uint8_t *data, unsigned len)
{
	if (bar == BAR_MSIX)
		dev_pci_msix_access(&v->pci, &v->host, offset, write, data, len);
	else
		regs_access(v, offset, write, data, len);
}

bool dev_virtio_mmio(struct dev_virtio *v, struct gpa at, bool write, uint8_t *data, unsigned len)
{
	uint32_t offset;
	unsigned bar;

	if (!dev_pci_find(&v->pci, at, len, &bar, &offset))
		return false;
	bar_access(v, bar, offset, write, data, len);
	return true;
}

/* --- configuration space -------------------------------------------------------------------- */

/* An access through the window, whose registers say to where (4.1.4.9). */
static void window_access(struct dev_virtio *v, bool write)
{
	uint8_t *cap = v->pci.config + v->window;
	uint32_t offset = (uint32_t)bytes_get(cap + WINDOW_OFFSET, 4);
	uint32_t len = (uint32_t)bytes_get(cap + WINDOW_LENGTH, 4);
	unsigned bar = cap[WINDOW_BAR];

	if ((len != 1 && len != 2 && len != 4) || offset % len || bar >= DEV_PCI_BARS ||
	    v->pci.bar_len[bar] < len || offset > v->pci.bar_len[bar] - len)
		return;
	bar_access(v, bar, offset, write, cap + WINDOW_DATA, len);
}

static bool window_touched(const struct dev_virtio *v, unsigned at, unsigned size)
{
	return at < v->window + WINDOW_END && at + size > v->window + WINDOW_DATA;
}

uint32_t dev_virtio_config_read(struct dev_virtio *v, unsigned at, unsigned size)
{
	if (window_touched(v, at, size))
		window_access(v, false);
	return dev_pci_config_read(&v->pci, at, size);
}

void dev_virtio_config_write(struct dev_virtio *v, unsigned at, unsigned size, uint32_t x)
{
	dev_pci_config_write(&v->pci, &v->host, at, size, x);
	if (window_touched(v, at, size))
		window_access(v, true);
	dev_virtio_doorbell(v, true);
}
