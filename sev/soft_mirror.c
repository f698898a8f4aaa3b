/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two VMs, one encryption context: KVM_CAP_VM_COPY_ENC_CONTEXT_FROM makes a mirror, which lives on
 * the context beside its owner; KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM hands it over and leaves the
 * source dead. Lock order: the two VMs are marked as moving, which no other thread gets past, then
 * both locks, the lower address first, then the platform's.
 */

#include <string.h>

#include "sev/soft_vm.h"

/* --- locking --------------------------------------------------------------------------------- */

static bool mark(struct soft_vm *vm)
{
	unsigned no = 0;

	return __atomic_compare_exchange_n(&vm->moving, &no, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void unmark(struct soft_vm *vm)
{
	__atomic_store_n(&vm->moving, 0, __ATOMIC_RELEASE);
}

static int two_lock(struct soft_vm *dst, struct soft_vm *src)
{
	if (dst == src)
		return -EINVAL;
	if (!mark(dst))
		return -EBUSY;
	if (!mark(src)) {
		unmark(dst);
		return -EBUSY;
	}
	pthread_mutex_lock(dst < src ? &dst->lock : &src->lock);
	pthread_mutex_lock(dst < src ? &src->lock : &dst->lock);
	soft_platform_enter(soft_platform_of(dst));
	return 0;
}

static void two_unlock(struct soft_vm *dst, struct soft_vm *src)
{
	soft_platform_leave(soft_platform_of(dst));
	pthread_mutex_unlock(&src->lock);
	pthread_mutex_unlock(&dst->lock);
	unmark(src);
	unmark(dst);
}

/* What both capabilities do around the work. A destination that is over answers EIO to any ioctl.
 */
static int with_two(struct sev_vm *to, struct sev_vm *from,
		    int (*run)(struct soft_vm *dst, struct soft_vm *src))
{
	struct soft_vm *dst = (struct soft_vm *)to, *src = (struct soft_vm *)from;
	bool gone;
	int r;

	pthread_mutex_lock(&dst->lock);
	gone = soft_vm_gone(dst);
	pthread_mutex_unlock(&dst->lock);
	if (gone)
		return -EIO;
	if (!src)
		return -EINVAL; /* a VM without SEV */
	r = two_lock(dst, src);
	if (r < 0)
		return r;
	r = run(dst, src);
	two_unlock(dst, src);
	return r;
}

/* --- mirrors --------------------------------------------------------------------------------- */

/* Linux does not compare the VMs' types. The mirror has what handle there is now: the owner's
 * LAUNCH_START comes first. */
static int copy(struct soft_vm *dst, struct soft_vm *src)
{
	if (dst->active || !src->active || src->mirror || soft_vm_vcpus(dst) ||
	    soft_vm_vcpu_coming(dst))
		return -EINVAL;
	src->context->refs++;
	dst->context = src->context;
	dst->handle = src->handle;
	dst->sev_fd = src->sev_fd;
	dst->es = src->es;
	dst->active = true;
	dst->mirror = true;
	dst->need_init = false;
	return 0;
}

int sev_soft_vm_copy_from(struct sev_vm *vm, struct sev_vm *from)
{
	return with_two(vm, from, copy);
}

int soft_vm_mirror(struct sev_vm *of, int kvm_fd, int vm_fd, struct sev_vm **out, struct err *e)
{
	struct sev_vm *vm = NULL;
	int r = soft_vm_new(of->platform, kvm_fd, vm_fd, &vm, e);

	if (r < 0)
		return r;
	vm->cbit = of->cbit;
	r = sev_soft_vm_copy_from(vm, of);
	errno = -r;
	if (r < 0)
		r = err_set(e, r, "KVM_CAP_VM_COPY_ENC_CONTEXT_FROM: %m");
	else
		r = soft_mem_borrow((struct soft_vm *)vm, (const struct soft_vm *)of, e);
	if (r < 0) {
		sev_vm_free(vm);
		return r;
	}
	*out = vm;
	return 0;
}

/* --- moves ----------------------------------------------------------------------------------- */

static int vcpus_check(const struct soft_vm *dst, const struct soft_vm *src)
{
	if (soft_vm_vcpu_coming(dst) || soft_vm_vcpu_coming(src))
		return -EBUSY;
	if (!src->es)
		return 0;
	if (soft_vm_vcpus(dst) != soft_vm_vcpus(src) || src->nvmsa < soft_vm_vcpus(src))
		return -EINVAL;
	return 0;
}

/* sev_fd stays behind, as it does in Linux: commands on the destination are EBADF unless it is 0
 * that is an open /dev/sev. */
static int move(struct soft_vm *dst, struct soft_vm *src)
{
	int r;

	if (dst->client.vm_type != src->client.vm_type || dst->active || !src->active)
		return -EINVAL;
	r = vcpus_check(dst, src);
	if (r < 0)
		return r;
	dst->context = src->context;
	dst->handle = src->handle;
	dst->es = src->es;
	dst->mirror = src->mirror;
	dst->regions = src->regions;
	dst->vmsa = src->vmsa;
	dst->nvmsa = src->nvmsa;
	dst->active = true;
	dst->need_init = false;
	src->context = NULL;
	src->handle = 0;
	src->mirror = false;
	src->regions = NULL;
	src->vmsa = NULL;
	src->nvmsa = 0;
	src->active = false;
	src->dead = true;
	return 0;
}

int sev_soft_vm_move_from(struct sev_vm *vm, struct sev_vm *from)
{
	return with_two(vm, from, move);
}
