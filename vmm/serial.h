/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A 16550A serial port as Linux's 8250 driver expects it: FIFOs, transmit and receive interrupts,
 * loopback, scratch register. Output leaves at once through a callback; input waits in a queue
 * behind the 16-byte FIFO, so that nothing typed is lost while the guest is slow or being moved.
 *
 * Register calls come from vCPU threads, vmm_serial_input() from any thread; the port locks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SERIAL_PORT 0x3f8u
#define SERIAL_PORTS 8u
#define SERIAL_IRQ 4u
#define SERIAL_QUEUE 65536u

struct serial_ops {
	/* Level of the interrupt line. Called with the port's lock held: must not call back. */
	void (*irq)(void *ctx, bool level);
	/* Bytes the guest wrote. Called without the lock. */
	void (*output)(void *ctx, const uint8_t *p, size_t len);
	/* The queue has room again after vmm_serial_input() took less than offered. Called without
	 * the lock. */
	void (*room)(void *ctx);
};

struct serial;

/* All ops are required. */
int must_check vmm_serial_new(const struct serial_ops *ops, void *ctx, struct serial **out,
			      struct err *e);
/* reg is 0 to 7. */
void vmm_serial_write(struct serial *s, unsigned reg, uint8_t v);
uint8_t vmm_serial_read(struct serial *s, unsigned reg);
/* Queue bytes as if they came over the line; returns how many fitted. */
size_t vmm_serial_input(struct serial *s, const uint8_t *p, size_t len);
/* Everything the guest can see, and the input still unread. vCPUs stopped. */
int must_check vmm_serial_state_save(struct serial *s, struct buf *out, struct err *e);
/* Hostile; on failure the port is as before. Sets the interrupt line on success. */
int must_check vmm_serial_state_load(struct serial *s, const uint8_t *p, size_t len, struct err *e);
void vmm_serial_free(struct serial *s);
