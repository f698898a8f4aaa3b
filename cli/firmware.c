/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/firmware.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "abi/firmware.h"
#include "base/fd.h"
#include "cli/place.h"
#include "vmm/vm.h"

#define INITRD_MAX (1u << 30)
#define FIRMWARE_FILE "sevmig-firmware.bin"

static int table_read(struct cli_firmware *fw, struct err *e)
{
	struct err none = { 0 };
	int r = owner_guidtable_get(fw->image.p, fw->image.len, &fw->table, &none);

	return r < 0 && r != -ENOENT ? err_set(e, r, "%s", none.msg) : 0;
}

int cli_firmware_image_read(struct cli_firmware *fw, const char *from, struct err *e)
{
	char path[PATH_MAX];
	int r;

	if (strcmp(from, "default") == 0) {
		if (place_file("guest/firmware/" FIRMWARE_FILE, path, sizeof(path), e) < 0) {
			r = place_file(FIRMWARE_FILE, path, sizeof(path), e);
			if (r < 0)
				return r;
		}
		from = path;
	}
	r = fd_file_read(from, FIRMWARE_LEN_MAX, &fw->image, e);
	if (r == 0)
		r = crypto_sha256(fw->image.p, fw->image.len, fw->digest, e);
	if (r == 0)
		r = table_read(fw, e);
	return r < 0 ? err_wrap(e, r, "firmware") : 0;
}

int cli_firmware_files_read(struct cli_firmware *fw, const char *kernel, const char *initrd,
			    const char *append, struct err *e)
{
	struct owner_boot boot = { .append = append };
	int r = vm_kernel_pack(kernel, &fw->kernel, e);

	if (r == 0 && initrd)
		r = fd_file_read(initrd, INITRD_MAX, &fw->initrd, e);
	if (r < 0)
		return r;
	boot.kernel = fw->kernel.p;
	boot.kernel_len = fw->kernel.len;
	boot.initrd = fw->initrd.p;
	boot.initrd_len = fw->initrd.len;
	return owner_hashes_make(&boot, fw->hashes, e);
}

void cli_firmware_fini(struct cli_firmware *fw)
{
	buf_fini(&fw->image);
	buf_fini(&fw->kernel);
	buf_fini(&fw->initrd);
}
