/* SPDX-License-Identifier: Apache-2.0 */

/* The MSRs that exit to the monitor, and the list of those that make up a vCPU's state. */

#include "vmm/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "abi/ghcb.h"
#include "base/log.h"
#include "sev/vcpu.h"

#define MIGRATION_READY 1u

void vmm_msr_read(struct vmm_vcpu *v)
{
	struct vm *vm = v->vm;
	bool soft = vm->mig.sev->soft, es = vmm_es(vm);

	v->run->msr.error = 0;
	if (v->run->msr.index == MSR_MIGRATION && !vm->cfg.no_migration)
		v->run->msr.data = atomic_load(&vm->migration);
	else if (soft && v->run->msr.index == MSR_SEV_STATUS)
		v->run->msr.data = GHCB_SEV_STATUS_SEV | (es ? GHCB_SEV_STATUS_ES : 0);
	else if (soft && !es && v->run->msr.index == MSR_GHCB)
		v->run->msr.data = v->ghcb;
	else
		v->run->msr.error = 1; /* #GP */
}

void vmm_msr_write(struct vmm_vcpu *v)
{
	struct vm *vm = v->vm;
	uint64_t value = v->run->msr.data;

	v->run->msr.error = 0;
	if (v->run->msr.index == MSR_MIGRATION && !vm->cfg.no_migration &&
	    !(value & ~(uint64_t)MIGRATION_READY)) {
		if (atomic_exchange(&vm->migration, value) != value)
			log_info("vmm", "%s: guest %s migration", vm->name,
				 value ? "allows" : "does not allow");
		atomic_store(&vm->migration_written, true);
	} else if (vm->mig.sev->soft && !vmm_es(vm) && v->run->msr.index == MSR_GHCB) {
		v->ghcb = value;
	} else {
		v->run->msr.error = 1;
	}
}

#define ONE_MSR_LEN (sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry))

int vmm_msr_get(struct vmm_vcpu *v, uint32_t index, uint64_t *value)
{
	uint64_t room[ONE_MSR_LEN / 8] = { 0 };
	struct kvm_msrs *m = (struct kvm_msrs *)room;

	m->nmsrs = 1;
	m->entries[0].index = index;
	if (vmm_vcpu_ioctl(v, KVM_GET_MSRS, m) != 1)
		return -ENOENT;
	*value = m->entries[0].data;
	return 0;
}

int vmm_msr_set(struct vmm_vcpu *v, uint32_t index, uint64_t value)
{
	uint64_t room[ONE_MSR_LEN / 8] = { 0 };
	struct kvm_msrs *m = (struct kvm_msrs *)room;

	m->nmsrs = 1;
	m->entries[0].index = index;
	m->entries[0].data = value;
	return vmm_vcpu_ioctl(v, KVM_SET_MSRS, m) == 1 ? 0 : -EINVAL;
}

static bool msr_listed(const struct vm *vm, uint32_t index)
{
	for (size_t i = 0; i < vm->nmsr; i++)
		if (vm->msr[i] == index)
			return true;
	return false;
}

/* Keep what can be written back: the vCPU is new, so writing what was read changes nothing. */
static void msr_try(struct vm *vm, uint32_t index)
{
	uint64_t value;

	if (vm->nmsr == VMM_MSRS_MAX || msr_listed(vm, index))
		return;
	if (vmm_es(vm) && sev_vcpu_msr_hidden(index))
		return;
	if (vmm_msr_get(&vm->vcpu[0], index, &value))
		return;
	/* The counter moves on between the two. */
	if (index != MSR_TSC && vmm_msr_set(&vm->vcpu[0], index, value))
		return;
	vm->msr[vm->nmsr++] = index;
}

int vmm_msr_list(struct vm *vm, struct err *e)
{
	/* Not in every kernel's list, but state: memory types, TSC_AUX. */
	static const struct {
		uint32_t first, n;
	} more[] = { { 0x200, 16 }, { 0x250, 1 }, { 0x258, 2 },      { 0x268, 8 },
		     { 0x2ff, 1 },  { 0x277, 1 }, { 0xc0000103, 1 }, { MSR_TSC, 1 } };
	auto_mem struct kvm_msr_list *list =
		calloc(1, sizeof(*list) + VMM_MSRS_MAX * sizeof(list->indices[0]));

	if (!list)
		return err_set(e, -ENOMEM, "MSR list: %m");
	list->nmsrs = VMM_MSRS_MAX;
	if (ioctl(vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
		return err_set(e, -errno, "KVM_GET_MSR_INDEX_LIST: %m");
	vm->nmsr = 0;
	for (uint32_t i = 0; i < list->nmsrs; i++)
		msr_try(vm, list->indices[i]);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		for (uint32_t k = 0; k < more[i].n; k++)
			msr_try(vm, more[i].first + k);
	return 0;
}
