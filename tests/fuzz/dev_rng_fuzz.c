/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-rng from the guest's side. */

#include "tests/fuzz/dev_drive_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dev_virtio *dev;
	struct err e = { 0 };

	if (dev_rng_new(&dev, &e))
		abort();
	return drive_run(dev, 1, data, size);
}
