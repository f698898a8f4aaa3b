/* SPDX-License-Identifier: Apache-2.0 */

/* The ioctl(2) of clients: struct in, command, struct out, and what a kernel with SEV says of
 * itself. */

#include "sev/soft_shim.h"

#include <string.h>

#include "sev/soft_vm.h"

static int dev_ioctl(struct sev_platform *base, const struct soft_caller *by, unsigned long request,
		     uint64_t arg)
{
	struct soft_platform *p = (struct soft_platform *)base;
	struct soft_user once = { .forget = true, .other = by->other };
	struct sev_issue_cmd cmd;
	int r;

	if (request != SEV_ISSUE_CMD)
		return -EINVAL;
	if (soft_user_get(&once, &cmd, arg, sizeof(cmd)) < 0)
		return -EFAULT;
	if (!soft_platform_issue(p, &cmd, by, &r))
		return r;
	return soft_user_put(&once, arg, &cmd, sizeof(cmd)) < 0 ? -EFAULT : r;
}

int sev_soft_dev_ioctl(struct sev_platform *p, unsigned long request, uint64_t arg, bool writable)
{
	const struct soft_caller by = { .writable = writable, .client = true };

	return dev_ioctl(p, &by, request, arg);
}

int sev_soft_dev_ioctl_of(struct sev_platform *p, pid_t tid, unsigned long request, uint64_t arg,
			  bool writable)
{
	const struct soft_caller by = { .other = tid, .writable = writable, .client = true };

	return tid > 0 ? dev_ioctl(p, &by, request, arg) : -ESRCH;
}

int sev_soft_client_vm(struct sev_platform *p, const struct sev_soft_client *client,
		       struct sev_vm **out, struct err *e)
{
	struct soft_vm *vm = soft_vm_make(p, -1);

	if (!vm)
		return err_set(e, -ENOMEM, "SEV VM: no memory");
	vm->client = *client;
	vm->in_place = true;
	vm->es_offered = true;
	vm->need_init = client->vm_type == SEV_VM_TYPE_SEV || client->vm_type == SEV_VM_TYPE_ES;
	vm->user.forget = true;
	*out = &vm->base;
	return 0;
}

static bool gone(struct soft_vm *vm)
{
	bool r;

	pthread_mutex_lock(&vm->lock);
	r = soft_vm_gone(vm);
	pthread_mutex_unlock(&vm->lock);
	return r;
}

static int encrypt_op(struct soft_vm *vm, uint64_t arg)
{
	struct soft_user once = { .forget = true };
	struct kvm_sev_cmd cmd;
	int r;

	if (!arg)
		return 0; /* how clients ask whether there is SEV */
	if (soft_user_get(&once, &cmd, arg, sizeof(cmd)) < 0)
		return -EFAULT;
	if (!soft_vm_command(vm, &cmd, &r))
		return r;
	return soft_user_put(&once, arg, &cmd, sizeof(cmd)) < 0 ? -EFAULT : r;
}

static int region(struct soft_vm *vm, uint64_t arg, bool add)
{
	struct soft_user once = { .forget = true };
	struct kvm_enc_region r;

	if (soft_user_get(&once, &r, arg, sizeof(r)) < 0)
		return -EFAULT;
	return soft_vm_region(vm, &r, add);
}

int sev_soft_vm_ioctl(struct sev_vm *base, unsigned long request, uint64_t arg)
{
	struct soft_vm *vm = (struct soft_vm *)base;

	if (gone(vm))
		return -EIO;
	switch (request) {
	case KVM_MEMORY_ENCRYPT_OP:
		return encrypt_op(vm, arg);
	case KVM_MEMORY_ENCRYPT_REG_REGION:
		return region(vm, arg, true);
	case KVM_MEMORY_ENCRYPT_UNREG_REGION:
		return region(vm, arg, false);
	default:
		return -ENOTTY;
	}
}

struct sev_soft_vm_state sev_soft_vm_state(struct sev_vm *base)
{
	struct soft_vm *vm = (struct soft_vm *)base;
	struct sev_soft_vm_state s = { 0 };

	pthread_mutex_lock(&vm->lock);
	s.dead = soft_vm_gone(vm);
	s.no_run = vm->need_init;
	s.es = vm->es;
	s.protected = vm->nvmsa > 0;
	s.regs_hidden = s.protected && vm->client.vm_type;
	pthread_mutex_unlock(&vm->lock);
	return s;
}

int sev_soft_capability(unsigned long cap, int kvm)
{
	switch (cap) {
	case KVM_CAP_VM_COPY_ENC_CONTEXT_FROM:
	case KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM:
		return 1;
	case SEV_KVM_CAP_VM_TYPES:
		return (kvm > 0 ? kvm : 1) | 1 << SEV_VM_TYPE_SEV | 1 << SEV_VM_TYPE_ES;
	default:
		return kvm;
	}
}

/* APM volume 3, Fn8000_001F: SEV, SEV-ES; one physical address bit lost; ASIDs. */
void sev_soft_cpuid(unsigned cbit, uint32_t regs[4])
{
	regs[0] = 1u << 1 | 1u << 3;
	regs[1] = (cbit & 0x3f) | 1u << 6;
	regs[2] = PSP_ASID_MAX;
	regs[3] = PSP_ASID_MIN_SEV;
}
