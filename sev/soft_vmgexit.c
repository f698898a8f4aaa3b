/* SPDX-License-Identifier: Apache-2.0 */

/*
 * KVM's half of VMGEXIT: the GHCB page is looked for, read once, and what it asks is either
 * answered here or shown to the monitor as the exit it stands for. What the page says is the
 * guest's word: it may be wrong in every way, and other vCPUs may write to it meanwhile.
 */

#include <stdlib.h>
#include <stdatomic.h>
#include <string.h>

#include <linux/kvm_para.h>

#include "base/auto.h"
#include "sev/soft_cpu.h"
#include "sev/soft_vm.h"
#include "sev/vcpu.h"

#define PIO_OFFSET                                                                                 \
	PAGE_LEN /* of the data of port I/O in struct kvm_run's mapping, as KVM has it             \
		  */
#define MSR_TSC 0x10u
#define MSR_TSC_AUX 0xc0000103u
#define CPUID_MAX 256u
#define VECTOR_GP 13u

static struct kvm_run *run_of(struct soft_vm *vm, unsigned id)
{
	return vm->base.vcpu[id].run;
}

/* --- guest memory -------------------------------------------------------------------------------
 */

static struct gpa page_at(const struct soft_vcpu *v)
{
	return gpa(v->ghcb & ~GHCB_MSR_CODE);
}

static int answer(struct soft_vm *vm, unsigned id, const struct soft_ghcb_answer *a)
{
	struct gpa at = page_at(&vm->vcpu[id]);
	uint8_t *page = soft_mem_shared_at(vm, at, GHCB_LEN);

	if (!page)
		return soft_vcpu_die(&vm->vcpu[id], "its GHCB is gone");
	soft_ghcb_answer(page, a);
	soft_vm_wrote(vm, at, GHCB_LEN);
	return 0;
}

static int answer_error(struct soft_vm *vm, unsigned id, unsigned error)
{
	const struct soft_ghcb_answer a = { .info1 = GHCB_ERROR, .info2 = error };

	return answer(vm, id, &a);
}

static int answer_gp(struct soft_vm *vm, unsigned id)
{
	const struct soft_ghcb_answer a = {
		.info1 = GHCB_EXCEPTION,
		.info2 = VECTOR_GP | GHCB_EVENT_EXCEPTION | GHCB_EVENT_HAS_ERROR | GHCB_EVENT_VALID,
	};

	return answer(vm, id, &a);
}

static int answer_done(struct soft_vm *vm, unsigned id)
{
	const struct soft_ghcb_answer a = { .info1 = GHCB_DONE };

	return answer(vm, id, &a);
}

/* Data beyond registers, from the copy of the page or from elsewhere in shared memory. */
static const uint8_t *buf_read(struct soft_vm *vm, const struct soft_ghcb_buf *b,
			       const uint8_t *copy)
{
	return b->inside ? copy + b->at : soft_mem_shared_at(vm, b->gpa, b->len);
}

static void buf_write(struct soft_vm *vm, const struct soft_ghcb_buf *b, const uint8_t *from)
{
	uint8_t *to = soft_mem_shared_at(vm, b->gpa, b->len);

	if (!to)
		return; /* seen to be there when it was asked for */
	memcpy(to, from, b->len);
	soft_vm_wrote(vm, b->gpa, b->len);
}

/* --- what the monitor is shown ------------------------------------------------------------------
 */

typedef int handler(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		    const uint8_t *copy);

/* A fresh exit, with nothing of an older one in it. */
static struct kvm_run *show(struct soft_vm *vm, unsigned id, uint32_t reason,
			    const struct soft_ghcb_call *c)
{
	struct kvm_run *run = run_of(vm, id);

	memset(run->padding, 0, sizeof(run->padding));
	run->exit_reason = reason;
	vm->vcpu[id].call = *c;
	vm->vcpu[id].shown = true;
	return run;
}

static int show_io(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		   const uint8_t *copy)
{
	uint8_t *data = (uint8_t *)run_of(vm, id) + PIO_OFFSET;
	const uint8_t *from = c->io.string ? buf_read(vm, &c->buf, copy) : NULL;
	struct kvm_run *run;

	if (c->io.string && !from)
		return answer_error(vm, id, GHCB_ERROR_SCRATCH);
	run = show(vm, id, KVM_EXIT_IO, c);
	run->io.direction = c->io.in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = c->io.size;
	run->io.port = c->io.port;
	run->io.count = c->io.count;
	run->io.data_offset = PIO_OFFSET;
	if (c->io.in)
		memset(data, 0, c->io.string ? c->buf.len : c->io.size);
	else if (c->io.string)
		memcpy(data, from, c->buf.len);
	else
		memcpy(data, &c->rax, c->io.size);
	return 1;
}

static int show_msr(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		    const uint8_t *copy)
{
	bool write = c->what == SOFT_GHCB_WRMSR;
	struct kvm_run *run = show(vm, id, write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR, c);

	(void)copy;
	run->msr.index = (uint32_t)c->rcx;
	run->msr.reason = KVM_MSR_EXIT_REASON_FILTER;
	if (write)
		run->msr.data = c->rdx << 32 | (uint32_t)c->rax;
	return 1;
}

static int show_hypercall(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
			  const uint8_t *copy)
{
	const struct soft_ghcb_answer refused = { .rax = (uint64_t)-KVM_EPERM,
						  .regs = SOFT_GHCB_RAX };
	struct kvm_run *run;

	(void)copy;
	if (c->cpl)
		return answer(vm, id, &refused);
	run = show(vm, id, KVM_EXIT_HYPERCALL, c);
	run->hypercall.nr = c->rax;
	run->hypercall.args[0] = c->rbx;
	run->hypercall.args[1] = c->rcx;
	run->hypercall.args[2] = c->rdx;
	run->hypercall.longmode = 1;
	return 1;
}

static int show_mmio(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		     const uint8_t *copy)
{
	const uint8_t *from = buf_read(vm, &c->buf, copy);
	struct kvm_run *run;

	if (!from)
		return answer_error(vm, id, GHCB_ERROR_SCRATCH);
	run = show(vm, id, KVM_EXIT_MMIO, c);
	run->mmio.phys_addr = c->info1;
	run->mmio.len = c->buf.len;
	run->mmio.is_write = c->what == SOFT_GHCB_MMIO_WRITE;
	if (run->mmio.is_write)
		memcpy(run->mmio.data, from, c->buf.len);
	return 1;
}

/* Nothing is answered: the guest is over. */
static int show_end(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		    const uint8_t *copy)
{
	struct kvm_run *run = show(vm, id, KVM_EXIT_SYSTEM_EVENT, c);

	(void)copy;
	vm->vcpu[id].shown = false;
	run->system_event.type = KVM_SYSTEM_EVENT_SEV_TERM;
	run->system_event.ndata = 1;
	run->system_event.data[0] = vm->vcpu[id].ghcb;
	return 1;
}

/* --- what is answered at once -------------------------------------------------------------------
 */

static int do_nothing(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		      const uint8_t *copy)
{
	(void)c, (void)copy;
	return answer_done(vm, id);
}

/* Zeros where the table has no such leaf. */
static int cpuid(struct soft_vm *vm, unsigned id, uint32_t leaf, uint32_t index, uint32_t out[4])
{
	auto_mem struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + CPUID_MAX * sizeof(t->entries[0]));
	int r;

	memset(out, 0, 4 * sizeof(out[0]));
	if (!t)
		return -ENOMEM;
	t->nent = CPUID_MAX;
	r = soft_cpu_ioctl(vm->base.vcpu[id].fd, KVM_GET_CPUID2, t);
	for (uint32_t i = 0; r >= 0 && i < t->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &t->entries[i];

		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index)) {
			const uint32_t regs[] = { e->eax, e->ebx, e->ecx, e->edx };

			memcpy(out, regs, sizeof(regs));
			break;
		}
	}
	return r < 0 ? r : 0;
}

static int do_cpuid(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		    const uint8_t *copy)
{
	uint32_t regs[4];
	int r = cpuid(vm, id, (uint32_t)c->rax, (uint32_t)c->rcx, regs);
	const struct soft_ghcb_answer a = {
		.rax = regs[0],
		.rbx = regs[1],
		.rcx = regs[2],
		.rdx = regs[3],
		.regs = SOFT_GHCB_RAX | SOFT_GHCB_RBX | SOFT_GHCB_RCX | SOFT_GHCB_RDX,
	};

	(void)copy;
	return r < 0 ? r : answer(vm, id, &a);
}

static int do_tsc(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		  const uint8_t *copy)
{
	struct soft_ghcb_answer a = { .regs = SOFT_GHCB_RAX | SOFT_GHCB_RDX };
	int fd = vm->base.vcpu[id].fd;
	uint64_t tsc = 0;
	int r = soft_cpu_msr_get(fd, MSR_TSC, &tsc);

	(void)copy;
	a.rax = (uint32_t)tsc;
	a.rdx = tsc >> 32;
	if (r == 0 && c->code == GHCB_EXIT_RDTSCP) {
		a.regs |= SOFT_GHCB_RCX;
		r = soft_cpu_msr_get(fd, MSR_TSC_AUX, &a.rcx);
	}
	return r < 0 ? answer_error(vm, id, GHCB_ERROR_EVENT) : answer(vm, id, &a);
}

static int do_hold(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
		   const uint8_t *copy)
{
	(void)c, (void)copy;
	return soft_ap_hold(vm, id);
}

static int do_jump_table(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
			 const uint8_t *copy)
{
	struct soft_ghcb_answer a = { 0 };

	(void)copy;
	if (c->info1 == GHCB_JUMP_TABLE_SET)
		atomic_store(&vm->jump_table, c->info2);
	else
		a.info2 = atomic_load(&vm->jump_table);
	return answer(vm, id, &a);
}

static int do_unsupported(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c,
			  const uint8_t *copy)
{
	(void)copy;
	return soft_vcpu_die(&vm->vcpu[id], "the guest does not handle exit %#llx",
			     (unsigned long long)c->info1);
}

static handler *const handlers[SOFT_GHCB_WHATS] = {
	[SOFT_GHCB_NOTHING] = do_nothing,
	[SOFT_GHCB_IO] = show_io,
	[SOFT_GHCB_RDMSR] = show_msr,
	[SOFT_GHCB_WRMSR] = show_msr,
	[SOFT_GHCB_HYPERCALL] = show_hypercall,
	[SOFT_GHCB_MMIO_READ] = show_mmio,
	[SOFT_GHCB_MMIO_WRITE] = show_mmio,
	[SOFT_GHCB_CPUID] = do_cpuid,
	[SOFT_GHCB_TSC] = do_tsc,
	[SOFT_GHCB_HOLD] = do_hold,
	[SOFT_GHCB_JUMP_TABLE] = do_jump_table,
	[SOFT_GHCB_TERMINATE] = show_end,
	[SOFT_GHCB_UNSUPPORTED] = do_unsupported,
};

/* --- entrance -----------------------------------------------------------------------------------
 */

static int vmgexit_page(struct soft_vm *vm, unsigned id)
{
	struct soft_vcpu *v = &vm->vcpu[id];
	const uint8_t *page = soft_mem_shared_at(vm, page_at(v), GHCB_LEN);
	struct soft_ghcb_call c;
	uint8_t copy[GHCB_LEN];
	unsigned error;

	if (!page)
		return soft_vcpu_die(v,
				     "VMGEXIT with a GHCB at %#llx, where the guest has no "
				     "shared memory",
				     (unsigned long long)v->ghcb);
	memcpy(copy, page, sizeof(copy));
	error = soft_ghcb_decode(copy, page_at(v), &c);
	return error ? answer_error(vm, id, error) : handlers[c.what](vm, id, &c, copy);
}

static int vmgexit_cpuid(struct soft_vm *vm, unsigned id, const struct soft_ghcb_msr *m)
{
	uint32_t regs[4];
	int r = cpuid(vm, id, m->leaf, 0, regs);

	if (r == 0)
		vm->vcpu[id].ghcb = m->answer | (uint64_t)regs[m->reg] << 32;
	return r;
}

int soft_vmgexit(struct soft_vm *vm, unsigned id)
{
	const struct soft_ghcb_call nothing = { 0 };
	struct soft_vcpu *v = &vm->vcpu[id];
	struct soft_ghcb_msr m;

	soft_ghcb_msr(v->ghcb, vm->base.cbit, &m);
	switch (m.what) {
	case SOFT_MSR_PAGE:
		return vmgexit_page(vm, id);
	case SOFT_MSR_ANSWERED:
		v->ghcb = m.answer;
		return 0;
	case SOFT_MSR_CPUID:
		return vmgexit_cpuid(vm, id, &m);
	case SOFT_MSR_HOLD:
		return soft_ap_hold(vm, id);
	case SOFT_MSR_TERMINATE:
		return show_end(vm, id, &nothing, NULL);
	}
	return -EINVAL;
}

/* --- the monitor's answer -----------------------------------------------------------------------
 */

static int finish_io(struct soft_vm *vm, unsigned id, const struct soft_ghcb_call *c)
{
	const uint8_t *data = (const uint8_t *)run_of(vm, id) + PIO_OFFSET;
	struct soft_ghcb_answer a = { .regs = SOFT_GHCB_RAX };

	if (!c->io.in)
		return answer_done(vm, id);
	if (c->io.string) {
		buf_write(vm, &c->buf, data);
		return answer_done(vm, id);
	}
	/* As IN does: a narrow one leaves the rest of RAX alone, a wide one clears it. */
	a.rax = c->io.size < 4 ? c->rax : 0;
	memcpy(&a.rax, data, c->io.size);
	return answer(vm, id, &a);
}

static int finish_rdmsr(struct soft_vm *vm, unsigned id)
{
	uint64_t value = run_of(vm, id)->msr.data;
	const struct soft_ghcb_answer a = {
		.rax = (uint32_t)value,
		.rdx = value >> 32,
		.regs = SOFT_GHCB_RAX | SOFT_GHCB_RDX,
	};

	return run_of(vm, id)->msr.error ? answer_gp(vm, id) : answer(vm, id, &a);
}

static int finish_hypercall(struct soft_vm *vm, unsigned id)
{
	const struct soft_ghcb_answer a = { .rax = run_of(vm, id)->hypercall.ret,
					    .regs = SOFT_GHCB_RAX };

	return answer(vm, id, &a);
}

int soft_vmgexit_finish(struct soft_vm *vm, unsigned id)
{
	struct soft_vcpu *v = &vm->vcpu[id];

	if (!v->shown)
		return 0;
	v->shown = false;
	if (v->call.what == SOFT_GHCB_IO)
		return finish_io(vm, id, &v->call);
	if (v->call.what == SOFT_GHCB_RDMSR)
		return finish_rdmsr(vm, id);
	if (v->call.what == SOFT_GHCB_WRMSR)
		return run_of(vm, id)->msr.error ? answer_gp(vm, id) : answer_done(vm, id);
	if (v->call.what == SOFT_GHCB_HYPERCALL)
		return finish_hypercall(vm, id);
	if (v->call.what == SOFT_GHCB_MMIO_READ)
		buf_write(vm, &v->call.buf, run_of(vm, id)->mmio.data);
	return answer_done(vm, id);
}
