/* SPDX-License-Identifier: Apache-2.0 */

/* A PCI function by itself: its state as a hostile source sends it, then accesses of a guest. */

#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "dev/pci.h"

#define ACCESSES 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)data;
	if (address % 4)
		abort();
	++*(unsigned *)ctx;
}

static void pci_again(const struct dev_pci *p)
{
	struct dev_pci other = *p;
	struct buf b = { 0 };
	struct err e = { 0 };
	struct rd in;

	if (dev_pci_save(p, &b, &e))
		abort();
	in = rd_of(b.p, b.len);
	if (dev_pci_load(&other, &in, &e) || !rd_done(&in))
		abort();
	buf_fini(&b);
}

static void pci_access(struct dev_pci *p, const struct dev_host *h, const uint8_t d[4])
{
	unsigned len = 1u << (d[0] & 3), at = d[1] & ~(len - 1);
	uint8_t b[8] = { d[2], d[3], d[2], d[3] };
	uint32_t v = (uint32_t)(d[2] | d[3] << 8) << (d[0] >> 6) * 8, offset;
	unsigned bar;

	if (d[0] & 4)
		dev_pci_msix_access(p, h, (d[1] << 4 | (d[0] >> 4 & 0xc)) & 0xff8u, d[0] & 8, b,
				    len);
	else if (d[0] & 8 && len <= 4)
		dev_pci_config_write(p, h, at, len, v);
	else if (d[0] & 0x10)
		dev_pci_interrupt(p, h, (uint16_t)(d[2] | d[3] << 8));
	else if (dev_pci_find(p, gpa(v), len, &bar, &offset) &&
		 (bar >= DEV_PCI_BARS || offset + len > p->bar_len[bar]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dev_pci_id id = { 0x1af4, 0x1042, 0x1af4, 0x1042, 0x018000, 1 };
	unsigned sent = 0;
	const struct dev_host_ops ops = { .msi = on_msi };
	const struct dev_host host = { &ops, &sent };
	struct rd in = rd_of(data, size);
	struct err e = { 0 };
	struct dev_pci p;

	dev_pci_init(&p, &id);
	dev_pci_bar_add(&p, 0, PCI_SLOT_BARS(1), 0x4000);
	dev_pci_bar_add(&p, 1, PCI_SLOT_BARS(1) + 0x4000, DEV_PCI_MSIX_LEN);
	dev_pci_msix_add(&p, 3, 1);
	if (dev_pci_load(&p, &in, &e))
		in = rd_of(data, size);
	for (unsigned i = 0; i < ACCESSES && in.len >= 4; i++, rd_skip(&in, 4))
		pci_access(&p, &host, in.p);
	if (p.config[PCI_VENDOR_ID] != 0xf4 || p.config[p.msix] != PCI_CAP_ID_MSIX)
		abort();
	pci_again(&p);
	return 0;
}
