/* SPDX-License-Identifier: Apache-2.0 */

/* The guest's firmware and what it is to boot, read and hashed. */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "abi/firmware.h"
#include "base/fd.h"
#include "cli/place.h"
#include "cli/run.h"

#define INITRD_MAX (1u << 30)
#define FIRMWARE_FILE "sevmig-firmware.bin"

int run_firmware_read(struct run *r, struct err *e)
{
	const char *from = r->cfg->firmware;
	char path[PATH_MAX];
	int ret;

	if (!from)
		return 0;
	if (strcmp(from, "default") == 0) {
		if (place_file("guest/firmware/" FIRMWARE_FILE, path, sizeof(path), e) < 0) {
			ret = place_file(FIRMWARE_FILE, path, sizeof(path), e);
			if (ret < 0)
				return ret;
		}
		from = path;
	}
	ret = fd_file_read(from, FIRMWARE_LEN_MAX, &r->firmware.image, e);
	return ret < 0 ? err_wrap(e, ret, "firmware") : 0;
}

int run_firmware_prepare(struct run *r, struct vm_firmware *out, struct err *e)
{
	struct run_firmware *fw = &r->firmware;
	struct owner_boot boot = { .append = r->cfg->append };
	int ret = vm_kernel_pack(r->cfg->kernel, &fw->kernel, e);

	if (ret == 0 && r->cfg->initrd)
		ret = fd_file_read(r->cfg->initrd, INITRD_MAX, &fw->initrd, e);
	if (ret < 0)
		return ret;
	boot.kernel = fw->kernel.p;
	boot.kernel_len = fw->kernel.len;
	boot.initrd = fw->initrd.p;
	boot.initrd_len = fw->initrd.len;
	ret = owner_hashes_make(&boot, fw->hashes, e);
	*out = (struct vm_firmware){
		.image = fw->image.p,
		.len = fw->image.len,
		.hashes = fw->hashes,
		.hashes_len = sizeof(fw->hashes),
		.kernel = fw->kernel.p,
		.kernel_len = fw->kernel.len,
		.initrd = fw->initrd.p,
		.initrd_len = fw->initrd.len,
		.append = r->cfg->append,
	};
	return ret;
}

void run_firmware_fini(struct run *r)
{
	buf_fini(&r->firmware.image);
	buf_fini(&r->firmware.kernel);
	buf_fini(&r->firmware.initrd);
}
