/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-console from the guest's side, with something typed. */

#include "tests/fuzz/dev_drive_run.h"

static void no_output(void *ctx, const uint8_t *p, size_t len)
{
	volatile uint8_t sum = 0; /* every byte of it must be there */

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
}

static void no_room(void *ctx)
{
	(void)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dev_console_ops ops = { no_output, no_room };
	struct dev_virtio *dev;
	struct err e = { 0 };

	if (dev_console_new(&ops, NULL, &dev, &e))
		abort();
	return drive_run(dev, 2, data, size);
}
