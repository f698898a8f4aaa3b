/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the guest is shown of its CPU: KVM's own table, and what makes it an SEV processor. The
 * table is that of vCPU 0; APIC ids are filled in for each vCPU.
 */

#include "vmm/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/doorbell.h"

#define LEAF_KVM 0x40000001u
#define LEAF_EXT 0x80000000u
#define LEAF_ADDR 0x80000008u
#define LEAF_AMD_TOPOLOGY 0x8000001eu
#define LEAF_SEV 0x8000001fu

#define KVM_FEATURE_HC_MAP (1u << 16)
#define KVM_FEATURE_MIGRATION (1u << 17)
#define ECX_X2APIC (1u << 21)
#define ECX_DEADLINE (1u << 24)
#define ECX_HYPERVISOR (1u << 31)
#define SEV_BIT 2u
#define SEV_ES_BIT 8u
#define SEV_PHYS_REDUCTION                                                                         \
	(1u << 6) /* EBX 11:6; at least one, or Linux does not mask the C-bit                      \
		   */

static int cpuid_read(struct vm *vm, struct vmm_machine *out, struct err *e)
{
	const unsigned cap = 256;
	auto_mem struct kvm_cpuid2 *all = calloc(1, sizeof(*all) + cap * sizeof(all->entries[0]));

	if (!all)
		return err_set(e, -ENOMEM, "CPUID: %m");
	all->nent = cap;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, all) < 0)
		return err_set(e, -errno, "KVM_GET_SUPPORTED_CPUID: %m");
	out->n = 0;
	for (uint32_t i = 0; i < all->nent; i++) {
		struct kvm_cpuid_entry2 c = all->entries[i];

		/* A leaf of zeros reads as zeros without an entry, too. */
		if (!(c.eax | c.ebx | c.ecx | c.edx) && c.index)
			continue;
		if (out->n == MACHINE_CPUID_MAX)
			return err_set(e, -E2BIG, "CPUID: more than %u leaves", MACHINE_CPUID_MAX);
		c.flags &= KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		memset(c.padding, 0, sizeof(c.padding));
		out->cpuid[out->n++] = c;
	}
	return 0;
}

/* The leaf, made when there is none. */
static int cpuid_leaf(struct vmm_machine *m, uint32_t function, struct kvm_cpuid_entry2 **out,
		      struct err *e)
{
	*out = vmm_machine_leaf(m, function, 0);
	if (*out)
		return 0;
	if (m->n == MACHINE_CPUID_MAX)
		return err_set(e, -E2BIG, "CPUID: no room for leaf %#x", function);
	m->cpuid[m->n] = (struct kvm_cpuid_entry2){ .function = function };
	*out = &m->cpuid[m->n++];
	return 0;
}

static void cpuid_common(struct vm *vm, struct vmm_machine *m)
{
	struct kvm_cpuid_entry2 *c = vmm_machine_leaf(m, 1, 0);

	if (!c)
		return;
	c->ecx |= ECX_HYPERVISOR | ECX_X2APIC;
	/* KVM leaves it to the monitor to say that its interrupt controller has it. */
	if (ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		c->ecx |= ECX_DEADLINE;
}

/* On hardware, too, the table says what a guest is to see: SEV and no SME. */
static int cpuid_sev(struct vmm_machine *m, unsigned cbit, bool es, struct err *e)
{
	struct kvm_cpuid_entry2 *c;
	int r = cpuid_leaf(m, LEAF_EXT, &c, e);

	if (r < 0)
		return r;
	if (c->eax < LEAF_SEV)
		c->eax = LEAF_SEV;
	r = cpuid_leaf(m, LEAF_SEV, &c, e);
	if (r < 0)
		return r;
	c->eax = SEV_BIT | (es ? SEV_ES_BIT : 0);
	c->ebx = cbit | SEV_PHYS_REDUCTION;
	c->ecx = c->edx = 0;
	return 0;
}

/* The C-bit is an address bit here, so addresses must be that wide. */
static int cpuid_width(struct vmm_machine *m, unsigned cbit, struct err *e)
{
	struct kvm_cpuid_entry2 *c;
	int r = cpuid_leaf(m, LEAF_ADDR, &c, e);

	if (r < 0)
		return r;
	if ((c->eax & 0xff) <= cbit)
		c->eax = (c->eax & ~0xffu) | (cbit + 1);
	return 0;
}

/* So that code which leaves the guest by VMGEXIT knows how to do it here. */
static int cpuid_soft(struct vmm_machine *m, struct err *e)
{
	struct kvm_cpuid_entry2 *c;
	int r = cpuid_leaf(m, DOORBELL_CPUID, &c, e);

	if (r < 0)
		return r;
	c->ebx = DOORBELL_SOFT_EBX;
	c->ecx = DOORBELL_SOFT_ECX;
	c->edx = DOORBELL_SOFT_EDX;
	return 0;
}

int vmm_cpuid_host(struct vm *vm, struct vmm_machine *out, struct err *e)
{
	struct kvm_cpuid_entry2 *c;
	int khz, r;

	*out = vm->machine; /* firmware and devices */
	r = cpuid_read(vm, out, e);

	if (r < 0)
		return r;
	cpuid_common(vm, out);
	r = cpuid_leaf(out, LEAF_KVM, &c, e);
	if (r < 0)
		return r;
	/* Both or none: a guest that reports conversions expects to be asked about its moves. */
	if (!vm->cfg.no_migration && !vm->hypercalls_lost)
		c->eax |= KVM_FEATURE_HC_MAP | KVM_FEATURE_MIGRATION;
	r = cpuid_sev(out, vm->mig.sev->cbit, vmm_es(vm), e);
	if (!r && vm->mig.sev->soft)
		r = cpuid_width(out, vm->mig.sev->cbit, e);
	if (!r && vm->mig.sev->soft)
		r = cpuid_soft(out, e);
	if (vm->mig.sev->soft && vmm_es(vm))
		vmm_machine_narrow(out);
	khz = vm->nvcpu ? vmm_vcpu_ioctl(&vm->vcpu[0], KVM_GET_TSC_KHZ, NULL) : 0;
	out->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	out->tsc_scales = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
	return r;
}

static void cpuid_for_vcpu(struct kvm_cpuid2 *t, unsigned id, unsigned n)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *c = &t->entries[i];

		if (c->function == 1)
			c->ebx = (c->ebx & 0xffff) | id << 24 | (n & 0xff) << 16;
		else if (c->function == 0xb || c->function == 0x1f)
			c->edx = id;
		else if (c->function == LEAF_AMD_TOPOLOGY)
			c->eax = id;
	}
}

int vmm_cpuid_apply(struct vm *vm, struct err *e)
{
	const struct vmm_machine *m = &vm->machine;
	auto_mem struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + m->n * sizeof(t->entries[0]));

	if (!t)
		return err_set(e, -ENOMEM, "CPUID: %m");
	t->nent = m->n;
	memcpy(t->entries, m->cpuid, m->n * sizeof(t->entries[0]));
	for (unsigned i = 0; i < vm->nvcpu; i++) {
		cpuid_for_vcpu(t, i, vm->nvcpu);
		if (vmm_vcpu_ioctl(&vm->vcpu[i], KVM_SET_CPUID2, t) < 0)
			return err_set(e, -errno, "vCPU %u: KVM_SET_CPUID2: %m", i);
	}
	return vmm_msr_list(vm, e);
}
