/* SPDX-License-Identifier: Apache-2.0 */

/* Between a vCPU that KVM runs and what of it stands in a VMSA. */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sev/soft_cpu.h"
#include "sev/vcpu.h"

#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_EFER 0xc0000080u
#define MSR_XSS 0xda0u

static const struct {
	uint32_t index;
	uint16_t of; /* in struct sev_vmsa_regs */
	uint8_t len;
} msrs[] = {
#define MSR(index, member)                                                                         \
	{                                                                                          \
		index, offsetof(struct sev_vmsa_regs, member),                                     \
			sizeof(((struct sev_vmsa_regs *)0)->member)                                \
	}
	MSR(0xc0000081u, star),    MSR(0xc0000082u, lstar),          MSR(0xc0000083u, cstar),
	MSR(0xc0000084u, sfmask),  MSR(0xc0000102u, kernel_gs_base), MSR(0x174u, sysenter_cs),
	MSR(0x175u, sysenter_esp), MSR(0x176u, sysenter_eip),        MSR(0x277u, pat),
	MSR(0x1d9u, debugctl),     MSR(0xc0000103u, tsc_aux),
};
#define MSRS (sizeof(msrs) / sizeof(msrs[0]))

bool sev_vcpu_msr_hidden(uint32_t index)
{
	for (size_t i = 0; i < MSRS; i++)
		if (msrs[i].index == index)
			return true;
	return index == MSR_FS_BASE || index == MSR_GS_BASE || index == MSR_EFER ||
	       index == MSR_XSS;
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry msr;
};

int soft_cpu_ioctl(int fd, unsigned long request, void *arg)
{
	int r = ioctl(fd, request, arg);

	return r < 0 ? -errno : r;
}

int soft_cpu_msr_get(int fd, uint32_t index, uint64_t *value)
{
	struct one_msr m = { .head = { .nmsrs = 1 }, .msr = { .index = index } };

	if (soft_cpu_ioctl(fd, KVM_GET_MSRS, &m) != 1)
		return -ENOENT;
	*value = m.msr.data;
	return 0;
}

static int msr_set(int fd, uint32_t index, uint64_t value)
{
	struct one_msr m = { .head = { .nmsrs = 1 }, .msr = { .index = index, .data = value } };

	return soft_cpu_ioctl(fd, KVM_SET_MSRS, &m) == 1 ? 0 : -EINVAL;
}

/* One that this host does not have reads 0, and stays 0. */
static void msrs_read(int fd, struct sev_vmsa_regs *r)
{
	for (size_t i = 0; i < MSRS; i++) {
		uint64_t value = 0;

		(void)!soft_cpu_msr_get(fd, msrs[i].index, &value);
		memcpy((uint8_t *)r + msrs[i].of, &value, msrs[i].len);
	}
}

static int msrs_write(int fd, const struct sev_vmsa_regs *r)
{
	for (size_t i = 0; i < MSRS; i++) {
		uint64_t value = 0;

		memcpy(&value, (const uint8_t *)r + msrs[i].of, msrs[i].len);
		if (msr_set(fd, msrs[i].index, value) < 0 && value)
			return -EINVAL;
	}
	return 0;
}

struct call {
	unsigned long request;
	void *arg;
};

static int calls(int fd, const struct call *c, size_t n)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = soft_cpu_ioctl(fd, c[i].request, c[i].arg);
	return r < 0 ? r : 0;
}

int soft_regs_read(int fd, struct sev_vmsa_regs *out)
{
	struct kvm_xcrs xcrs = { 0 };
	const struct call c[] = {
		{ KVM_GET_REGS, &out->regs },       { KVM_GET_SREGS, &out->sregs },
		{ KVM_GET_DEBUGREGS, &out->debug }, { KVM_GET_XCRS, &xcrs },
		{ KVM_GET_XSAVE, &out->xsave },
	};
	int r;

	memset(out, 0, sizeof(*out));
	r = calls(fd, c, sizeof(c) / sizeof(c[0]));
	if (r < 0)
		return r;
	out->xcr0 = 1;
	for (uint32_t i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++)
		if (xcrs.xcrs[i].xcr == 0)
			out->xcr0 = xcrs.xcrs[i].value;
	out->fpu = true;
	msrs_read(fd, out);
	return 0;
}

/* What no VMSA holds stays as it is: CR8, the APIC's base, interrupts and exceptions under way,
 * which setting registers would drop. */
int soft_regs_write(int fd, const struct sev_vmsa_regs *in)
{
	struct kvm_vcpu_events events = { 0 };
	struct sev_vmsa_regs now = *in;
	struct kvm_sregs was = { 0 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = in->xcr0 } } };
	const struct call before[] = {
		{ KVM_GET_VCPU_EVENTS, &events },
		{ KVM_GET_SREGS, &was },
	};
	const struct call after[] = {
		{ KVM_SET_REGS, &now.regs },       { KVM_SET_SREGS, &now.sregs },
		{ KVM_SET_XSAVE, &now.xsave },     { KVM_SET_XCRS, &xcrs },
		{ KVM_SET_DEBUGREGS, &now.debug },
	};
	int r = calls(fd, before, sizeof(before) / sizeof(before[0]));

	if (r < 0)
		return r;
	now.sregs.cr8 = was.cr8;
	now.sregs.apic_base = was.apic_base;
	memcpy(now.sregs.interrupt_bitmap, was.interrupt_bitmap, sizeof(was.interrupt_bitmap));
	r = calls(fd, after, sizeof(after) / sizeof(after[0]));
	if (r == 0)
		r = msrs_write(fd, in);
	return r < 0 ? r : soft_cpu_ioctl(fd, KVM_SET_VCPU_EVENTS, &events);
}
