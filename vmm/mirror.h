/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include <linux/kvm.h>

#include "abi/handler.h"
#include "migrate/mirror.h"
#include "sev/sev.h"

struct vm;

struct mirror_vcpu {
	int fd;              /* owned; -1: none */
	struct kvm_run *run; /* owned mapping */
	bool timed;
	timer_t timer; /* owned, if timed; of the thread that enters */
	pid_t thread;
};

/* The handler of a VM, at work only between open and close. */
struct vmm_mirror {
	struct mig_mirror base; /* first */
	struct vm *vm;          /* borrowed */
	int fd;                 /* owned; -1: closed */
	struct sev_vm *sev;     /* owned */
	struct mirror_vcpu vcpu[HANDLER_VCPUS_MAX];
	unsigned nvcpu;
};

/* vm's memory is mapped and has room for the handler. */
void vmm_mirror_init(struct vmm_mirror *m, struct vm *vm);
