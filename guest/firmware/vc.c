/* SPDX-License-Identifier: Apache-2.0 */

/* SEV-ES: what needs the hypervisor raises #VC, whose handler asks by the GHCB page. Before there
 * is a page, CPUID is asked by the GHCB MSR; that is how this file learns what it runs on. */

#include <string.h>

#include "guest/firmware/firmware.h"
#include "guest/ghcb.h"

#define CPUID_REGS 4

static bool on, soft, page;
static uint16_t version;

bool fw_vc_on(void)
{
	return on;
}

static void vmgexit(void)
{
	if (soft)
		__asm__ volatile("inl %0, %%eax" ::"i"(DOORBELL_VMGEXIT_PORT) : "eax", "memory");
	else
		__asm__ volatile("rep; vmmcall" ::: "memory");
}

/* By the MSR's protocol, which leaves the page's address to be set again. */
static uint64_t msr_ask(uint64_t v)
{
	uint32_t lo, hi;

	fw_wrmsr(GHCB_MSR, v);
	vmgexit();
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(GHCB_MSR) : "memory");
	return (uint64_t)hi << 32 | lo;
}

void fw_vc_terminate(void)
{
	msr_ask(GHCB_MSR_TERMINATE_OF(GHCB_TERMINATE_SET, GHCB_TERMINATE_GENERAL));
	for (;;)
		__asm__ volatile("hlt");
}

/* On hardware this CPUID raises #VC, and nothing is soft yet. */
static bool is_soft(void)
{
	struct fw_cpuid c;

	fw_cpuid(DOORBELL_CPUID, &c);
	return c.ebx == DOORBELL_SOFT_EBX && c.ecx == DOORBELL_SOFT_ECX &&
	       c.edx == DOORBELL_SOFT_EDX;
}

void fw_vc_init(void)
{
	uint32_t *ap_soft = (uint32_t *)(void *)fw_private(FW_AP_AT + FW_AP_SOFT);

	if (!(fw_sev_status & FW_SEV_ES))
		return;
	on = true;
	soft = is_soft();
	version = ghcb_version(msr_ask(GHCB_MSR_SEV_INFO_REQ));
	if (!version)
		fw_vc_terminate();
	memset(fw_private(FW_AP_AT), 0, 4096);
	*ap_soft = soft;
	memset(fw_shared(FIRMWARE_GHCB_AT), 0, FIRMWARE_GHCB_LEN);
	fw_wrmsr(GHCB_MSR, FIRMWARE_GHCB_AT);
	page = true;
}

void fw_vc_fini(void)
{
	page = false;
	fw_wrmsr(GHCB_MSR, 0);
}

static enum ghcb_result page_ask(struct ghcb_call *c)
{
	volatile struct ghcb *g = (volatile struct ghcb *)(void *)fw_shared(FIRMWARE_GHCB_AT);

	ghcb_put(g, c, version);
	vmgexit();
	return ghcb_get(g, c);
}

static bool cpuid_early(struct ghcb_call *c)
{
	uint64_t *const to[CPUID_REGS] = { &c->rax, &c->rbx, &c->rcx, &c->rdx };
	uint32_t leaf = (uint32_t)c->rax;

	for (unsigned i = 0; i < CPUID_REGS; i++) {
		uint64_t v = msr_ask(GHCB_MSR_CPUID_OF(leaf, i));

		if ((v & GHCB_MSR_CODE) != GHCB_MSR_CPUID_RESP)
			return false;
		*to[i] = v >> 32;
	}
	return true;
}

bool fw_vc_handle(struct fw_frame *f)
{
	struct vc_regs r = { f->rax, f->rbx, f->rcx, f->rdx, f->cs & 3 };
	struct ghcb_call c;
	unsigned len = vc_exit((const uint8_t *)f->rip, VC_INSN_MAX, f->code, &r, &c);

	if (!len || !on)
		return false;
	if (page ? page_ask(&c) != GHCB_OK : c.code != GHCB_EXIT_CPUID || !cpuid_early(&c))
		return false;
	vc_done(&c, &r);
	f->rax = r.rax;
	f->rbx = r.rbx;
	f->rcx = r.rcx;
	f->rdx = r.rdx;
	f->rip += len;
	return true;
}

void fw_vc_jump_table(uint64_t at)
{
	struct ghcb_call c = { .code = GHCB_EXIT_AP_JUMP_TABLE,
			       .info1 = GHCB_JUMP_TABLE_SET,
			       .info2 = at };

	if (page_ask(&c) != GHCB_OK)
		fw_die("the host does not take the AP jump table");
}
