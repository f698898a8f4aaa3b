/* SPDX-License-Identifier: Apache-2.0 */

/* The wrappers around the backends' ops: the one place every SEV call of the program goes through,
 * and therefore the one that traces (--debug sev). */

#include "sev/sev.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"

static const char *errno_word(int r)
{
	return r < 0 ? strerrorname_np(-r) : "ok";
}

static void vm_trace(const struct sev_vm *vm, const char *what, int r)
{
	log_debug("sev", "%s: vm %p: %s = %s", vm->platform->name, (const void *)vm, what,
		  errno_word(r));
}

int sev_platform_issue(struct sev_platform *p, struct sev_issue_cmd *cmd)
{
	int r = p->ops->issue(p, cmd);

	log_debug("sev", "%s: command %u = %s, status %#x", p->name, cmd->cmd, errno_word(r),
		  cmd->error);
	return r;
}

int sev_platform_amd_chain(struct sev_platform *p, uint8_t *out, size_t cap, size_t *len,
			   struct err *e)
{
	int r = p->ops->amd_chain(p, out, cap, len, e);

	log_debug("sev", "%s: amd_chain = %s", p->name, errno_word(r));
	return r;
}

void sev_platform_free(struct sev_platform *p)
{
	if (p)
		p->ops->free(p);
}

int sev_vm_new(struct sev_platform *p, int kvm_fd, int vm_fd, struct sev_vm **out, struct err *e)
{
	int r = p->ops->vm_new(p, kvm_fd, vm_fd, out, e);

	log_debug("sev", "%s: vm_new = %s", p->name, errno_word(r));
	return r;
}

int sev_vm_mirror(struct sev_vm *of, int kvm_fd, int vm_fd, struct sev_vm **out, struct err *e)
{
	int r = of->platform->ops->vm_mirror(of, kvm_fd, vm_fd, out, e);

	log_debug("sev", "%s: vm %p: mirror = %s", of->platform->name, (void *)of, errno_word(r));
	return r < 0 ? err_wrap(e, r, "mirror VM") : 0;
}

int sev_vm_op(struct sev_vm *vm, struct kvm_sev_cmd *cmd)
{
	int r = vm->ops->op(vm, cmd);

	if (cmd)
		log_debug("sev", "%s: vm %p: id %u = %s, status %#x", vm->platform->name,
			  (void *)vm, cmd->id, errno_word(r), cmd->error);
	return r;
}

int sev_vm_region(struct sev_vm *vm, const struct kvm_enc_region *r, bool add)
{
	int ret = vm->ops->region(vm, r, add);

	vm_trace(vm, add ? "register region" : "unregister region", ret);
	return ret;
}

int sev_vm_ram_add(struct sev_vm *vm, const struct sev_ram *ram,
		   struct sev_slot slots[SEV_SLOTS_PER_RAM], size_t *n, struct err *e)
{
	int r;

	if (!ram->size || ram->at.v % PAGE_LEN || ram->size % PAGE_LEN ||
	    (uintptr_t)ram->shared % PAGE_LEN || ram->at.v + ram->size < ram->at.v)
		return err_set(e, -EINVAL, "RAM at %#" PRIx64 ": not whole pages", ram->at.v);
	r = vm->ops->ram_add(vm, ram, slots, n, e);
	vm_trace(vm, "ram_add", r);
	return r < 0 ? err_wrap(e, r, "RAM at %#" PRIx64, ram->at.v) : 0;
}

bool sev_vm_populated(struct sev_vm *vm, struct gpa *at, struct gpa end, uint64_t *len)
{
	return vm->ops->populated(vm, at, end, len);
}

int sev_vm_prefault(struct sev_vm *vm, struct gpa at, uint64_t len, bool is_private, struct err *e)
{
	int r = vm->ops->prefault(vm, at, len, is_private, e);

	vm_trace(vm, "prefault", r);
	return r;
}

int sev_vm_debug_digest(struct sev_vm *vm, struct gpa at, uint8_t out[32], struct err *e)
{
	return vm->ops->debug_digest(vm, at, out, e);
}

int sev_vm_log_dirty(struct sev_vm *vm, bool on, struct err *e)
{
	int r = vm->ops->log_dirty(vm, on, e);

	vm_trace(vm, on ? "dirty log on" : "dirty log off", r);
	return r;
}

void sev_vm_free(struct sev_vm *vm)
{
	if (vm)
		vm->ops->free(vm);
}
