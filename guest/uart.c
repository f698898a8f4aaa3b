/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/guest.h"

#define UART 0x3f8
#define UART_FIFO 16
#define LSR_DATA 0x01
#define LSR_ROOM 0x20

void uart_init(void)
{
	outb(UART + 3, 0x03); /* 8 bits, no parity */
	outb(UART + 2, 0x01); /* FIFOs on; what was received stays */
	outb(UART + 4, 0x0b); /* ready, and the interrupt line connected */
	outb(UART + 1, 0x01); /* interrupt on reception */
}

/* Of a line, between processors. */
static bool busy;

void uart_write(const char *p, size_t len)
{
	while (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
	for (size_t i = 0; i < len; i++) {
		while (i % UART_FIFO == 0 && !(inb(UART + 5) & LSR_ROOM))
			;
		outb(UART, (uint8_t)p[i]);
	}
	__atomic_store_n(&busy, false, __ATOMIC_RELEASE);
}

void uart_receive(void)
{
	while (inb(UART + 5) & LSR_DATA) {
		uint32_t head = guest_info.rx_head;
		uint8_t c = inb(UART);

		if (head - guest_info.rx_tail == GUEST_RX_RING)
			continue;
		guest_info.rx[head % GUEST_RX_RING] = c;
		guest_info.rx_head = head + 1;
	}
}
