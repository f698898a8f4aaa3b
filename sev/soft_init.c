/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From SEV INIT to the end of a VM: ASIDs, contexts, INIT in its three forms. ASIDs belong to the
 * chip, so all processes on one state directory draw from the same ones.
 *
 * Where kernels differ: a second INIT is EINVAL (Linux 6.12; 6.1 says EBUSY).
 */

#include "base/log.h"
#include "sev/soft_vm.h"

static struct psp *psp_of(const struct soft_vm *vm)
{
	return soft_platform_of(vm)->psp;
}

unsigned soft_vm_vcpus(const struct soft_vm *vm)
{
	return vm->client.vcpus ? vm->client.vcpus(vm->client.ctx) : vm->base.nvcpu;
}

bool soft_vm_vcpu_coming(const struct soft_vm *vm)
{
	return vm->client.vcpu_coming && vm->client.vcpu_coming(vm->client.ctx);
}

/* --- contexts -------------------------------------------------------------------------------- */

/* 0 when all are taken. */
static uint32_t asid_take(struct soft_platform *p, bool es)
{
	uint32_t first = es ? 1 : PSP_ASID_MIN_SEV, last = es ? PSP_ASID_MIN_SEV - 1 : PSP_ASID_MAX;

	for (uint32_t i = first; i <= last; i++) {
		if (p->asid_used[i] || soft_dir_others(&p->dir, i, i + 1))
			continue;
		errno = -soft_dir_hold(&p->dir, i);
		if (errno) { /* ioctl(2) has no words for it */
			log_err("sev", "%s: taking an ASID: %m", p->dir.path);
			return 0;
		}
		p->asid_used[i] = 1;
		return i;
	}
	return 0;
}

static void asid_drop(struct soft_platform *p, uint32_t asid)
{
	p->asid_used[asid] = 0;
	soft_dir_drop(&p->dir, asid);
}

static void guest_end(struct soft_vm *vm, uint32_t handle)
{
	/* Nobody to tell, and nothing left to do about it, when the platform was shut down. */
	(void)!psp_deactivate(psp_of(vm), handle);
	(void)!psp_decommission(psp_of(vm), handle);
	(void)!psp_df_flush(psp_of(vm));
}

void soft_vm_context_put(struct soft_vm *vm)
{
	struct soft_platform *p = soft_platform_of(vm);
	struct soft_context *c = vm->context;

	vm->context = NULL;
	if (!c || --c->refs)
		return;
	if (c->forks == p->forks) {
		if (c->handle) {
			guest_end(vm, c->handle);
			soft_dir_drop(&p->dir, SOFT_GUEST + c->asid);
		}
		asid_drop(p, c->asid);
	}
	free(c);
}

int soft_vm_bind(struct soft_vm *vm, struct kvm_sev_cmd *cmd, uint32_t handle, const void *params,
		 size_t len)
{
	struct soft_platform *p = soft_platform_of(vm);
	struct soft_context *c = vm->context;
	int r = soft_fw(psp_activate(p->psp, handle, c->asid), &cmd->error);

	if (r < 0) {
		(void)!psp_decommission(p->psp, handle);
		return r;
	}
	r = soft_dir_hold(&p->dir, SOFT_GUEST + c->asid);
	if (r == 0)
		r = soft_user_put(&vm->user, cmd->data, params, len);
	if (r < 0) {
		guest_end(vm, handle);
		soft_dir_drop(&p->dir, SOFT_GUEST + c->asid);
		return r;
	}
	c->handle = handle;
	vm->handle = handle;
	vm->sev_fd = cmd->sev_fd;
	return 0;
}

/* --- INIT ------------------------------------------------------------------------------------ */

/* INIT of the platform unless that was done. */
static int platform_up(struct soft_platform *p, uint32_t *fw)
{
	struct psp_platform_status st = { 0 };
	int r = soft_fw(psp_platform_status(p->psp, &st), fw);

	if (r < 0 || st.state != PSP_PSTATE_UNINIT)
		return r;
	return soft_fw(psp_init(p->psp, true), fw);
}

static int context_make(struct soft_vm *vm, bool es, uint32_t *fw)
{
	struct soft_platform *p = soft_platform_of(vm);
	struct soft_context *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->asid = asid_take(p, es);
	if (!c->asid) {
		free(c);
		return -EBUSY;
	}
	r = platform_up(p, fw);
	if (r < 0) {
		asid_drop(p, c->asid);
		free(c);
		return r;
	}
	c->refs = 1;
	c->forks = p->forks;
	vm->context = c;
	return 0;
}

static int init_as(struct soft_vm *vm, bool es, const struct sev_kvm_init2 *p, uint32_t *fw)
{
	uint64_t features = es ? SEV_SOFT_VMSA_FEATURES : 0;
	int r;

	if (soft_vm_vcpus(vm) || soft_vm_vcpu_coming(vm))
		return -EINVAL;
	if (p->flags || (p->vmsa_features & ~features))
		return -EINVAL;
	if (p->ghcb_version > SEV_GHCB_VERSION_MAX || (!es && p->ghcb_version))
		return -EINVAL;
	if (vm->active)
		return -EINVAL;
	r = context_make(vm, es, fw);
	if (r < 0)
		return r;
	vm->es = es;
	vm->active = true;
	vm->need_init = false;
	return 0;
}

int soft_init(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	const struct sev_kvm_init2 nothing = { 0 };

	if (vm->client.vm_type)
		return -EINVAL;
	return init_as(vm, false, &nothing, &cmd->error);
}

int soft_es_init(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	const struct sev_kvm_init2 nothing = { 0 };

	if (!vm->es_offered)
		return -ENOTTY;
	if (vm->client.vm_type)
		return -EINVAL;
	return init_as(vm, true, &nothing, &cmd->error);
}

int soft_init2(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct sev_kvm_init2 p;
	int r;

	if (!vm->need_init)
		return -EINVAL;
	r = soft_user_get(&vm->user, &p, cmd->data, sizeof(p));
	return r < 0 ? r : init_as(vm, vm->client.vm_type == SEV_VM_TYPE_ES, &p, &cmd->error);
}
