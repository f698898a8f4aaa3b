/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-blk from the guest's side, on a disk of 16 sectors. */

#include "tests/fuzz/dev_drive_run.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_LEN 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("disk", MFD_CLOEXEC), held = dup(fd);
	struct dev_disk disk = { .fd = fd, .number = 1 };
	struct dev_virtio *dev;
	struct err e = { 0 };
	struct stat st;

	if (fd < 0 || held < 0 || ftruncate(fd, DISK_LEN) || dev_blk_new(&disk, &dev, &e))
		abort();
	drive_run(dev, 1, data, size);
	if (fstat(held, &st) || st.st_size != DISK_LEN)
		abort(); /* nothing may make it grow */
	close(held);
	return 0;
}
