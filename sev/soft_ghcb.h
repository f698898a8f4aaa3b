/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an SEV-ES guest asks by VMGEXIT, taken apart. Pure: the page is a copy that was read from
 * guest memory once, and may hold anything; nothing in it is an address yet. abi/ghcb.h has the
 * layouts.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/ghcb.h"
#include "base/gpa.h"

enum soft_ghcb_what {
	SOFT_GHCB_NOTHING, /* done when it is answered */
	SOFT_GHCB_IO,
	SOFT_GHCB_RDMSR,
	SOFT_GHCB_WRMSR,
	SOFT_GHCB_HYPERCALL,
	SOFT_GHCB_MMIO_READ,
	SOFT_GHCB_MMIO_WRITE,
	SOFT_GHCB_CPUID,
	SOFT_GHCB_TSC, /* RDTSC, RDTSCP */
	SOFT_GHCB_HOLD,
	SOFT_GHCB_JUMP_TABLE,
	SOFT_GHCB_TERMINATE,
	SOFT_GHCB_UNSUPPORTED, /* the guest could not handle an exit: its code is info1 */
	SOFT_GHCB_WHATS
};

/* Where more data is than registers hold: in the page's own buffer, or elsewhere in shared memory,
 * which is for the caller to find out. */
struct soft_ghcb_buf {
	bool inside;
	uint32_t at; /* in the page */
	struct gpa gpa;
	uint32_t len;
};

#define SOFT_GHCB_DATA_MAX 4096u /* of one string I/O */

struct soft_ghcb_call {
	enum soft_ghcb_what what;
	uint32_t code;
	uint64_t info1, info2;
	uint64_t rax, rbx, rcx, rdx; /* 0 where the guest gave none */
	uint8_t cpl;
	struct {
		uint16_t port;
		uint8_t size;
		bool in, string;
		uint32_t count;
	} io;
	struct soft_ghcb_buf buf; /* string I/O, MMIO */
};

/* 0, or the GHCB_ERROR_ that the guest is to be told. at: where the page lies. */
unsigned soft_ghcb_decode(const uint8_t page[GHCB_LEN], struct gpa at, struct soft_ghcb_call *out);

enum { SOFT_GHCB_RAX = 1, SOFT_GHCB_RBX = 2, SOFT_GHCB_RCX = 4, SOFT_GHCB_RDX = 8 };
struct soft_ghcb_answer {
	uint64_t info1, info2;
	uint64_t rax, rbx, rcx, rdx;
	unsigned regs; /* which of them count */
};
/* Nothing of what the guest had said stays valid. */
void soft_ghcb_answer(uint8_t page[GHCB_LEN], const struct soft_ghcb_answer *a);

enum soft_ghcb_msr_what {
	SOFT_MSR_PAGE,     /* a page that starts where the value says */
	SOFT_MSR_ANSWERED, /* .answer is the MSR's new value */
	SOFT_MSR_CPUID,
	SOFT_MSR_HOLD,
	SOFT_MSR_TERMINATE,
};
struct soft_ghcb_msr {
	enum soft_ghcb_msr_what what;
	uint64_t answer; /* for CPUID without the value, for HOLD when the interrupt has come */
	uint32_t leaf;
	unsigned reg; /* EAX 0 to EDX 3 */
};
void soft_ghcb_msr(uint64_t value, unsigned cbit, struct soft_ghcb_msr *out);
/* What the MSR holds before the guest has written it. */
uint64_t soft_ghcb_msr_reset(unsigned cbit);
