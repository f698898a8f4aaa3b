/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The ACPI tables of this machine, one builder for the monitor's direct boot and for the firmware:
 * RSDP, XSDT, hardware-reduced FADT, DSDT and MADT in one piece. No libc.
 */

#include <stdint.h>

#define PC_ACPI_BASE 0xe0000u
#define PC_ACPI_LEN 0x1000u

/* ACPI's sleep registers, 4.8.3.7. */
#define PC_PORT_SLEEP_STATUS 0x600u
#define PC_PORT_SLEEP 0x601u
#define PC_SLEEP_OFF 0x34u /* SLP_EN, SLP_TYP 5 */
/* The reset control register of a PC. */
#define PC_PORT_RESET 0xcf9u
#define PC_RESET_VALUE 6u

struct pc_machine {
	unsigned cpus; /* up to PC_CPUS_MAX */
};

/* Fill PC_ACPI_LEN bytes that the guest sees at PC_ACPI_BASE. */
void pc_acpi_write(uint8_t *at, const struct pc_machine *m);
