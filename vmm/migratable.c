/* SPDX-License-Identifier: Apache-2.0 */

/* The monitor as migrate/vm.h wants it. */

#include "vmm/clock.h"
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

static void ram_compare(const struct vmm_memory *m, const struct mig_vm_desc *from,
			struct lines *out)
{
	if (from->nram != m->nram)
		lines_add(out, "%u RAM ranges there, %zu here", from->nram, m->nram);
	for (size_t i = 0; i < m->nram && i < from->nram; i++)
		if (from->ram[i].at.v != m->ram[i].at.v || from->ram[i].size != m->ram[i].size)
			lines_add(out,
				  "RAM range %zu is %llu bytes at %#llx there, %llu at %#llx here",
				  i, (unsigned long long)from->ram[i].size,
				  (unsigned long long)from->ram[i].at.v,
				  (unsigned long long)m->ram[i].size,
				  (unsigned long long)m->ram[i].at.v);
}

static int op_accept(struct mig_vm *mig, const struct mig_vm_desc *from, enum mig_accept how,
		     struct lines *differences, struct err *e)
{
	struct vm *vm = vm_of(mig);
	struct vmm_machine theirs, here;
	int r;

	if (vm_state(vm) != VM_INCOMING)
		return err_set(e, -EINVAL, "VM %s does not wait for a migration", vm->name);
	r = vmm_machine_get(from->machine, from->machine_len, &theirs, e);
	if (!r && from->cbit != vmm_machine_cbit(&theirs))
		r = err_set(e, -EPROTO, "C-bit %u, the CPUID table says %u", from->cbit,
			    vmm_machine_cbit(&theirs));
	if (!r)
		r = vmm_cpuid_host(vm, &here, e);
	if (r)
		return r;
	if (from->vcpus != vm->cfg.vcpus)
		lines_add(differences, "%u vCPUs there, %u here", from->vcpus, vm->cfg.vcpus);
	ram_compare(&vm->mem, from, differences);
	vmm_machine_compare(&theirs, &here, differences);
	if (how == MIG_ASK || differences->n)
		return 0;
	vm->accepted_ns = vmm_clock_now();
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

static int op_consent(struct mig_vm *mig, unsigned overridden, struct err *e)
{
	static const char *const names[MIG_PARTY_N] = { "host", "firmware", "guest" };
	char all[200] = "";
	size_t len = 0;

	for (unsigned who = 0; who < MIG_PARTY_N; who++) {
		const char *why = vm_says_no(vm_of(mig), (enum mig_party)who);

		if (why && !(overridden & 1u << who) && len < sizeof(all))
			len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s: %s",
						len ? "; " : "", names[who], why);
	}
	return len ? err_set(e, -EPERM, "%s", all) : 0;
}

const struct mig_vm_ops vmm_migratable_ops = {
	.describe = op_describe,
	.accept = op_accept,
	.run = op_run,
	.dirty = op_dirty,
	.shared = op_shared,
	.state_save = op_state_save,
	.state_load = op_state_load,
	.consent = op_consent,
};
