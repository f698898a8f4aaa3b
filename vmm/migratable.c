/* SPDX-License-Identifier: Apache-2.0 */

/* The monitor as migrate/vm.h wants it. */

#include "vmm/impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct vm *vm_of(struct mig_vm *mig)
{
	return (struct vm *)(void *)mig; /* its first member */
}

static int op_describe(struct mig_vm *mig, struct mig_vm_desc *out, struct err *e)
{
	struct vm *vm = vm_of(mig);
	int r;

	buf_reset(&vm->machine_bytes);
	r = vmm_machine_put(&vm->machine, &vm->machine_bytes, e);
	if (r < 0)
		return r;
	*out = (struct mig_vm_desc){ .vcpus = vm->cfg.vcpus,
				     .cbit = mig->sev->cbit,
				     .nram = (uint32_t)vm->mem.nram,
				     .machine = vm->machine_bytes.p,
				     .machine_len = vm->machine_bytes.len };
	memcpy(out->name, vm->name, sizeof(out->name));
	memcpy(out->ram, vm->mem.ram, vm->mem.nram * sizeof(out->ram[0]));
	return 0;
}

static int accept_ram(const struct vmm_memory *m, const struct mig_vm_desc *from, struct err *e)
{
	if (from->nram != m->nram)
		return err_set(e, -ENOTSUP, "%u RAM ranges there, %zu here", from->nram, m->nram);
	for (size_t i = 0; i < m->nram; i++)
		if (from->ram[i].at.v != m->ram[i].at.v || from->ram[i].size != m->ram[i].size)
			return err_set(e, -ENOTSUP,
				       "RAM range %zu is %llu bytes at %#llx there, %llu at %#llx "
				       "here",
				       i, (unsigned long long)from->ram[i].size,
				       (unsigned long long)from->ram[i].at.v,
				       (unsigned long long)m->ram[i].size,
				       (unsigned long long)m->ram[i].at.v);
	return 0;
}

static int op_accept(struct mig_vm *mig, const struct mig_vm_desc *from, struct err *e)
{
	struct vm *vm = vm_of(mig);
	struct vmm_machine theirs, here;
	int r;

	if (vm_state(vm) != VM_INCOMING)
		return err_set(e, -EINVAL, "VM %s does not wait for a migration", vm->name);
	if (from->vcpus != vm->cfg.vcpus)
		return err_set(e, -ENOTSUP, "%u vCPUs there, %u here", from->vcpus, vm->cfg.vcpus);
	if (from->cbit != mig->sev->cbit)
		return err_set(e, -ENOTSUP, "C-bit is %u there, %u here", from->cbit,
			       mig->sev->cbit);
	r = accept_ram(&vm->mem, from, e);
	if (!r)
		r = vmm_machine_get(from->machine, from->machine_len, &theirs, e);
	if (!r)
		r = vmm_cpuid_host(vm, &here, e);
	if (!r)
		r = vmm_machine_fits(&theirs, &here, e);
	if (r)
		return r;
	vm->machine = theirs;
	return vmm_cpuid_apply(vm, e);
}

/* In a migration's words: it asks which end of a guest ended it. */
static int ended(struct vm *vm, int r, struct err *e)
{
	const char *why;

	if (vm_state(vm) != VM_ENDED)
		return r;
	vm_end(vm, &why);
	return err_set(e, -ESHUTDOWN, "%s", why);
}

static int op_run(struct mig_vm *mig, bool on, struct err *e)
{
	int r = vmm_hold(vm_of(mig), !on, e);

	return r < 0 ? ended(vm_of(mig), r, e) : r;
}

static int op_dirty(struct mig_vm *mig, enum mig_dirty what, struct mig_bitmap *bm, struct err *e)
{
	int r = vmm_dirty(vm_of(mig), what, bm, e);

	return what == MIG_DIRTY_SYNC ? ended(vm_of(mig), r, e) : r;
}

static int op_shared(struct mig_vm *mig, enum mig_shared what, struct ranges *set, struct err *e)
{
	struct vm *vm = vm_of(mig);

	if (what == MIG_GET)
		return ranges_copy(set, &vm->pages.shared, e);
	return vmm_pages_set(&vm->pages, set, e);
}

static int op_state_save(struct mig_vm *mig, struct buf *out, struct err *e)
{
	return vmm_state_capture(vm_of(mig), out, e);
}

static int op_state_load(struct mig_vm *mig, const uint8_t *p, size_t len, struct err *e)
{
	return vmm_state_restore(vm_of(mig), p, len, e);
}

static const char *op_blocked(struct mig_vm *mig)
{
	struct vm *vm = vm_of(mig);

	if (__atomic_load_n(&vm->pages.lost, __ATOMIC_RELAXED))
		return "the list of shared pages is incomplete (out of memory earlier)";
	if (!(atomic_load(&vm->migration) & 1))
		return "guest has not enabled migration (MSR 0x4b564d08 is 0)";
	return NULL;
}

const struct mig_vm_ops vmm_migratable_ops = {
	.describe = op_describe,
	.accept = op_accept,
	.run = op_run,
	.dirty = op_dirty,
	.shared = op_shared,
	.state_save = op_state_save,
	.state_load = op_state_load,
	.blocked = op_blocked,
};
