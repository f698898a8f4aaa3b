/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A boot through the guest's firmware. Measured are the image and the hashes; everything else is
 * put into shared memory, where the firmware takes it from and checks it. The files lie at the top
 * of low RAM, one below the other, out of the way of where they are going.
 */

#include "vmm/firmware.h"

#include <errno.h>
#include <string.h>

#include "abi/firmware.h"
#include "vmm/boot_kernel.h"
#include "vmm/impl.h"

#define ROUND_UP(v) (((v) + PAGE_LEN - 1) & ~(uint64_t)(PAGE_LEN - 1))

int vm_kernel_pack(const char *path, struct buf *out, struct err *e)
{
	auto_boot_kernel struct boot_kernel k = { 0 };
	int r = vmm_boot_kernel_read(path, &k, e);

	return r ? r : vmm_boot_kernel_pack(&k, out, e);
}

static int copy_in(struct vm *vm, uint64_t at, const void *p, size_t len, const char *what,
		   struct err *e)
{
	uint8_t *to = vmm_memory_at(&vm->mem, gpa(at), len);

	if (!to)
		return err_set(e, -ENOSPC, "%s: no RAM for it; give the guest more memory", what);
	if (len)
		memcpy(to, p, len);
	return 0;
}

/* Below what was put there before. */
static int file_put(struct vm *vm, uint64_t *end, const void *p, size_t len, const char *what,
		    struct pc_span *out, struct err *e)
{
	*out = (struct pc_span){ 0, 0 };
	if (len == 0)
		return 0;
	if (ROUND_UP(len) > *end - (FIRMWARE_GHCB_AT + FIRMWARE_GHCB_LEN))
		return err_set(e, -ENOSPC,
			       "%s of %zu bytes does not fit; give the guest more memory", what,
			       len);
	*end -= ROUND_UP(len);
	*out = (struct pc_span){ *end, len };
	return copy_in(vm, *end, p, len, what, e);
}

static int files_put(struct vm *vm, const struct vm_firmware *fw, struct pc_handover *h,
		     struct err *e)
{
	uint64_t end = vm->mem.ram[0].size;
	const char *append = fw->append ? fw->append : "";
	int r = file_put(vm, &end, append, strlen(append) + 1, "command line", &h->cmdline, e);

	if (!r)
		r = file_put(vm, &end, fw->initrd, fw->initrd_len, "initial RAM disk", &h->initrd,
			     e);
	if (!r)
		r = file_put(vm, &end, fw->kernel, fw->kernel_len, "kernel", &h->kernel, e);
	return r;
}

int vmm_firmware_load(struct vm *vm, const struct vm_firmware *fw, struct err *e)
{
	struct pc_handover h = { .cpus = vm->nvcpu }, again;
	uint8_t page[FIRMWARE_HANDOVER_LEN] = { 0 };
	const char *why;
	int r = files_put(vm, fw, &h, e);

	if (r)
		return r;
	for (size_t i = 0; i < vm->mem.nram; i++)
		if (vm->mem.ram[i].at.v != FIRMWARE_TOP - fw->len)
			h.ram[h.nram++] =
				(struct pc_span){ vm->mem.ram[i].at.v, vm->mem.ram[i].size };
	/* What the firmware would refuse is better refused here. */
	why = pc_handover_put(&h, page, sizeof(page)) ? pc_handover_get(page, sizeof(page), &again)
						      : "more than fits";
	if (why)
		return err_set(e, -EINVAL, "the firmware would find %s", why);
	if (fw->len != vm->mem.firmware_len || fw->hashes_len > FIRMWARE_HASHES_LEN)
		return err_set(e, -EINVAL, "firmware of %zu bytes in memory for %llu", fw->len,
			       (unsigned long long)vm->mem.firmware_len);
	r = copy_in(vm, FIRMWARE_HANDOVER_AT, page, sizeof(page), "hand-over", e);
	if (!r)
		r = copy_in(vm, FIRMWARE_TOP - fw->len, fw->image, fw->len, "firmware", e);
	if (!r)
		r = copy_in(vm, FIRMWARE_HASHES_AT, fw->hashes, fw->hashes_len, "hashes", e);
	return r;
}

int vmm_firmware_encrypt(struct vm *vm, const struct vm_firmware *fw, struct err *e)
{
	struct sev_vm *sev = vm->mig.sev;
	int r = sev_launch_update(
		sev, vmm_memory_at(&vm->mem, gpa(FIRMWARE_TOP - fw->len), fw->len), fw->len, e);

	if (!r)
		r = sev_launch_update(sev, vmm_memory_at(&vm->mem, gpa(FIRMWARE_HASHES_AT), 1),
				      fw->hashes_len, e);
	return r ? err_wrap(e, r, "encrypting the firmware") : 0;
}
