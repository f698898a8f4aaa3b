/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an SEV-ES guest says to its hypervisor: pure functions, tested on the host. The hypervisor
 * is hostile: what it answers is read once and checked, and the page holds nothing that it need not
 * see.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/ghcb.h"

/* Fields of the page beside the exit's own three, which always count. */
#define GHCB_RAX ((uint8_t)0x01)
#define GHCB_RBX ((uint8_t)0x02)
#define GHCB_RCX ((uint8_t)0x04)
#define GHCB_RDX ((uint8_t)0x08)
#define GHCB_CPL ((uint8_t)0x10)
#define GHCB_XCR0 ((uint8_t)0x20)

/* One exit: what goes out, and after it what came back. */
struct ghcb_call {
	uint64_t code, info1, info2;
	uint64_t rax, rbx, rcx, rdx, xcr0;
	uint64_t ret1, ret2; /* came back; of GHCB_RAISE vector and error code */
	uint8_t cpl;
	uint8_t out, in; /* GHCB_*: fields that go out, and that must come back */
};

/* Everything that is not in the call is zero in the page, and not valid. */
void ghcb_put(volatile struct ghcb *g, const struct ghcb_call *c, uint16_t version);

enum ghcb_result {
	GHCB_OK,
	GHCB_RAISE, /* an exception */
	GHCB_BAD,   /* refused, or malformed */
};
/* The answer: into the call. */
enum ghcb_result ghcb_get(volatile struct ghcb *g, struct ghcb_call *c);

/* The protocol both sides know, by the host's GHCB_MSR_SEV_INFO; 0: none. */
uint16_t ghcb_version(uint64_t info);

/* --- #VC -------------------------------------------------------------------------------------- */

/* General registers of who raised it. */
struct vc_regs {
	uint64_t rax, rbx, rcx, rdx;
	uint8_t cpl;
};

#define VC_INSN_MAX 15u

/*
 * The exit for the instruction of n bytes at p that raised #VC with this error code, and the
 * instruction's length. 0: not one that is dealt with, or not one that such a code belongs to.
 */
unsigned vc_exit(const uint8_t *p, size_t n, uint64_t error, const struct vc_regs *r,
		 struct ghcb_call *out);
/* What the instruction leaves in the registers. */
void vc_done(const struct ghcb_call *c, struct vc_regs *r);
