/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/clock.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/log.h"

static uint64_t clock_ns(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t vmm_clock_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int vmm_tsc_offset(struct vmm_vcpu *v, uint64_t *offset, bool set)
{
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)offset };

	if (vmm_vcpu_ioctl(v, KVM_HAS_DEVICE_ATTR, &a) < 0)
		return -ENOTSUP;
	return vmm_vcpu_ioctl(v, set ? KVM_SET_DEVICE_ATTR : KVM_GET_DEVICE_ATTR, &a) < 0 ? -errno
											  : 0;
}

uint64_t vmm_clock_saved(const struct vmm_vcpu_state *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->msr_len / sizeof(s->msr[0]); i++)
		if (s->msr[i].index == index)
			return s->msr[i].data;
	return 0;
}

static void saved_set(struct vmm_vcpu_state *s, uint32_t index, uint64_t value)
{
	for (uint32_t i = 0; i < s->msr_len / sizeof(s->msr[0]); i++)
		if (s->msr[i].index == index)
			s->msr[i].data = value;
}

/* KVM says what the wall clock was at that moment, unless its clock runs by no stable TSC. */
int vmm_clock_capture(struct vm *vm, struct vmm_state *s, struct err *e)
{
	if (ioctl(vm->fd, KVM_GET_CLOCK, &s->clock) < 0)
		return err_set(e, -errno, "KVM_GET_CLOCK: %m");
	if (!(s->clock.flags & KVM_CLOCK_REALTIME))
		s->clock.realtime = clock_ns(CLOCK_REALTIME);
	for (unsigned i = 0; i < vm->nvcpu; i++) {
		uint64_t tsc;

		if (!vmm_msr_get(&vm->vcpu[i], MSR_TSC, &tsc))
			saved_set(&s->vcpu[i], MSR_TSC, tsc);
	}
	return 0;
}

/* How long the guest stood still; false, and 0, where the hosts' clocks cannot be believed. */
static bool gone(const struct vm *vm, const struct vmm_state *s, uint64_t *ns)
{
	uint64_t now = clock_ns(CLOCK_REALTIME), most = vmm_clock_now() - vm->accepted_ns;
	bool ok = now >= s->clock.realtime && now - s->clock.realtime <= most;

	*ns = ok ? now - s->clock.realtime : 0;
	return ok;
}

/* Only where the hardware scales; a difference that matters was refused by accept(). */
static void restore_khz(struct vmm_vcpu *v, const struct vmm_vcpu_state *s)
{
	uint64_t khz = s->extra[STATE_EXTRA_TSC_KHZ];

	if (!khz || khz > UINT32_MAX ||
	    ioctl(v->vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <= 0)
		return;
	if (vmm_vcpu_ioctl(v, KVM_SET_TSC_KHZ, (void *)(uintptr_t)khz) < 0)
		log_warn("vmm", "vCPU %u: TSC stays at its own frequency: %m", v->id);
}

/*
 * The guest's time stamp counters go on by what passed, and differ from each other as they did. A
 * plain write is second best: KVM takes values close to what it expects for an attempt to
 * synchronise and rounds them, possibly down.
 */
int vmm_clock_restore_tsc(struct vm *vm, const struct vmm_state *s, struct err *e)
{
	uint64_t now = 0, offset = 0, passed;
	bool precise;

	for (unsigned i = 0; i < vm->nvcpu; i++)
		restore_khz(&vm->vcpu[i], &s->vcpu[i]);
	precise = !vmm_tsc_offset(&vm->vcpu[0], &offset, false) &&
		  !vmm_msr_get(&vm->vcpu[0], MSR_TSC, &now);
	(void)gone(vm, s, &passed);
	passed = passed / 1000 * s->vcpu[0].extra[STATE_EXTRA_TSC_KHZ] / 1000;
	for (unsigned i = 0; i < vm->nvcpu; i++) {
		uint64_t mine = vmm_clock_saved(&s->vcpu[0], MSR_TSC) + passed - now + offset;

		if (s->vcpu[0].extra[STATE_EXTRA_HAS_OFFSET] &&
		    s->vcpu[i].extra[STATE_EXTRA_HAS_OFFSET])
			mine += s->vcpu[i].extra[STATE_EXTRA_TSC_OFFSET] -
				s->vcpu[0].extra[STATE_EXTRA_TSC_OFFSET];
		if (precise ? vmm_tsc_offset(&vm->vcpu[i], &mine, true)
			    : vmm_msr_set(&vm->vcpu[i], MSR_TSC,
					  vmm_clock_saved(&s->vcpu[i], MSR_TSC) + passed))
			return err_set(e, -EIO, "vCPU %u: TSC cannot be set", i);
	}
	return 0;
}

/* Where KVM adds the difference itself, nothing can pass between the two. */
int vmm_clock_restore(struct vm *vm, const struct vmm_state *s, struct err *e)
{
	int flags = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ADJUST_CLOCK);
	struct kvm_clock_data clock = { .clock = s->clock.clock };
	uint64_t passed;

	if (!gone(vm, s, &passed)) {
		log_warn("vmm",
			 "%s: the hosts' wall clocks do not agree, so the guest's is late "
			 "by its downtime",
			 vm->name);
	} else if (flags > 0 && (flags & KVM_CLOCK_REALTIME)) {
		clock.flags = KVM_CLOCK_REALTIME;
		clock.realtime = s->clock.realtime;
	} else {
		clock.clock += passed;
	}
	log_info("vmm", "%s: its clocks go on by %llu ms", vm->name,
		 (unsigned long long)(passed / 1000000));
	if (ioctl(vm->fd, KVM_SET_CLOCK, &clock) < 0)
		return err_set(e, -errno, "KVM_SET_CLOCK: %m");
	return 0;
}

void vmm_clock_forgive(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nvcpu; i++)
		(void)!vmm_vcpu_ioctl(&vm->vcpu[i], KVM_KVMCLOCK_CTRL, NULL);
}
