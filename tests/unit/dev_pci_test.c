/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev_driver.h"

#include <errno.h>

#include <linux/pci_regs.h>

#define SLOT 1u

static struct util_guest *one(void)
{
	struct dev_virtio *dev;
	struct err e = { 0 };

	assert_int_equal(dev_rng_new(&dev, &e), 0);
	return util_guest_new(&dev, 1);
}

static void bus_has_a_bridge_and_the_devices_and_nothing_else(void **state)
{
	struct util_guest *g = one();

	(void)state;
	assert_int_equal(util_config(g, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(util_config(g, SLOT, PCI_VENDOR_ID, 4), 0x10441af4);
	assert_int_equal(util_config(g, SLOT, PCI_REVISION_ID, 1), 1);
	for (unsigned slot = 2; slot < PCI_SLOTS; slot++)
		assert_int_equal(util_config(g, slot, 0, 4), UINT32_MAX);
	util_guest_free(g);
}

static void other_functions_and_buses_are_empty(void **state)
{
	static const uint32_t addresses[] = { 0x80000900, 0x80010800, 0x00000800, 0x81000800 };
	struct util_guest *g = one();

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		uint32_t v = UINT32_MAX;

		dev_bus_config(g->bus, addresses[i], 0, 4, false, &v);
		assert_int_equal(v, UINT32_MAX);
	}
	util_guest_free(g);
}

static void bar_tells_its_size_and_moves(void **state)
{
	struct util_guest *g = one();
	uint8_t b[4];

	(void)state;
	util_config_set(g, SLOT, PCI_BASE_ADDRESS_0, 4, UINT32_MAX);
	assert_int_equal(util_config(g, SLOT, PCI_BASE_ADDRESS_0, 4), 0xffffc000);
	util_config_set(g, SLOT, PCI_BASE_ADDRESS_1, 4, UINT32_MAX);
	assert_int_equal(util_config(g, SLOT, PCI_BASE_ADDRESS_1, 4), 0xfffff000);
	util_config_set(g, SLOT, PCI_BASE_ADDRESS_0, 4, 0xd8000000);
	util_config_set(g, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(g->bells, 1);
	assert_false(dev_bus_mmio(g->bus, gpa(PCI_SLOT_BARS(SLOT)), false, b, 4));
	assert_true(dev_bus_mmio(g->bus, gpa(0xd8000000), false, b, 4));
	assert_false(dev_bus_mmio(g->bus, gpa(0xd8003ffe), false, b, 4));
	util_config_set(g, SLOT, PCI_COMMAND, 2, 0);
	assert_int_equal(g->bells, 0);
	assert_false(dev_bus_mmio(g->bus, gpa(0xd8000000), false, b, 4));
	util_guest_free(g);
}

static void capabilities_lead_to_the_registers(void **state)
{
	struct util_guest *g = one();
	unsigned at = util_config(g, SLOT, PCI_CAPABILITY_LIST, 1), seen = 0, msix = 0;

	(void)state;
	assert_true(util_config(g, SLOT, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (unsigned n = 0; at; n++) {
		assert_true(n < 16);
		if (util_config(g, SLOT, at, 1) == PCI_CAP_ID_MSIX)
			msix = util_config(g, SLOT, at + PCI_MSIX_FLAGS, 2) + 1;
		else
			seen |= 1u << util_config(g, SLOT, at + 3, 1);
		at = util_config(g, SLOT, at + 1, 1);
	}
	assert_int_equal(msix, 2); /* a queue and the configuration */
	assert_int_equal(seen, 1u << VIRTIO_PCI_CAP_COMMON_CFG | 1u << VIRTIO_PCI_CAP_NOTIFY_CFG |
				       1u << VIRTIO_PCI_CAP_ISR_CFG | 1u << VIRTIO_PCI_CAP_PCI_CFG);
	util_guest_free(g);
}

static unsigned cap_find(struct util_guest *g, unsigned type)
{
	unsigned at = util_config(g, SLOT, PCI_CAPABILITY_LIST, 1);

	while (at && (util_config(g, SLOT, at, 1) != PCI_CAP_ID_VNDR ||
		      util_config(g, SLOT, at + 3, 1) != type))
		at = util_config(g, SLOT, at + 1, 1);
	return at;
}

static void window_reaches_registers_without_a_bar(void **state)
{
	struct util_guest *g = one();
	unsigned cap = cap_find(g, VIRTIO_PCI_CAP_PCI_CFG);

	(void)state;
	util_config_set(g, SLOT, cap + 8, 4, VIRTIO_PCI_COMMON_STATUS);
	util_config_set(g, SLOT, cap + 12, 4, 1);
	util_config_set(g, SLOT, cap + 16, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(util_config(g, SLOT, cap + 16, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	util_config_set(g, SLOT, cap + 8, 4, 0xfffffffc); /* far outside */
	util_config_set(g, SLOT, cap + 12, 4, 4);
	util_config_set(g, SLOT, cap + 16, 4, 1);
	util_config_set(g, SLOT, cap + 4, 1, 7); /* no such BAR */
	util_config_set(g, SLOT, cap + 16, 4, 1);
	util_config_set(g, SLOT, cap + 4, 1, 2); /* one that is not there */
	util_config_set(g, SLOT, cap + 8, 4, VIRTIO_PCI_COMMON_STATUS);
	util_config_set(g, SLOT, cap + 12, 4, 1);
	util_config_set(g, SLOT, cap + 16, 1, 0); /* would be a reset */
	util_config_set(g, SLOT, cap + 12, 4, 0);
	util_config_set(g, SLOT, cap + 16, 4, 1);
	util_pci_on(g, SLOT);
	assert_int_equal(util_status(g, SLOT), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	util_guest_free(g);
}

static void ask(struct util_guest *g)
{
	util_desc(g, 0, 0, UTIL_DATA, 64, D_WRITE, 0);
	util_offer(g, 0, 0);
	util_step(g, SLOT);
}

static void interrupt_waits_for_its_mask(void **state)
{
	struct util_guest *g = one();

	(void)state;
	util_drive(g, SLOT, 1, 0);
	ask(g);
	assert_int_equal(g->nmsi, 1);
	assert_int_equal(g->msi[0].address, 0xfee00000);
	assert_int_equal(g->msi[0].data, 0x41);
	util_write(g, SLOT, UTIL_MSIX + 16 + 12, 4, 1);
	ask(g);
	assert_int_equal(g->nmsi, 1);
	assert_int_equal(util_read(g, SLOT, UTIL_MSIX + 0x800, 4), 1u << 1);
	util_write(g, SLOT, UTIL_MSIX + 16 + 12, 4, 0);
	assert_int_equal(g->nmsi, 2);
	assert_int_equal(util_read(g, SLOT, UTIL_MSIX + 0x800, 4), 0);
	util_config_set(g, SLOT, 0x42, 2, 0xc000); /* the whole function's mask */
	ask(g);
	assert_int_equal(g->nmsi, 2);
	util_config_set(g, SLOT, 0x42, 2, 0x8000);
	assert_int_equal(g->nmsi, 3);
	util_guest_free(g);
}

static void pending_interrupt_moves(void **state)
{
	struct util_guest *g = one(), *to;
	struct dev_virtio *dev;
	struct err e = { 0 };

	(void)state;
	util_drive(g, SLOT, 1, 0);
	util_write(g, SLOT, UTIL_MSIX + 16 + 12, 4, 1);
	ask(g);
	assert_int_equal(dev_rng_new(&dev, &e), 0);
	to = util_move(g, &dev, 1);
	assert_int_equal(to->nmsi, 0);
	util_write(to, SLOT, UTIL_MSIX + 16 + 12, 4, 0);
	assert_int_equal(to->nmsi, 1);
	assert_int_equal(to->msi[0].data, 0x41);
	util_guest_free(g);
	util_guest_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bus_has_a_bridge_and_the_devices_and_nothing_else),
		cmocka_unit_test(other_functions_and_buses_are_empty),
		cmocka_unit_test(bar_tells_its_size_and_moves),
		cmocka_unit_test(capabilities_lead_to_the_registers),
		cmocka_unit_test(window_reaches_registers_without_a_bar),
		cmocka_unit_test(interrupt_waits_for_its_mask),
		cmocka_unit_test(pending_interrupt_moves),
	};

	return cmocka_run_group_tests_name("dev_pci", tests, NULL, NULL);
}
