/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One vCPU inside the monitor: its thread, its exits, its MSRs. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "base/err.h"

struct vm;

#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_MTRR_DEFAULT 0x2ffu
#define MSR_GHCB 0xc0010130u
#define MSR_SEV_STATUS 0xc0010131u
#define MSR_MIGRATION 0x4b564d08u /* KVM_MIGRATION_CONTROL, bit 0: may be moved */

struct vmm_vcpu {
	struct vm *vm;
	unsigned id;
	int fd;              /* owned; -1: none */
	struct kvm_run *run; /* owned mapping of vm->run_len bytes */
	pthread_t thread;
	bool has_thread;
	uint64_t ghcb; /* MSR_GHCB; of the thread, or of anybody while parked */
};

/* vcpu.c */
int must_check vmm_vcpu_open(struct vm *vm, unsigned id, struct err *e);
/* As ioctl(2) on its descriptor, by way of sev/vcpu.h: -1 and errno when it fails. */
int vmm_vcpu_ioctl(struct vmm_vcpu *v, unsigned long request, void *arg);
int must_check vmm_vcpu_thread(struct vmm_vcpu *v, struct err *e);
/* Make vCPUs look at vm->halt. */
void vmm_vcpu_kick(struct vmm_vcpu *v);
void vmm_vcpu_close(struct vmm_vcpu *v);

/* exit.c: deal with the exit in v->run; false: the guest is over. */
bool vmm_exit(struct vmm_vcpu *v);
void vmm_msr_read(struct vmm_vcpu *v);
void vmm_msr_write(struct vmm_vcpu *v);
uint32_t vmm_doorbell(struct vmm_vcpu *v);

/* msr.c */
int must_check vmm_msr_get(struct vmm_vcpu *v, uint32_t index, uint64_t *value);
int must_check vmm_msr_set(struct vmm_vcpu *v, uint32_t index, uint64_t value);
/* Find out which can be saved and set on this host. */
int must_check vmm_msr_list(struct vm *vm, struct err *e);
