/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/rdwr.h"
#include "dev/pci.h"
#include "dev/virtio.h"

#define BUS_VERSION 1u
#define CONFIG_ENABLE 0x80000000u

/* A host bridge by the virtio people's vendor, so that a probe of mechanism #1 finds one. */
#define BRIDGE_VENDOR 0x1b36u
#define BRIDGE_DEVICE 0x0008u
#define BRIDGE_CLASS 0x060000u

struct dev_bus {
	struct dev_host host;
	struct dev_pci bridge; /* nothing in it can be written */
	unsigned n;
	struct dev_virtio *dev[PCI_SLOTS]; /* owned; slot i + 1; fixed once started */
};

int dev_bus_new(const struct dev_host *host, struct dev_bus **out, struct err *e)
{
	const struct dev_pci_id id = { .vendor = BRIDGE_VENDOR,
				       .device = BRIDGE_DEVICE,
				       .class = BRIDGE_CLASS };
	struct dev_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return err_set(e, -ENOMEM, "PCI bus: %m");
	bus->host = *host;
	dev_pci_init(&bus->bridge, &id);
	*out = bus;
	return 0;
}

int dev_bus_add(struct dev_bus *bus, struct dev_virtio *dev, struct err *e)
{
	int r;

	if (bus->n + 1 >= PCI_SLOTS)
		r = err_set(e, -ENOSPC, "more than %u devices", PCI_SLOTS - 1);
	else
		r = dev_virtio_attach(dev, &bus->host, bus->n + 1, e);
	if (r < 0)
		dev->ops->free(dev);
	else
		bus->dev[bus->n++] = dev;
	return r;
}

int dev_bus_start(struct dev_bus *bus, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < bus->n; i++)
		r = dev_virtio_start(bus->dev[i], e);
	return r;
}

void dev_bus_step(struct dev_bus *bus)
{
	for (unsigned i = 0; i < bus->n; i++)
		dev_virtio_round(bus->dev[i], 0);
}

/* --- registers ------------------------------------------------------------------------------ */

static void bridge_config(struct dev_bus *bus, unsigned at, unsigned size, bool write, uint32_t *v)
{
	if (!write)
		*v = dev_pci_config_read(&bus->bridge, at, size);
}

void dev_bus_config(struct dev_bus *bus, uint32_t address, unsigned at, unsigned size, bool write,
		    uint32_t *v)
{
	unsigned slot = address >> 11 & (PCI_SLOTS - 1), reg = (address & 0xfc) + at;
	struct dev_virtio *dev;

	/* Bus 0, function 0, no extended registers; an access is within its four bytes. */
	if (!(address & CONFIG_ENABLE) || (address & 0x7fff0700) || at + size > 4)
		return;
	if (!slot) {
		bridge_config(bus, reg, size, write, v);
		return;
	}
	if (slot > bus->n)
		return;
	dev = bus->dev[slot - 1];
	pthread_mutex_lock(&dev->lock);
	if (write)
		dev_virtio_config_write(dev, reg, size, *v);
	else
		*v = dev_virtio_config_read(dev, reg, size);
	pthread_mutex_unlock(&dev->lock);
}

bool dev_bus_mmio(struct dev_bus *bus, struct gpa at, bool write, uint8_t *data, unsigned len)
{
	bool found = false;

	if (at.v < PCI_WINDOW || at.v >= (uint64_t)PCI_WINDOW + PCI_WINDOW_LEN)
		return false;
	for (unsigned i = 0; !found && i < bus->n; i++) {
		pthread_mutex_lock(&bus->dev[i]->lock);
		found = dev_virtio_mmio(bus->dev[i], at, write, data, len);
		pthread_mutex_unlock(&bus->dev[i]->lock);
	}
	return found;
}

/* --- run state ------------------------------------------------------------------------------ */

void dev_bus_pause(struct dev_bus *bus)
{
	for (unsigned i = 0; i < bus->n; i++)
		dev_virtio_pause(bus->dev[i]);
}

void dev_bus_resume(struct dev_bus *bus)
{
	for (unsigned i = 0; i < bus->n; i++)
		dev_virtio_resume(bus->dev[i]);
}

int dev_bus_release(struct dev_bus *bus, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < bus->n; i++)
		r = dev_virtio_release(bus->dev[i], e);
	return r;
}

void dev_bus_announce(struct dev_bus *bus)
{
	for (unsigned i = 0; i < bus->n; i++)
		dev_virtio_announce(bus->dev[i]);
}

void dev_bus_free(struct dev_bus *bus)
{
	if (!bus)
		return;
	for (unsigned i = 0; i < bus->n; i++)
		dev_virtio_free(bus->dev[i]);
	free(bus);
}

/* --- state: version u32, devices u32, then for each: type u32, length u32, its record --------- */

static int device_save(struct dev_virtio *dev, struct buf *out, struct err *e)
{
	auto_buf struct buf one = { 0 };
	int r;

	pthread_mutex_lock(&dev->lock);
	r = dev_virtio_save(dev, &one, e);
	pthread_mutex_unlock(&dev->lock);
	r = r ? r : buf_add_le32(out, dev->type, e);
	r = r ? r : buf_add_le32(out, (uint32_t)one.len, e);
	return r ? r : buf_add(out, one.p, one.len, e);
}

int dev_bus_state_save(struct dev_bus *bus, struct buf *out, struct err *e)
{
	int r = buf_add_le32(out, BUS_VERSION, e);

	r = r ? r : buf_add_le32(out, bus->n, e);
	for (unsigned i = 0; !r && i < bus->n; i++)
		r = device_save(bus->dev[i], out, e);
	return r;
}

static int bus_head(const struct dev_bus *bus, struct rd *in, struct err *e)
{
	uint32_t version = 0, n = 0;

	if (rd_le32(in, &version) || version != BUS_VERSION)
		return err_set(e, -EPROTO, "device state of version %u, this side knows %u",
			       version, BUS_VERSION);
	if (rd_le32(in, &n))
		return err_set(e, -EPROTO, "device state: cut short");
	if (n != bus->n)
		return err_set(e, -ENOTSUP, "%u devices there, %u here", n, bus->n);
	return 0;
}

static int device_load(struct dev_virtio *dev, struct rd *in, struct err *e)
{
	uint32_t type = 0, len = 0;
	const uint8_t *p;
	struct rd one;
	int r;

	rd_le32(in, &type);
	if (rd_le32(in, &len) || rd_span(in, &p, len))
		return err_set(e, -EPROTO, "%s: its state is cut short", dev->name);
	if (type != dev->type)
		return err_set(e, -ENOTSUP, "%s: state of a device of type %u", dev->name, type);
	one = rd_of(p, len);
	pthread_mutex_lock(&dev->lock);
	r = dev_virtio_load(dev, &one, e);
	pthread_mutex_unlock(&dev->lock);
	if (!r && !rd_done(&one))
		r = err_set(e, -EPROTO, "%zu bytes left over, or missing", one.len);
	return r < 0 ? err_wrap(e, r, "%s", dev->name) : 0;
}

int dev_bus_state_load(struct dev_bus *bus, const uint8_t *p, size_t len, struct err *e)
{
	struct rd in = rd_of(p, len);
	int r = bus_head(bus, &in, e);

	for (unsigned i = 0; !r && i < bus->n; i++)
		r = device_load(bus->dev[i], &in, e);
	if (!r && !rd_done(&in))
		r = err_set(e, -EPROTO, "device state: %zu bytes left over", in.len);
	return r;
}

bool dev_bus_name(const struct dev_bus *bus, unsigned i, char *name, size_t len)
{
	if (i >= bus->n)
		return false;
	snprintf(name, len, "00:%02x.0 %s", bus->dev[i]->slot, bus->dev[i]->what);
	return true;
}
