/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The guest's PCI bus, as the monitor's devices, the ACPI tables and the firmware must agree on it:
 * one root bus, number 0, function 0 of each slot, configured by mechanism #1. The monitor places
 * all BARs before the guest runs; a guest may move them within the window.
 *
 * The window lies above the highest low RAM (3 GiB) and below I/O APIC, local APIC and firmware.
 */

#define PCI_CONFIG_ADDRESS 0xcf8 /* to 0xcfb; 0xcf9 by itself is the reset port */
#define PCI_CONFIG_DATA 0xcfc    /* to 0xcff */
#define PCI_WINDOW 0xd0000000u
#define PCI_WINDOW_LEN 0x10000000u
#define PCI_SLOTS 32u

/* Slot 0 is the host bridge. Where the BARs of slot N are to begin with. */
#define PCI_SLOT_BARS(n) (PCI_WINDOW + (n)*0x10000u)
