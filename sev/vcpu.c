/* SPDX-License-Identifier: Apache-2.0 */

/* The wrappers around the backends' vCPUs, and the backend for which KVM does everything. */

#include "sev/vcpu.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "abi/ghcb.h"

int sev_vcpu_add(struct sev_vm *vm, unsigned id, int fd, struct kvm_run *run, struct err *e)
{
	if (id != vm->nvcpu || id >= SEV_VCPUS_MAX)
		return err_set(e, -EINVAL, "vCPU %u: there are %u, of at most %u", id, vm->nvcpu,
			       SEV_VCPUS_MAX);
	return vm->vcpu_ops->add(vm, id, fd, run, e);
}

int sev_vcpu_run(struct sev_vm *vm, unsigned id)
{
	return id < vm->nvcpu ? vm->vcpu_ops->run(vm, id) : -EBADF;
}

int sev_vcpu_ioctl(struct sev_vm *vm, unsigned id, unsigned long request, void *arg)
{
	return id < vm->nvcpu ? vm->vcpu_ops->ioctl(vm, id, request, arg) : -EBADF;
}

int sev_vcpu_kept(struct sev_vm *vm, unsigned id, struct sev_vcpu_kept *kept, bool set)
{
	return id < vm->nvcpu ? vm->vcpu_ops->kept(vm, id, kept, set) : -EBADF;
}

const char *sev_vcpu_why(struct sev_vm *vm, unsigned id)
{
	return id < vm->nvcpu ? vm->vcpu_ops->why(vm, id) : "no such vCPU";
}

/* --- straight to KVM -------------------------------------------------------------------------- */

static int direct_add(struct sev_vm *vm, unsigned id, int fd, struct kvm_run *run, struct err *e)
{
	(void)e;
	vm->vcpu[id] = (struct sev_vcpu){ fd, run };
	vm->nvcpu = id + 1;
	return 0;
}

static int direct_ioctl(struct sev_vm *vm, unsigned id, unsigned long request, void *arg)
{
	int r = ioctl(vm->vcpu[id].fd, request, arg);

	return r < 0 ? -errno : r;
}

static int direct_run(struct sev_vm *vm, unsigned id)
{
	return direct_ioctl(vm, id, KVM_RUN, NULL);
}

/* Kernels that can move SEV-ES guests show the MSR. None shows the jump table, which is only asked
 * for when secondary CPUs start. */
static int direct_kept(struct sev_vm *vm, unsigned id, struct sev_vcpu_kept *kept, bool set)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry msr;
	} m = { .head = { .nmsrs = 1 }, .msr = { .index = GHCB_MSR, .data = kept->ghcb } };
	int r = direct_ioctl(vm, id, set ? KVM_SET_MSRS : KVM_GET_MSRS, &m);

	if (r != 1)
		return -ENOTSUP;
	if (!set)
		*kept = (struct sev_vcpu_kept){ .ghcb = m.msr.data };
	return 0;
}

static const char *direct_why(struct sev_vm *vm, unsigned id)
{
	(void)vm, (void)id;
	return "";
}

const struct sev_vcpu_ops sev_vcpu_direct = {
	.add = direct_add,
	.run = direct_run,
	.ioctl = direct_ioctl,
	.kept = direct_kept,
	.why = direct_why,
};
