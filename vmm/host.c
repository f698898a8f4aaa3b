/* SPDX-License-Identifier: Apache-2.0 */

/* The VM in KVM: interrupt controllers, timer, which hypercalls and MSRs come to the monitor. */

#include "vmm/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm_para.h>

#include "vmm/probe.h"

/* Intel hosts need three pages for real mode and one for its identity page table; above the local
 * APIC and below the firmware, where no RAM is. */
#define TSS_ADDR 0xfeffd000ul
#define IDENTITY_MAP_ADDR 0xfeffc000ull

#define QUIRK_FIX_HYPERCALL_INSN (1u << 5)

static int host_chips(struct vm *vm, struct err *e)
{
	uint64_t identity = IDENTITY_MAP_ADDR;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDR) < 0)
		return err_set(e, -errno, "KVM_SET_TSS_ADDR: %m");
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return err_set(e, -errno, "KVM_SET_IDENTITY_MAP_ADDR: %m");
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_set(e, -errno, "KVM_CREATE_IRQCHIP: %m");
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		return err_set(e, -errno, "KVM_CREATE_PIT2: %m");
	return 0;
}

static int host_cap(struct vm *vm, uint32_t cap, uint64_t arg, const char *what, struct err *e)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &c) < 0)
		return err_set(e, -errno, "%s: %m", what);
	return 0;
}

/*
 * Where vmmcall never leaves the kernel, the guest gets #UD instead and rings the doorbell. The
 * exit is asked for even then: a KVM without it answers for itself, and nobody would ever see that
 * conversions were lost.
 */
int vmm_host_hypercalls(struct vm *vm, struct err *e)
{
	int mask = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_EXIT_HYPERCALL);
	bool reports = mask > 0 && (mask & (1 << KVM_HC_MAP_GPA_RANGE));
	int r = 0;

	if (reports)
		r = host_cap(vm, KVM_CAP_EXIT_HYPERCALL, 1u << KVM_HC_MAP_GPA_RANGE,
			     "KVM_CAP_EXIT_HYPERCALL", e);
	/* Linux rings no doorbell: on SEV hardware it is told instead that nobody listens. */
	vm->hypercalls_lost = !reports && !vm->mig.sev->soft;
	if (r < 0 || vm->hypercalls_lost ||
	    (reports && vmm_probe_hypercall() == VMM_HYPERCALL_EXITS))
		return r;
	return host_cap(vm, KVM_CAP_DISABLE_QUIRKS2, QUIRK_FIX_HYPERCALL_INSN,
			"KVM_CAP_DISABLE_QUIRKS2 (this KVM reports no hypercalls)", e);
}

int vmm_host_msr_filter(struct vm *vm, struct err *e)
{
	/* A clear bit is what exits; the filter allows everything else. */
	uint8_t none[2] = { 0, 0 };
	const uint32_t rw = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
	size_t n = 0;
	int r;

	r = host_cap(vm, KVM_CAP_X86_USER_SPACE_MSR,
		     KVM_MSR_EXIT_REASON_FILTER | KVM_MSR_EXIT_REASON_UNKNOWN |
			     KVM_MSR_EXIT_REASON_INVAL,
		     "KVM_CAP_X86_USER_SPACE_MSR", e);
	if (r < 0)
		return r;
	f.ranges[n++] = (struct kvm_msr_filter_range){
		.flags = rw, .nmsrs = 1, .base = MSR_MIGRATION, .bitmap = &none[0]
	};
	if (vm->mig.sev->soft) /* hardware answers these itself */
		f.ranges[n++] = (struct kvm_msr_filter_range){
			.flags = rw, .nmsrs = 2, .base = MSR_GHCB, .bitmap = &none[1]
		};
	if (ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &f) < 0)
		return err_set(e, -errno, "KVM_X86_SET_MSR_FILTER: %m");
	return 0;
}

int vmm_host_open(struct vm *vm, struct err *e)
{
	int r, len;

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		return err_set(e, -errno, "/dev/kvm: %m");
	if (ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return err_set(e, -ENOTSUP, "/dev/kvm: not KVM's API version 12");
	len = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (len < (int)sizeof(struct kvm_run))
		return err_set(e, -ENOTSUP, "KVM_GET_VCPU_MMAP_SIZE: %d", len);
	vm->run_len = (size_t)len;
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return err_set(e, -errno, "KVM_CREATE_VM: %m");
	r = host_chips(vm, e);
	if (r < 0)
		return r;
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) > 0) {
		struct err ignored = { 0 };

		vm->manual_dirty = !host_cap(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
					     KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, "", &ignored);
	}
	return 0;
}

void vmm_irq_line(struct vm *vm, unsigned irq, bool level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	/* Fails only for a line that does not exist. */
	(void)!ioctl(vm->fd, KVM_IRQ_LINE, &line);
}
