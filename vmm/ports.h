/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The I/O ports that reach the monitor (interrupt controllers and timer are in the kernel):
 *
 *	0x60, 0x64	keyboard controller, empty; 0xfe to 0x64 resets
 *	0x61		speaker and timer gate bits
 *	0x70, 0x71	real-time clock, read only, UTC
 *	0x80		POST code, ignored
 *	0x92		fast A20 and reset (bit 0)
 *	0xe4		the doorbell, abi/doorbell.h
 *	0x3f8-0x3ff	serial port
 *	0x600, 0x601	ACPI sleep status and control: type 5 with enable powers off
 *	0x604		power off: 16-bit 0x2000, as on QEMU's q35 without ACPI tables
 *	0xcf8-0xcff	PCI configuration, mechanism #1; 0xcf9 bit 2 resets
 *
 * Others read all ones and ignore writes. One vmm_ports_io() is one KVM_EXIT_IO. Calls come from
 * vCPU threads; the object locks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pc/acpi.h"
#include "vmm/serial.h"

#define PORTS_POWEROFF 0x604u
#define PORTS_POWEROFF_VALUE 0x2000u
#define PORTS_SLEEP_STATUS PC_PORT_SLEEP_STATUS
#define PORTS_SLEEP PC_PORT_SLEEP
#define PORTS_SLEEP_S5 0x34u /* SLP_EN, SLP_TYP 5 */

/* All required. Called without a lock, in the thread of the vCPU named by the vcpu argument of
 * vmm_ports_io(). The monitor ends or stops that vCPU's loop by itself. */
struct ports_ops {
	void (*reset)(void *ctx, void *vcpu, const char *why);
	void (*poweroff)(void *ctx, void *vcpu, const char *why);
	/* Do the hypercall in the vCPU's registers; the result becomes IN's. */
	uint32_t (*doorbell)(void *ctx, void *vcpu);
	/* Seconds since the epoch, for the real-time clock. */
	int64_t (*now)(void *ctx);
	/* size bytes at offset `at` of the PCI data port, the address port as latched; a read finds
	 * all ones in *v and may leave them. */
	void (*pci)(void *ctx, uint32_t address, unsigned at, unsigned size, bool write,
		    uint32_t *v);
};

struct ports;

/* Borrows the serial port, which must outlive this. */
int must_check vmm_ports_new(const struct ports_ops *ops, void *ctx, struct serial *serial,
			     struct ports **out, struct err *e);
/* count items of size 1, 2 or 4 at data, as struct kvm_run describes them. */
void vmm_ports_io(struct ports *p, void *vcpu, bool in, uint16_t port, unsigned size,
		  unsigned count, uint8_t *data);
/* The few latches above, not the serial port. vCPUs stopped. */
int must_check vmm_ports_state_save(struct ports *p, struct buf *out, struct err *e);
int must_check vmm_ports_state_load(struct ports *p, const uint8_t *b, size_t len, struct err *e);
void vmm_ports_free(struct ports *p);
