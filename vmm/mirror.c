/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A mirror VM for the migration handler: a second KVM VM over the guest's memory, on its encryption
 * context, with vCPUs that start in the handler's image. It has no devices and no interrupts; what
 * ends an entry is the handler's write to its port.
 */

#include "vmm/mirror.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "abi/handler.h"
#include "base/log.h"
#include "sev/vcpu.h"
#include "vmm/impl.h"
#include "vmm/kick.h"

/* For one batch of pages, on a host where many others run: then the handler is stuck. */
#define ANSWER_S 10
#define TSS_ADDR 0xfffbd000ul

#define CR0_PE_MP_ET_NE_WP_PG 0x80010033ull
#define CR4_PAE_FXSR_XMM 0x620ull
#define CR4_OSXSAVE (1ull << 18)
#define EFER_LME_LMA_NXE 0xd00ull
#define ECX1_XSAVE (1u << 26)

static struct vmm_mirror *mirror_of(struct mig_mirror *m)
{
	return (struct vmm_mirror *)(void *)m; /* its first member */
}

/* --- registers ------------------------------------------------------------------------------- */

static struct kvm_segment flat(uint16_t selector, bool code)
{
	return (struct kvm_segment){ .limit = 0xffffffff,
				     .selector = selector,
				     .type = code ? 11 : 3,
				     .present = 1,
				     .s = 1,
				     .l = code,
				     .db = !code,
				     .g = 1 };
}

static int mirror_cpuid(struct vmm_mirror *m, unsigned id, bool *xsave, uint64_t *xcr0,
			struct err *e)
{
	const struct vmm_machine *from = &m->vm->machine;
	auto_mem struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + from->n * sizeof(t->entries[0]));

	if (!t)
		return err_set(e, -ENOMEM, "CPUID: %m");
	t->nent = from->n;
	memcpy(t->entries, from->cpuid, from->n * sizeof(t->entries[0]));
	for (uint32_t i = 0; i < t->nent; i++) {
		const struct kvm_cpuid_entry2 *c = &t->entries[i];

		if (c->function == 1)
			*xsave = c->ecx & ECX1_XSAVE;
		if (c->function == 0xd && c->index == 0)
			*xcr0 = c->eax | (uint64_t)c->edx << 32;
	}
	if (sev_vcpu_ioctl(m->sev, id, KVM_SET_CPUID2, t) < 0)
		return err_set(e, -errno, "KVM_SET_CPUID2: %m");
	return 0;
}

static int mirror_registers(struct vmm_mirror *m, unsigned id, bool xsave, struct err *e)
{
	struct kvm_regs r = { .rip = HANDLER_IMAGE, .rdi = id, .rflags = 2 };
	struct kvm_sregs s;

	if (sev_vcpu_ioctl(m->sev, id, KVM_GET_SREGS, &s) < 0)
		return err_set(e, -errno, "KVM_GET_SREGS: %m");
	s.cs = flat(8, true);
	s.ds = s.es = s.fs = s.gs = s.ss = flat(16, false);
	s.gdt.limit = s.idt.limit = 0;
	s.cr3 = HANDLER_TABLES | 1ull << m->sev->cbit;
	s.cr4 = CR4_PAE_FXSR_XMM | (xsave ? CR4_OSXSAVE : 0);
	s.cr0 = CR0_PE_MP_ET_NE_WP_PG;
	s.efer = EFER_LME_LMA_NXE;
	if (sev_vcpu_ioctl(m->sev, id, KVM_SET_SREGS, &s) < 0)
		return err_set(e, -errno, "KVM_SET_SREGS: %m");
	if (sev_vcpu_ioctl(m->sev, id, KVM_SET_REGS, &r) < 0)
		return err_set(e, -errno, "KVM_SET_REGS: %m");
	return 0;
}

/* All that the host has: the handler looks what it may use. */
static void mirror_xcr0(struct vmm_mirror *m, unsigned id, uint64_t xcr0)
{
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = xcr0 | 1 } } };

	if (sev_vcpu_ioctl(m->sev, id, KVM_SET_XCRS, &x) < 0)
		log_debug("vmm", "mirror: KVM_SET_XCRS %#llx: %m", (unsigned long long)xcr0);
}

/* --- making and ending ----------------------------------------------------------------------- */

static int mirror_vcpu(struct vmm_mirror *m, unsigned id, struct err *e)
{
	struct mirror_vcpu *v = &m->vcpu[id];
	bool xsave = false;
	uint64_t xcr0 = 0;
	void *run;
	int r;

	m->nvcpu = id + 1;
	*v = (struct mirror_vcpu){ .fd = ioctl(m->fd, KVM_CREATE_VCPU, (unsigned long)id) };
	if (v->fd < 0)
		return err_set(e, -errno, "KVM_CREATE_VCPU: %m");
	run = mmap(NULL, m->vm->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return err_set(e, -errno, "map kvm_run: %m");
	v->run = run;
	r = sev_vcpu_add(m->sev, id, v->fd, v->run, e);
	if (!r)
		r = mirror_cpuid(m, id, &xsave, &xcr0, e);
	if (!r)
		r = mirror_registers(m, id, xsave, e);
	if (!r && xsave)
		mirror_xcr0(m, id, xcr0);
	return r;
}

static void vcpu_close(struct vmm_mirror *m, struct mirror_vcpu *v)
{
	if (v->timed)
		timer_delete(v->timer);
	if (v->run)
		munmap(v->run, m->vm->run_len);
	if (v->fd >= 0)
		close(v->fd);
}

static void mirror_close(struct mig_mirror *base)
{
	struct vmm_mirror *m = mirror_of(base);

	for (unsigned i = 0; i < m->nvcpu; i++)
		vcpu_close(m, &m->vcpu[i]);
	m->nvcpu = 0;
	sev_vm_free(m->sev);
	m->sev = NULL;
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

static int mirror_make(struct vmm_mirror *m, unsigned vcpus, struct err *e)
{
	int r;

	m->fd = ioctl(m->vm->kvm_fd, KVM_CREATE_VM, 0);
	if (m->fd < 0)
		return err_set(e, -errno, "KVM_CREATE_VM: %m");
	if (ioctl(m->fd, KVM_SET_TSS_ADDR, TSS_ADDR) < 0)
		return err_set(e, -errno, "KVM_SET_TSS_ADDR: %m");
	r = sev_vm_mirror(m->vm->mig.sev, m->vm->kvm_fd, m->fd, &m->sev, e);
	for (unsigned i = 0; !r && i < vcpus; i++)
		r = mirror_vcpu(m, i, e);
	return r;
}

static int mirror_open(struct mig_mirror *base, unsigned vcpus, struct err *e)
{
	struct vmm_mirror *m = mirror_of(base);
	int r;

	if (m->fd >= 0)
		return err_set(e, -EBUSY, "the handler is at work already");
	if (!vcpus || vcpus > HANDLER_VCPUS_MAX)
		return err_set(e, -EINVAL, "%u vCPUs for the handler: 1 to %u", vcpus,
			       HANDLER_VCPUS_MAX);
	r = mirror_make(m, vcpus, e);
	if (r < 0) {
		mirror_close(base);
		return err_wrap(e, r, "mirror VM");
	}
	return 0;
}

/* --- entering -------------------------------------------------------------------------------- */

/* A handler that does not come back is interrupted by a signal to this thread. */
static int timer_arm(struct mirror_vcpu *v, unsigned s, struct err *e)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = vmm_kick_signal() };
	struct itimerspec at = { .it_value = { s, 0 }, .it_interval = { 0, s ? 10000000 : 0 } };

	if (!v->timed || v->thread != gettid()) {
		if (v->timed)
			timer_delete(v->timer);
		v->timed = false;
		vmm_kick_accept();
		v->thread = gettid();
		ev._sigev_un._tid = v->thread;
		if (timer_create(CLOCK_MONOTONIC, &ev, &v->timer) < 0)
			return err_set(e, -errno, "timer: %m");
		v->timed = true;
	}
	return timer_settime(v->timer, 0, &at, NULL) < 0 ? err_set(e, -errno, "timer: %m") : 0;
}

static uint64_t rip_of(struct vmm_mirror *m, unsigned id)
{
	struct kvm_regs r = { 0 };

	(void)!sev_vcpu_ioctl(m->sev, id, KVM_GET_REGS, &r);
	return r.rip;
}

static int died(struct vmm_mirror *m, unsigned id, struct err *e)
{
	return err_set(e, -EIO, "the handler's vCPU %u died at %#llx (exit %u)", id,
		       (unsigned long long)rip_of(m, id), m->vcpu[id].run->exit_reason);
}

static int until_answer(struct vmm_mirror *m, unsigned id, struct err *e)
{
	const struct kvm_run *run = m->vcpu[id].run;
	time_t end = time(NULL) + ANSWER_S;

	for (;;) {
		int r = sev_vcpu_run(m->sev, id);

		if (r == -EINTR || r == -EAGAIN) {
			if (time(NULL) >= end)
				return err_set(e, -ETIMEDOUT,
					       "the handler's vCPU %u did not answer for %d s", id,
					       ANSWER_S);
			continue;
		}
		if (r < 0) {
			errno = -r;
			return err_set(e, r, "the handler's vCPU %u: KVM_RUN: %m", id);
		}
		if (run->exit_reason != KVM_EXIT_IO)
			return died(m, id, e);
		if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == HANDLER_PORT)
			return 0;
	}
}

static int mirror_enter(struct mig_mirror *base, unsigned id, struct err *e)
{
	struct vmm_mirror *m = mirror_of(base);
	struct err ignored;
	int r;

	if (id >= m->nvcpu)
		return err_set(e, -EINVAL, "the handler has no vCPU %u", id);
	r = timer_arm(&m->vcpu[id], ANSWER_S, e);
	if (r < 0)
		return r;
	r = until_answer(m, id, e);
	if (timer_arm(&m->vcpu[id], 0, &ignored) < 0)
		log_debug("vmm", "%s", ignored.msg);
	return r;
}

static const struct mig_mirror_ops mirror_ops = {
	.open = mirror_open,
	.enter = mirror_enter,
	.close = mirror_close,
};

void vmm_mirror_init(struct vmm_mirror *m, struct vm *vm)
{
	*m = (struct vmm_mirror){ .base = { .ops = &mirror_ops }, .vm = vm, .fd = -1 };
	m->base.mailbox = vmm_memory_at(&vm->mem, gpa(HANDLER_MAILBOX),
					HANDLER_VCPUS_MAX * HANDLER_MAILBOX_LEN);
	m->base.window = vmm_memory_at(&vm->mem, gpa(HANDLER_WINDOW), HANDLER_WINDOW_LEN);
}
