/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Inside the monitor: the console and the PCI bus of a VM. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "dev/devices.h"
#include "vmm/vm.h"

/* console.c */
int must_check vmm_console_open(struct vm *vm, struct err *e);
void vmm_console_close(struct vm *vm);
/* The other end of a console on the PCI bus; ctx is the VM. */
extern const struct dev_console_ops vmm_console_ops;
/* Bytes for the guest's console, the one that takes input; how many fitted. */
size_t vmm_console_input(struct vm *vm, const uint8_t *p, size_t len);

/* devices.c: the PCI bus, and the console's end with it. */
int must_check vmm_devices_open(struct vm *vm, struct vm_devices *d, struct err *e);
void vmm_devices_close(struct vm *vm);
