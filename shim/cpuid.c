/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The CPUID instruction, executed by the client itself. Processors that can make it fault (Intel
 * since Ivy Bridge, newer AMD) do so for a thread that asks with arch_prctl(2), and for all that it
 * starts; exec ends it. The handler takes the host's own answer and changes what belongs to SEV.
 */

#include "shim/shim.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CPUID_EXTENDED 0x80000000u
#define CPUID_SEV_LEAF 0x8000001fu
#define CPUID_LEN 2

static bool faulting_set(bool on)
{
	return syscall(SYS_arch_prctl, ARCH_SET_CPUID, on ? 0 : 1) == 0;
}

bool shim_cpuid_start(void)
{
	return faulting_set(true);
}

static void leaf_get(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	uint32_t max;

	if (leaf == CPUID_SEV_LEAF) {
		sev_soft_cpuid(shim_config.cbit, r);
		return;
	}
	__cpuid(CPUID_EXTENDED, max, r[1], r[2], r[3]);
	/* Behind its last leaf the host would repeat another. */
	if (leaf > max && leaf > CPUID_EXTENDED && leaf < CPUID_SEV_LEAF) {
		r[0] = r[1] = r[2] = r[3] = 0;
		return;
	}
	__cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
	if (leaf == CPUID_EXTENDED && r[0] < CPUID_SEV_LEAF)
		r[0] = CPUID_SEV_LEAF;
}

bool shim_cpuid_answer(const siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint8_t *at = (const uint8_t *)g[REG_RIP]; /* was executed, so it can be read */
	uint32_t r[4];

	/* CPUID raises #GP, which has no address; memory that may not be touched has one. */
	if (info->si_code != SI_KERNEL || (uint64_t)g[REG_RIP] >> 47 || at[0] != 0x0f ||
	    at[1] != 0xa2)
		return false;
	faulting_set(false);
	leaf_get((uint32_t)g[REG_RAX], (uint32_t)g[REG_RCX], r);
	faulting_set(true);
	g[REG_RAX] = r[0];
	g[REG_RBX] = r[1];
	g[REG_RCX] = r[2];
	g[REG_RDX] = r[3];
	g[REG_RIP] += CPUID_LEN;
	return true;
}
