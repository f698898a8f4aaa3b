/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The tables a Linux without MP-table support needs to find its other processors: RSDP, XSDT,
 * hardware-reduced FADT, DSDT and the MADT (ACPI 6.4, chapters 5 and 20). One page.
 * Hardware-reduced means that nothing of a PC is taken for granted, so the DSDT has to name the
 * serial port and the PCI bus.
 */

#include "pc/acpi.h"

#include <string.h>

#include "abi/pci.h"
#include "base/rdwr.h"
#include "pc/handover.h"

#define RSDP_AT 0x000u
#define RSDP_LEN 36u
#define RSDP_V1_LEN 20u
#define DSDT_AT 0x040u
#define FADT_AT 0x140u
#define FADT_LEN 276u
#define XSDT_AT 0x260u
#define XSDT_LEN 52u
#define MADT_AT 0x2a0u

#define FADT_HW_REDUCED (1u << 20)
#define FADT_RESET_REG (1u << 10)
#define FADT_WBINVD 1u
#define LAPIC_BASE 0xfee00000u
#define IOAPIC_BASE 0xfec00000u

/* Scope (\_SB) { Device (COM1) { _HID PNP0501, _UID 0, _CRS { IO 0x3f8-0x3ff, interrupt 4, edge,
 * active high } } Device (PCI0) { _HID PNP0A03, _UID 0, _CRS { bus 0, IO 0xcf8-0xcff, the window
 * for memory } } } Name (_S5, Package { 5, 0, 0, 0 }) */
static const uint8_t dsdt_aml[] = {
	0x10, 0x4f, 0x08, 0x5c, '_',  0x53, 0x42, '_',                      /* Scope (\_SB_) */
	0x5b, 0x82, 0x31, 'C',  'O',  'M',  '1',                            /* Device */
	0x08, '_',  'H',  'I',  'D',  0x0c, 0x41, 0xd0, 0x05, 0x01,         /* EISA id */
	0x08, '_',  'U',  'I',  'D',  0x00,                                 /* Zero */
	0x08, '_',  'C',  'R',  'S',  0x11, 0x16, 0x0a, 0x13,               /* Buffer (19) */
	0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08,                     /* IO, 16 bits */
	0x89, 0x06, 0x00, 0x03, 0x01, 0x04, 0x00, 0x00, 0x00,               /* Interrupt */
	0x79, 0x00,                                                         /* end tag */
	0x5b, 0x82, 0x43, 0x05, 'P',  'C',  'I',  '0',                      /* Device */
	0x08, '_',  'H',  'I',  'D',  0x0c, 0x41, 0xd0, 0x0a, 0x03,         /* EISA id */
	0x08, '_',  'U',  'I',  'D',  0x00,                                 /* Zero */
	0x08, '_',  'C',  'R',  'S',  0x11, 0x37, 0x0a, 0x34,               /* Buffer (52) */
	0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0,    0,    0,    0,            /* bus numbers ... */
	0,    0,    0,    0,    1,    0,                                    /* ... 0 to 0 */
	0x47, 0x01, 0xf8, 0x0c, 0xf8, 0x0c, 0x01, 0x08,                     /* IO, 16 bits */
	0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, 0,    0,    0,    0,            /* memory ... */
	0,    0,    0,    0xd0, 0xff, 0xff, 0xff, 0xdf,                     /* ... from, to */
	0,    0,    0,    0,    0,    0,    0,    0x10,                     /* offset, length */
	0x79, 0x00,                                                         /* end tag */
	0x08, '_',  'S',  '5',  '_',  0x12, 0x07, 0x04, 0x0a, 0x05, 0, 0, 0 /* Package */
};
_Static_assert(PCI_WINDOW == 0xd0000000 && PCI_WINDOW_LEN == 0x10000000, "as in the table");
#define DSDT_LEN (36u + (uint32_t)sizeof(dsdt_aml))

static void sum_set(uint8_t *t, size_t len, size_t at)
{
	uint8_t sum = 0;

	t[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + t[i]);
	t[at] = (uint8_t)-sum;
}

static void head_put(struct wr *w, const char sig[4], uint32_t len, uint8_t revision)
{
	wr_bytes(w, sig, 4);
	wr_le32(w, len);
	wr_u8(w, revision);
	wr_u8(w, 0); /* checksum, later */
	wr_bytes(w, "SEVMIG", 6);
	wr_bytes(w, "SEVMIG  ", 8);
	wr_le32(w, 1);
	wr_bytes(w, "SVMG", 4);
	wr_le32(w, 1);
}

static void rsdp_write(uint8_t *at)
{
	struct wr w = wr_of(at, RSDP_LEN);

	wr_bytes(&w, "RSD PTR ", 8);
	wr_u8(&w, 0);
	wr_bytes(&w, "SEVMIG", 6);
	wr_u8(&w, 2);
	wr_le32(&w, 0);
	wr_le32(&w, RSDP_LEN);
	wr_le64(&w, PC_ACPI_BASE + XSDT_AT);
	wr_le32(&w, 0);
	sum_set(at, RSDP_V1_LEN, 8);
	sum_set(at, RSDP_LEN, 32);
}

/* A byte-wide I/O port as a Generic Address Structure. */
static void port_put(struct wr *w, uint64_t port)
{
	wr_u8(w, 1); /* system I/O */
	wr_u8(w, 8);
	wr_u8(w, 0);
	wr_u8(w, 1);
	wr_le64(w, port);
}

static void dsdt_write(uint8_t *at)
{
	struct wr w = wr_of(at, DSDT_LEN);

	head_put(&w, "DSDT", DSDT_LEN, 2);
	wr_bytes(&w, dsdt_aml, sizeof(dsdt_aml));
	sum_set(at, DSDT_LEN, 9);
}

static void fadt_write(uint8_t *at)
{
	struct wr w = wr_of(at, FADT_LEN);

	head_put(&w, "FACP", FADT_LEN, 6);
	wr_zero(&w, 4);
	wr_le32(&w, PC_ACPI_BASE + DSDT_AT);
	wr_zero(&w, 112 - 44);
	wr_le32(&w, FADT_HW_REDUCED | FADT_RESET_REG | FADT_WBINVD);
	port_put(&w, PC_PORT_RESET);
	wr_u8(&w, PC_RESET_VALUE);
	wr_zero(&w, 131 - 129);
	wr_u8(&w, 3); /* minor version */
	wr_zero(&w, 140 - 132);
	wr_le64(&w, PC_ACPI_BASE + DSDT_AT);
	wr_zero(&w, 244 - 148);
	port_put(&w, PC_PORT_SLEEP);
	port_put(&w, PC_PORT_SLEEP_STATUS);
	wr_zero(&w, FADT_LEN - 268);
	sum_set(at, FADT_LEN, 9);
}

static void xsdt_write(uint8_t *at)
{
	struct wr w = wr_of(at, XSDT_LEN);

	head_put(&w, "XSDT", XSDT_LEN, 1);
	wr_le64(&w, PC_ACPI_BASE + FADT_AT);
	wr_le64(&w, PC_ACPI_BASE + MADT_AT);
	sum_set(at, XSDT_LEN, 9);
}

static void madt_write(uint8_t *at, unsigned ncpu)
{
	uint32_t len = 44 + 8 * ncpu + 12;
	struct wr w = wr_of(at, len);

	head_put(&w, "APIC", len, 3);
	wr_le32(&w, LAPIC_BASE);
	wr_le32(&w, 1); /* the two PICs are there as well */
	for (unsigned i = 0; i < ncpu; i++) {
		wr_u8(&w, 0);
		wr_u8(&w, 8);
		wr_u8(&w, (uint8_t)i);
		wr_u8(&w, (uint8_t)i);
		wr_le32(&w, 1); /* enabled */
	}
	wr_u8(&w, 1);
	wr_u8(&w, 12);
	wr_u8(&w, (uint8_t)ncpu); /* the I/O APIC's id, after the last processor's */
	wr_u8(&w, 0);
	wr_le32(&w, IOAPIC_BASE);
	wr_le32(&w, 0);
	sum_set(at, len, 9);
}

void pc_acpi_write(uint8_t *at, const struct pc_machine *m)
{
	memset(at, 0, PC_ACPI_LEN);
	rsdp_write(at + RSDP_AT);
	dsdt_write(at + DSDT_AT);
	fadt_write(at + FADT_AT);
	xsdt_write(at + XSDT_AT);
	madt_write(at + MADT_AT, m->cpus);
}
_Static_assert(DSDT_AT + DSDT_LEN <= FADT_AT, "tables do not overlap");
_Static_assert(MADT_AT + 44 + 8 * PC_CPUS_MAX + 12 <= PC_ACPI_LEN, "tables fit their page");
