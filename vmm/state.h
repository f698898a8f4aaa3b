/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything of a VM that is not memory, as records: { tag u16, version u16, index u32, len u32,
 * bytes }, little endian; the index is the vCPU's (or the interrupt controller's). The first record
 * is HEAD; each of the others is there exactly once for each vCPU, or once. What KVM gives and
 * takes travels in the layout of Linux's x86 ABI. Registers that an SEV-ES guest's vCPUs have in
 * their VMSAs have no record in its state, and must not.
 *
 * The decoder is pure: it fills a struct vmm_state and nothing has happened before all of it was
 * found good.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "base/buf.h"
#include "base/err.h"

#define STATE_XSAVE_MAX 16384u
#define STATE_MSRS_MAX 512u
#define STATE_BLOB_MAX (1u << 20) /* of the serial port, the ports or the devices */

struct vmm_vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_lapic_state lapic;
	struct kvm_xcrs xcrs;
	uint64_t extra[4]; /* GHCB MSR, TSC offset, has it, TSC kHz */
	uint8_t xsave[STATE_XSAVE_MAX];
	uint32_t xsave_len;
	struct kvm_msr_entry msr[STATE_MSRS_MAX];
	uint32_t msr_len; /* bytes */
	uint32_t seen;    /* a bit a tag */
};
enum { STATE_EXTRA_GHCB, STATE_EXTRA_TSC_OFFSET, STATE_EXTRA_HAS_OFFSET, STATE_EXTRA_TSC_KHZ };

struct vmm_state_bytes {
	const uint8_t *p; /* borrowed */
	uint32_t len;
};

struct vmm_state {
	uint32_t nvcpu;
	struct vmm_vcpu_state *vcpu; /* owned */
	struct kvm_irqchip irqchip[3];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	uint64_t machine[3]; /* migration MSR, was it ever written, did the guest run */
	uint64_t es[2];      /* is it an SEV-ES guest, where its jump table is */
	struct vmm_state_bytes serial, ports, devices;
	uint32_t seen;
	uint32_t seen_chips;
};
enum { STATE_MACHINE_MIGRATION, STATE_MACHINE_WRITTEN, STATE_MACHINE_RAN };
enum { STATE_ES, STATE_ES_JUMP_TABLE };

int must_check vmm_state_init(struct vmm_state *s, uint32_t nvcpu, struct err *e);
void vmm_state_fini(struct vmm_state *s);
int must_check vmm_state_put(const struct vmm_state *s, struct buf *out, struct err *e);
/* Into a state made for as many vCPUs as this VM has. Spans point into p. */
int must_check vmm_state_get(const uint8_t *p, size_t len, struct vmm_state *s, struct err *e);
