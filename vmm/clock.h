/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a guest knows of time, and what a migration does to it. Its clocks, KVM's own and the time
 * stamp counters, never go back and go on by what really passed while it stood still.
 *
 * What passed is the difference between the hosts' wall clocks: the source's at the stop, the
 * target's now. The target trusts it only as far as it can check: the guest still ran when it was
 * accepted here, so it cannot have stood still for longer than that. Wall clocks that say otherwise
 * are wrong, and the guest's clocks then go on from where they stood.
 */

#include "vmm/impl.h"
#include "vmm/state.h"

/* Get or set; -ENOTSUP where KVM has no such thing. */
int must_check vmm_tsc_offset(struct vmm_vcpu *v, uint64_t *offset, bool set);
/* A saved MSR's value, or 0. */
uint64_t vmm_clock_saved(const struct vmm_vcpu_state *s, uint32_t index);
/* After the vCPUs' MSRs: all clocks anew, of one moment. */
int must_check vmm_clock_capture(struct vm *vm, struct vmm_state *s, struct err *e);
/* Before the vCPUs' other MSRs: a deadline is in ticks of this counter. */
int must_check vmm_clock_restore_tsc(struct vm *vm, const struct vmm_state *s, struct err *e);
/* After them: setting it makes KVM write it anew for each vCPU. */
int must_check vmm_clock_restore(struct vm *vm, const struct vmm_state *s, struct err *e);
uint64_t vmm_clock_now(void); /* monotonic, for accepted_ns */
/* Tell each guest CPU that it stood still, so that its watchdogs do not fire. Guests without KVM's
 * clock make this fail, which is fine. */
void vmm_clock_forgive(struct vm *vm);
