/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Aids of the tests. The digest covers each page by the face the guest uses: what the other one
 * still holds from before a conversion is not the guest's and does not travel. Pages of zeros are
 * left out, so that it does not matter which pages a host happens to have touched.
 */

#include "vmm/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "abi/handler.h"
#include "base/fd.h"
#include "base/rdwr.h"
#include "crypto/hash.h"

static const uint8_t zero_page[PAGE_LEN];

struct digest {
	struct vm *vm;
	struct crypto_hash *hash;
	uint8_t zero[SHA256_LEN]; /* of a page of zeros */
};

/* What the handler knows is of one launch, and stays there. */
static bool handlers_own(const struct vm *vm, struct gpa at)
{
	return vm->mig.handler && at.v >= HANDLER_BASE && at.v < HANDLER_END;
}

static int digest_page(struct digest *d, struct gpa at, struct err *e)
{
	struct vm *vm = d->vm;
	bool shared = at.v >= vm->mig.sev->low_private_end.v &&
		      ranges_has(&vm->pages.shared, gpa_gfn(at));
	uint8_t page[SHA256_LEN], head[9];
	struct wr w = wr_of(head, sizeof(head));
	int r;

	if (handlers_own(vm, at))
		return 0;
	wr_le64(&w, at.v);
	wr_u8(&w, shared);
	if (shared)
		r = crypto_sha256(vmm_memory_at(&vm->mem, at, PAGE_LEN), PAGE_LEN, page, e);
	else
		r = sev_vm_debug_digest(vm->mig.sev, at, page, e);
	if (r || memcmp(page, d->zero, sizeof(page)) == 0)
		return r;
	r = crypto_hash_add(d->hash, head, sizeof(head), e);
	return r ? r : crypto_hash_add(d->hash, page, sizeof(page), e);
}

static int digest_ram(struct digest *d, const struct mig_ram *ram, struct err *e)
{
	struct gpa at = ram->at, end = gpa(ram->at.v + ram->size);
	uint64_t len;
	int r = 0;

	while (!r && sev_vm_populated(d->vm->mig.sev, &at, end, &len))
		for (uint64_t to = at.v + len; !r && at.v < to; at.v += PAGE_LEN)
			r = digest_page(d, at, e);
	return r;
}

int vm_debug_digest(struct vm *vm, uint8_t out[32], struct err *e)
{
	auto_hash struct crypto_hash *hash = NULL;
	struct digest d = { .vm = vm };
	int r = vmm_stopped_check(vm, e);

	if (!r)
		r = crypto_hash_new(&hash, e);
	if (!r)
		r = crypto_sha256(zero_page, sizeof(zero_page), d.zero, e);
	d.hash = hash;
	for (size_t i = 0; !r && i < vm->mem.nram; i++)
		r = digest_ram(&d, &vm->mem.ram[i], e);
	return r ? r : crypto_hash_get(hash, out, e);
}

static int dump_run(int fd, const struct mig_ram *ram, off_t at, off_t end, const char *path,
		    struct err *e)
{
	if (lseek(fd, (off_t)ram->at.v + at, SEEK_SET) < 0)
		return err_set(e, -errno, "%s: %m", path);
	return fd_write_all(fd, ram->shared + at, (size_t)(end - at), path, e);
}

/* Only what is there: reading the rest through the mapping would make it be there. */
static int dump_ram(int fd, int memfd, const struct mig_ram *ram, const char *path, struct err *e)
{
	off_t at = lseek(memfd, 0, SEEK_DATA);
	int r = 0;

	while (!r && at >= 0) {
		off_t end = lseek(memfd, at, SEEK_HOLE);

		r = dump_run(fd, ram, at, end, path, e);
		at = lseek(memfd, end, SEEK_DATA);
	}
	if (!r && ftruncate(fd, (off_t)(ram->at.v + ram->size)) < 0)
		r = err_set(e, -errno, "%s: %m", path);
	return r;
}

int vm_debug_dump_shared(struct vm *vm, const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return err_set(e, -errno, "%s: %m", path);
	for (size_t i = 0; !r && i < vm->mem.nram; i++)
		r = dump_ram(fd, vm->mem.fd[i], &vm->mem.ram[i], path, e);
	return r;
}
