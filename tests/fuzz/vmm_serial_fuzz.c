/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "vmm/serial.h"

#define ACCESSES 4096u /* of the guest, after the state */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_irq(void *ctx, bool level)
{
	(void)ctx;
	(void)level;
}

static void no_output(void *ctx, const uint8_t *p, size_t len)
{
	(void)ctx;
	(void)p;
	(void)len;
}

static void no_room(void *ctx)
{
	(void)ctx;
}

/* A state that loads is saved as the same bytes, and any port takes any accesses. The input is the
 * state, and its bytes again as register numbers and values. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct serial_ops ops = { no_irq, no_output, no_room };
	auto_buf struct buf saved = { 0 };
	struct serial *s = NULL;
	struct err e = { 0 };

	if (vmm_serial_new(&ops, NULL, &s, &e))
		return 0;
	if (!vmm_serial_state_load(s, data, size, &e)) {
		if (vmm_serial_state_save(s, &saved, &e) || saved.len != size ||
		    memcmp(saved.p, data, size))
			abort();
	}
	for (size_t i = 0; i + 1 < size && i < ACCESSES; i += 2) {
		if (data[i] & 0x80)
			vmm_serial_write(s, data[i] & 7, data[i + 1]);
		else if (data[i] & 0x40)
			vmm_serial_input(s, data + i, size - i);
		else
			vmm_serial_read(s, data[i] & 7);
	}
	buf_reset(&saved);
	if (vmm_serial_state_save(s, &saved, &e) ||
	    vmm_serial_state_load(s, saved.p, saved.len, &e))
		abort();
	vmm_serial_free(s);
	return 0;
}
