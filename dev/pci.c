/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/pci.h"

#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>

#define CAP_FIRST 0x40u
#define MSIX_ENTRY PCI_MSIX_ENTRY_SIZE
#define MSIX_PENDING (DEV_PCI_MSIX_LEN / 2)
#define COMMAND_KEPT (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void dev_pci_init(struct dev_pci *p, const struct dev_pci_id *id)
{
	*p = (struct dev_pci){ .cap_end = CAP_FIRST, .cap_link = PCI_CAPABILITY_LIST };
	put16(p->config + PCI_VENDOR_ID, id->vendor);
	put16(p->config + PCI_DEVICE_ID, id->device);
	p->config[PCI_REVISION_ID] = id->revision;
	put16(p->config + PCI_CLASS_PROG, id->class & 0xffff);
	p->config[PCI_CLASS_PROG + 2] = (uint8_t)(id->class >> 16);
	put16(p->config + PCI_SUBSYSTEM_VENDOR_ID, id->subvendor);
	put16(p->config + PCI_SUBSYSTEM_ID, id->subdevice);
	put16(p->mask + PCI_COMMAND, COMMAND_KEPT);
	p->mask[PCI_CACHE_LINE_SIZE] = 0xff;
	p->mask[PCI_INTERRUPT_LINE] = 0xff;
}

void dev_pci_bar_add(struct dev_pci *p, unsigned bar, uint32_t at, uint32_t len)
{
	p->bar_len[bar] = len;
	put32(p->config + PCI_BASE_ADDRESS_0 + 4 * bar, at);
	put32(p->mask + PCI_BASE_ADDRESS_0 + 4 * bar, ~(len - 1));
}

unsigned dev_pci_cap_add(struct dev_pci *p, uint8_t id, const uint8_t *cap, unsigned len)
{
	unsigned at = p->cap_end;

	memcpy(p->config + at, cap, len);
	p->config[at + PCI_CAP_LIST_ID] = id;
	p->config[at + PCI_CAP_LIST_NEXT] = 0;
	p->config[p->cap_link] = (uint8_t)at;
	p->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	p->cap_link = at + PCI_CAP_LIST_NEXT;
	p->cap_end = (at + len + 3) & ~3u;
	return at;
}

void dev_pci_msix_add(struct dev_pci *p, unsigned n, unsigned bar)
{
	uint8_t cap[PCI_CAP_MSIX_SIZEOF] = { 0 };

	put16(cap + PCI_MSIX_FLAGS, n - 1);
	put32(cap + PCI_MSIX_TABLE, bar);
	put32(cap + PCI_MSIX_PBA, MSIX_PENDING | bar);
	p->msix = dev_pci_cap_add(p, PCI_CAP_ID_MSIX, cap, sizeof(cap));
	put16(p->mask + p->msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	p->nvector = n;
	for (unsigned i = 0; i < n; i++)
		p->vector[i].masked = true;
}

/* --- interrupts ----------------------------------------------------------------------------- */

static unsigned msix_flags(const struct dev_pci *p)
{
	return p->msix ? p->config[p->msix + PCI_MSIX_FLAGS + 1] << 8 : 0;
}

bool dev_pci_msix_on(const struct dev_pci *p)
{
	return msix_flags(p) & PCI_MSIX_FLAGS_ENABLE;
}

/* Send what waited for a mask to go. */
static void msix_flush(struct dev_pci *p, const struct dev_host *h)
{
	if (!dev_pci_msix_on(p) || (msix_flags(p) & PCI_MSIX_FLAGS_MASKALL))
		return;
	for (unsigned i = 0; i < p->nvector; i++) {
		const struct dev_pci_vector *v = &p->vector[i];

		if (!(p->pending & 1u << i) || v->masked)
			continue;
		p->pending &= ~(1u << i);
		h->ops->msi(h->ctx, v->address, v->data);
	}
}

void dev_pci_interrupt(struct dev_pci *p, const struct dev_host *h, uint16_t vector)
{
	if (vector >= p->nvector || !dev_pci_msix_on(p))
		return;
	p->pending |= 1u << vector;
	msix_flush(p, h);
}

static uint32_t msix_read(const struct dev_pci *p, uint32_t offset)
{
	const struct dev_pci_vector *v = &p->vector[offset / MSIX_ENTRY % DEV_PCI_VECTORS];

	if (offset >= MSIX_PENDING)
		return offset == MSIX_PENDING ? p->pending : 0;
	if (offset / MSIX_ENTRY >= p->nvector)
		return 0;
	switch (offset % MSIX_ENTRY) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t)v->address;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t)(v->address >> 32);
	case PCI_MSIX_ENTRY_DATA:
		return v->data;
	default:
		return v->masked;
	}
}

static void msix_write(struct dev_pci *p, uint32_t offset, uint32_t x)
{
	struct dev_pci_vector *v = &p->vector[offset / MSIX_ENTRY % DEV_PCI_VECTORS];

	if (offset / MSIX_ENTRY >= p->nvector)
		return;
	switch (offset % MSIX_ENTRY) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		v->address = (v->address & ~0xffffffffull) | (x & ~3u);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		v->address = (v->address & 0xffffffff) | (uint64_t)x << 32;
		break;
	case PCI_MSIX_ENTRY_DATA:
		v->data = x;
		break;
	default:
		v->masked = x & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
}

void dev_pci_msix_access(struct dev_pci *p, const struct dev_host *h, uint32_t offset, bool write,
			 uint8_t *data, unsigned len)
{
	if (len % 4 || offset % len)
		return;
	for (unsigned i = 0; i < len; i += 4) {
		if (write)
			msix_write(p, offset + i, get32(data + i));
		else
			put32(data + i, msix_read(p, offset + i));
	}
	if (write)
		msix_flush(p, h);
}

/* --- configuration space -------------------------------------------------------------------- */

uint32_t dev_pci_config_read(const struct dev_pci *p, unsigned at, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)p->config[at + i] << 8 * i;
	return v;
}

void dev_pci_config_write(struct dev_pci *p, const struct dev_host *h, unsigned at, unsigned size,
			  uint32_t v)
{
	for (unsigned i = 0; i < size; i++) {
		uint8_t m = p->mask[at + i];

		p->config[at + i] = (uint8_t)((p->config[at + i] & ~m) | (v >> 8 * i & m));
	}
	msix_flush(p, h);
}

uint32_t dev_pci_bar(const struct dev_pci *p, unsigned bar)
{
	if (!(p->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		return 0;
	return get32(p->config + PCI_BASE_ADDRESS_0 + 4 * bar) & ~0xfu;
}

bool dev_pci_find(const struct dev_pci *p, struct gpa at, unsigned len, unsigned *bar,
		  uint32_t *offset)
{
	for (unsigned i = 0; i < DEV_PCI_BARS; i++) {
		uint64_t start = dev_pci_bar(p, i);

		if (!start || at.v < start || at.v + len > start + p->bar_len[i])
			continue;
		*bar = i;
		*offset = (uint32_t)(at.v - start);
		return true;
	}
	return false;
}

/* --- state ---------------------------------------------------------------------------------- */

/* The space, number of vectors u32, pending u32, then each vector: address u64, data u32, masked
 * u32. */
int dev_pci_save(const struct dev_pci *p, struct buf *out, struct err *e)
{
	int r = buf_add(out, p->config, sizeof(p->config), e);

	r = r ? r : buf_add_le32(out, p->nvector, e);
	r = r ? r : buf_add_le32(out, p->pending, e);
	for (unsigned i = 0; !r && i < p->nvector; i++) {
		r = buf_add_le64(out, p->vector[i].address, e);
		r = r ? r : buf_add_le32(out, p->vector[i].data, e);
		r = r ? r : buf_add_le32(out, p->vector[i].masked, e);
	}
	return r;
}

static int vector_load(struct dev_pci_vector *v, struct rd *in, struct err *e)
{
	uint32_t masked = 0;

	rd_le64(in, &v->address);
	rd_le32(in, &v->data);
	if (rd_le32(in, &masked) || masked > 1 || v->address % 4)
		return err_set(e, -EPROTO, "an interrupt vector is malformed");
	v->masked = masked;
	return 0;
}

int dev_pci_load(struct dev_pci *p, struct rd *in, struct err *e)
{
	struct dev_pci new = *p;
	uint32_t n = 0;
	int r = 0;

	rd_bytes(in, new.config, sizeof(new.config));
	rd_le32(in, &n);
	if (rd_le32(in, &new.pending))
		return err_set(e, -EPROTO, "PCI state cut short");
	for (unsigned i = 0; i < DEV_PCI_CONFIG; i++)
		if ((new.config[i] ^ p->config[i]) & ~p->mask[i])
			return err_set(e, -EPROTO, "PCI register %#x is %#x there, %#x here", i,
				       new.config[i], p->config[i]);
	if (n != p->nvector || (new.pending >> n))
		return err_set(e, -EPROTO, "%u interrupt vectors there, %u here", n, p->nvector);
	for (unsigned i = 0; !r && i < n; i++)
		r = vector_load(&new.vector[i], in, e);
	if (!r)
		*p = new;
	return r;
}
