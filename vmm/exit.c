/* SPDX-License-Identifier: Apache-2.0 */

/* What brings a vCPU out of the guest, and what is done about it. Nothing here ends the monitor: a
 * guest that cannot go on is dead with a reason. */

#include "vmm/impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/kvm_para.h>

#include "base/log.h"

#define RIP_LEN 32u

/* " at 0x...", as far as it is for the monitor to know. */
static const char *exit_rip(struct vmm_vcpu *v, char out[RIP_LEN])
{
	struct kvm_regs regs = { 0 };

	out[0] = '\0';
	if (!vmm_es(v->vm) && vmm_vcpu_ioctl(v, KVM_GET_REGS, &regs) == 0)
		snprintf(out, RIP_LEN, " at %#llx", (unsigned long long)regs.rip);
	return out;
}

static bool exit_io(struct vmm_vcpu *v)
{
	struct kvm_run *run = v->run;

	vmm_ports_io(v->vm->ports, v, run->io.direction == KVM_EXIT_IO_IN, run->io.port,
		     run->io.size, run->io.count, (uint8_t *)run + run->io.data_offset);
	return true;
}

/* Devices on the PCI bus. The C-bit may be set: a guest's mapping is not ours to judge. */
static bool exit_mmio(struct vmm_vcpu *v)
{
	uint64_t at = v->run->mmio.phys_addr & ~(1ull << v->vm->mig.sev->cbit);

	if (!v->run->mmio.is_write)
		memset(v->run->mmio.data, 0xff, sizeof(v->run->mmio.data));
	if (dev_bus_mmio(v->vm->bus, gpa(at), v->run->mmio.is_write, v->run->mmio.data,
			 v->run->mmio.len))
		return true;
	log_debug("vmm", "vCPU %u: %s %u bytes at %#llx, where nothing is", v->id,
		  v->run->mmio.is_write ? "write" : "read", v->run->mmio.len,
		  (unsigned long long)at);
	return true;
}

static bool exit_hypercall(struct vmm_vcpu *v)
{
	const __u64 *a = v->run->hypercall.args;

	v->run->hypercall.ret =
		(uint64_t)vmm_hypercall(&v->vm->pages, v->run->hypercall.nr, a[0], a[1], a[2]);
	return true;
}

/* KVM itself refuses a hypercall from user mode, so this does, whatever the guest's I/O permission
 * bits are. */
uint32_t vmm_doorbell(struct vmm_vcpu *v)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	if (vmm_vcpu_ioctl(v, KVM_GET_REGS, &r) < 0 || vmm_vcpu_ioctl(v, KVM_GET_SREGS, &s) < 0 ||
	    s.ss.dpl != 0)
		return (uint32_t)-KVM_EPERM;
	return (uint32_t)vmm_hypercall(&v->vm->pages, r.rax, r.rbx, r.rcx, r.rdx);
}

static bool exit_rdmsr(struct vmm_vcpu *v)
{
	vmm_msr_read(v);
	return true;
}

static bool exit_wrmsr(struct vmm_vcpu *v)
{
	vmm_msr_write(v);
	return true;
}

static bool exit_nothing(struct vmm_vcpu *v)
{
	(void)v;
	return true;
}

static bool exit_hlt(struct vmm_vcpu *v)
{
	char at[RIP_LEN];

	vmm_end(v->vm, VM_END_ERROR, "vCPU %u halted for good%s", v->id, exit_rip(v, at));
	return false;
}

static bool exit_shutdown(struct vmm_vcpu *v)
{
	char at[RIP_LEN];

	vmm_end(v->vm, VM_END_ERROR, "vCPU %u: triple fault%s%s", v->id, exit_rip(v, at),
		vmm_es(v->vm) ? ": an SEV-ES guest cannot be reset, it has to be started anew"
			      : "");
	return false;
}

static bool exit_fail_entry(struct vmm_vcpu *v)
{
	vmm_end(v->vm, VM_END_ERROR, "vCPU %u: entry refused by the processor, reason %#llx", v->id,
		(unsigned long long)v->run->fail_entry.hardware_entry_failure_reason);
	return false;
}

static void insn_bytes(const struct kvm_run *run, char out[64])
{
	unsigned n = run->emulation_failure.insn_size;

	out[0] = '\0';
	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION || run->internal.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	if (n > sizeof(run->emulation_failure.insn_bytes))
		n = sizeof(run->emulation_failure.insn_bytes);
	for (unsigned i = 0; i < n; i++)
		snprintf(out + 3 * i, 4, " %02x", run->emulation_failure.insn_bytes[i]);
}

static bool exit_internal_error(struct vmm_vcpu *v)
{
	char bytes[64], at[RIP_LEN];

	insn_bytes(v->run, bytes);
	vmm_end(v->vm, VM_END_ERROR,
		"vCPU %u: KVM cannot go on (internal error %u)%s, instruction%s", v->id,
		v->run->internal.suberror, exit_rip(v, at), bytes[0] ? bytes : " unknown");
	return false;
}

/* By the GHCB MSR's protocol; set 0 is numbered by its specification. */
static void exit_sev_term(struct vmm_vcpu *v)
{
	uint64_t msr = v->run->system_event.data[0];

	vmm_end(v->vm, VM_END_ERROR, "vCPU %u: the guest asked to be ended, reason %u of set %u",
		v->id, (unsigned)(msr >> 16 & 0xff), (unsigned)(msr >> 12 & 0xf));
}

static bool exit_system_event(struct vmm_vcpu *v)
{
	uint32_t type = v->run->system_event.type;

	if (type == KVM_SYSTEM_EVENT_SHUTDOWN)
		vmm_end(v->vm, VM_END_POWEROFF, "power off");
	else if (type == KVM_SYSTEM_EVENT_RESET)
		vmm_reset(v->vm, "reset");
	else if (type == KVM_SYSTEM_EVENT_SEV_TERM)
		exit_sev_term(v);
	else
		vmm_end(v->vm, VM_END_ERROR, "vCPU %u: system event %u", v->id, type);
	return false;
}

static bool (*const exits[])(struct vmm_vcpu *v) = {
	[KVM_EXIT_IO] = exit_io,
	[KVM_EXIT_MMIO] = exit_mmio,
	[KVM_EXIT_HYPERCALL] = exit_hypercall,
	[KVM_EXIT_X86_RDMSR] = exit_rdmsr,
	[KVM_EXIT_X86_WRMSR] = exit_wrmsr,
	[KVM_EXIT_INTR] = exit_nothing,
	[KVM_EXIT_IRQ_WINDOW_OPEN] = exit_nothing,
	[KVM_EXIT_HLT] = exit_hlt,
	[KVM_EXIT_SHUTDOWN] = exit_shutdown,
	[KVM_EXIT_FAIL_ENTRY] = exit_fail_entry,
	[KVM_EXIT_INTERNAL_ERROR] = exit_internal_error,
	[KVM_EXIT_SYSTEM_EVENT] = exit_system_event,
};

bool vmm_exit(struct vmm_vcpu *v)
{
	uint32_t why = v->run->exit_reason;

	if (why < sizeof(exits) / sizeof(exits[0]) && exits[why])
		return exits[why](v);
	vmm_end(v->vm, VM_END_ERROR, "vCPU %u: exit %u, which this monitor does not know", v->id,
		why);
	return false;
}
