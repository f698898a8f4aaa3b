/* SPDX-License-Identifier: Apache-2.0 */

/* The PCI bus in a VM: what its devices see of the guest and of KVM. */

#include "vmm/devices.h"
#include "vmm/impl.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

/* With paging off everything is private, so this much has only a private face. */
#define PRIVATE_END 0x100000u

static uint8_t *host_mem(void *ctx, struct gpa at, uint64_t len)
{
	const struct vm *vm = ctx;

	return at.v < PRIVATE_END ? NULL : vmm_memory_at(&vm->mem, at, len);
}

static void host_wrote(void *ctx, struct gpa at, uint64_t len)
{
	struct vm *vm = ctx;

	vmm_pages_wrote(&vm->pages, at, len);
}

static void host_msi(void *ctx, uint64_t address, uint32_t data)
{
	const struct vm *vm = ctx;
	struct kvm_msi msi = { .address_lo = (uint32_t)address,
			       .address_hi = (uint32_t)(address >> 32),
			       .data = data };

	/* 0: the guest has that interrupt blocked; an address that is nobody's is its own affair.
	 */
	if (ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0)
		log_debug("vmm", "KVM_SIGNAL_MSI %#llx: %m", (unsigned long long)address);
}

static void host_doorbell(void *ctx, struct gpa at, int fd, bool on)
{
	const struct vm *vm = ctx;
	struct kvm_ioeventfd bell = { .addr = at.v,
				      .len = sizeof(uint16_t), /* a notification's width */
				      .fd = fd,
				      .flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN };

	if (ioctl(vm->fd, KVM_IOEVENTFD, &bell) < 0)
		log_debug("vmm", "KVM_IOEVENTFD %#llx: %m", (unsigned long long)at.v);
}

static const struct dev_host_ops host_ops = {
	.mem = host_mem,
	.wrote = host_wrote,
	.msi = host_msi,
	.doorbell = host_doorbell,
};

static int devices_console(struct vm *vm, struct err *e)
{
	int r = dev_console_new(&vmm_console_ops, vm, &vm->virtio_console, e);

	if (!r)
		r = dev_bus_add(vm->bus, vm->virtio_console, e);
	if (r < 0)
		vm->virtio_console = NULL;
	return r;
}

static int devices_add(struct vm *vm, struct vm_devices *d, struct err *e)
{
	struct dev_virtio *dev;
	int r = 0;

	for (size_t i = 0; !r && i < d->ndisk; i++) {
		struct dev_disk disk = d->disk[i];

		d->disk[i].fd = -1;
		r = dev_blk_new(&disk, &dev, e);
		if (!r)
			r = dev_bus_add(vm->bus, dev, e);
	}
	for (size_t i = 0; !r && i < d->nnet; i++) {
		r = dev_net_new(d->net[i].mac, (unsigned)i + 1, steal_ptr(&d->net[i].link), &dev,
				e);
		if (!r)
			r = dev_bus_add(vm->bus, dev, e);
	}
	if (!r && d->rng) {
		r = dev_rng_new(&dev, e);
		if (!r)
			r = dev_bus_add(vm->bus, dev, e);
	}
	if (!r && d->console)
		r = devices_console(vm, e);
	return r;
}

static int devices_list(struct vm *vm, struct err *e)
{
	char name[MACHINE_DEVICE_LEN];
	int r = 0;

	for (unsigned i = 0; !r && dev_bus_name(vm->bus, i, name, sizeof(name)); i++)
		r = vmm_machine_device(&vm->machine, name, e);
	return r;
}

int vmm_devices_open(struct vm *vm, struct vm_devices *d, struct err *e)
{
	const struct dev_host host = { .ops = &host_ops, .ctx = vm };
	int r = dev_bus_new(&host, &vm->bus, e);

	if (!r && d)
		r = devices_add(vm, d, e);
	r = r ? r : devices_list(vm, e);
	return r ? r : dev_bus_start(vm->bus, e);
}

/* Devices write to the console and its input goes to one of them, so both rest before either goes.
 */
void vmm_devices_close(struct vm *vm)
{
	if (vm->bus)
		dev_bus_pause(vm->bus);
	vmm_console_close(vm);
	vm->virtio_console = NULL;
	dev_bus_free(vm->bus);
	vm->bus = NULL;
}

void vm_devices_fini(struct vm_devices *d)
{
	for (size_t i = 0; i < d->ndisk; i++)
		if (d->disk[i].fd >= 0)
			close(d->disk[i].fd);
	for (size_t i = 0; i < d->nnet; i++)
		dev_link_free(d->net[i].link);
	d->ndisk = d->nnet = 0;
}
