/* SPDX-License-Identifier: Apache-2.0 */

/* A vCPU's thread: parked until it may go, then into the guest and out again. */

#include "vmm/impl.h"
#include "vmm/kick.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sev/vcpu.h"

int vmm_vcpu_ioctl(struct vmm_vcpu *v, unsigned long request, void *arg)
{
	int r = sev_vcpu_ioctl(v->vm->mig.sev, v->id, request, arg);

	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static int vcpu_run(struct vmm_vcpu *v)
{
	int r = sev_vcpu_run(v->vm->mig.sev, v->id);

	errno = r < 0 ? -r : 0;
	return r;
}

static void vcpu_failed(struct vmm_vcpu *v)
{
	if (errno == EFAULT)
		vmm_end(v->vm, VM_END_ERROR, "vCPU %u: no memory where the guest went", v->id);
	else if (errno == EPROTO)
		vmm_end(v->vm, VM_END_ERROR, "vCPU %u: %s", v->id,
			sev_vcpu_why(v->vm->mig.sev, v->id));
	else
		vmm_end(v->vm, VM_END_ERROR, "vCPU %u: KVM_RUN: %m", v->id);
}

/* One entry into the guest. false: no other before the vCPU has parked. */
static bool vcpu_step(struct vmm_vcpu *v)
{
	if (vcpu_run(v) == 0)
		return vmm_exit(v);
	/* EAGAIN: a secondary CPU that waits for its start-up interrupt. */
	if (errno == EINTR || errno == EAGAIN)
		return true;
	vcpu_failed(v);
	return false;
}

/* Finish the last exit: where RIP stands at an exit, and whether an input has reached its register,
 * differs between hosts until KVM_RUN was called again. It may exit once more (string I/O). */
static void vcpu_complete(struct vmm_vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELAXED);
	while (vcpu_run(v) == 0)
		if (!vmm_exit(v))
			return;
	if (errno != EINTR && errno != EAGAIN)
		vcpu_failed(v);
}

/* false: the VM is being taken down. */
static bool vcpu_park(struct vmm_vcpu *v)
{
	struct vm *vm = v->vm;
	bool on;

	vmm_lock_take(&vm->lock);
	vm->parked++;
	vmm_lock_tell(&vm->lock);
	while (!vm->go && !vm->quit)
		vmm_lock_wait(&vm->lock);
	on = !vm->quit;
	if (on) {
		vm->parked--;
		/* Whoever stops us sets it again, with the lock. */
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_RELAXED);
	}
	vmm_lock_drop(&vm->lock);
	return on;
}

static void *vcpu_main(void *arg)
{
	struct vmm_vcpu *v = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu %u", v->id);
	pthread_setname_np(pthread_self(), name);
	vmm_kick_accept();
	while (vcpu_park(v)) {
		bool alive = true;

		while (alive && !atomic_load(&v->vm->halt))
			alive = vcpu_step(v);
		if (alive)
			vcpu_complete(v);
	}
	return NULL;
}

int vmm_vcpu_open(struct vm *vm, unsigned id, struct err *e)
{
	struct vmm_vcpu *v = &vm->vcpu[id];
	void *run;

	*v = (struct vmm_vcpu){ .vm = vm, .id = id };
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (v->fd < 0)
		return err_set(e, -errno, "vCPU %u: KVM_CREATE_VCPU: %m", id);
	vm->nvcpu = id + 1;
	run = mmap(NULL, vm->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return err_set(e, -errno, "vCPU %u: map kvm_run: %m", id);
	v->run = run;
	return sev_vcpu_add(vm->mig.sev, id, v->fd, v->run, e);
}

int vmm_vcpu_thread(struct vmm_vcpu *v, struct err *e)
{
	sigset_t all, old;
	int r;

	/* Signals are for the program's own threads; the kick is let in by vcpu_main(). */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&v->thread, NULL, vcpu_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return err_set(e, -r, "vCPU %u: thread: %s", v->id, strerrordesc_np(r));
	v->has_thread = true;
	return 0;
}

void vmm_vcpu_kick(struct vmm_vcpu *v)
{
	/* The flag stops an entry that has not begun, the signal one that has. */
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELAXED);
	if (v->has_thread)
		vmm_kick_send(v->thread);
}

void vmm_vcpu_close(struct vmm_vcpu *v)
{
	if (v->run)
		munmap(v->run, v->vm->run_len);
	if (v->fd >= 0)
		close(v->fd);
	v->run = NULL;
	v->fd = -1;
}
