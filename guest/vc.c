/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/vc.h"

#include "abi/doorbell.h"
#include "guest/ghcb.h"
#include "guest/smp.h"

#define CPUID_REGS 4

static struct ghcb pages[GUEST_CPUS_MAX] __attribute__((aligned(4096)));
static bool page_used[GUEST_CPUS_MAX];
static bool on, soft;
static uint16_t version;

bool vc_on(void)
{
	return on;
}

uint64_t vc_pages(void)
{
	return (uintptr_t)pages;
}

/* The one way out. */
static void vmgexit(void)
{
	if (soft)
		__asm__ volatile("inl %0, %%eax" ::"i"(DOORBELL_VMGEXIT_PORT) : "eax", "memory");
	else
		__asm__ volatile("rep; vmmcall" ::: "memory");
}

static void msr_set(uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(GHCB_MSR), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

static uint64_t msr_get(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(GHCB_MSR) : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* By the MSR's protocol, which leaves the page's address to be set again. */
static uint64_t msr_ask(uint64_t v)
{
	msr_set(v);
	vmgexit();
	return msr_get();
}

static void terminate(unsigned reason) __attribute__((noreturn));
static void terminate(unsigned reason)
{
	msr_ask(GHCB_MSR_TERMINATE_OF(GHCB_TERMINATE_SET, reason));
	guest_halt();
}

static bool is_soft(void)
{
	uint32_t a = DOORBELL_CPUID, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return b == DOORBELL_SOFT_EBX && c == DOORBELL_SOFT_ECX && d == DOORBELL_SOFT_EDX;
}

void vc_init(void)
{
	uint64_t status;

	if (guest_rdmsr(GHCB_MSR_SEV_STATUS, &status) || !(status & GHCB_SEV_STATUS_ES))
		return;
	on = true;
	/* On hardware this raises #VC, and nothing is soft yet. */
	soft = is_soft();
	version = ghcb_version(msr_ask(GHCB_MSR_SEV_INFO_REQ));
	guest_info.ghcb = version;
	if (!version)
		terminate(GHCB_TERMINATE_PROTOCOL);
}

void vc_page_use(unsigned cpu)
{
	memset(&pages[cpu], 0, sizeof(pages[cpu]));
	msr_set((uintptr_t)&pages[cpu]);
	page_used[cpu] = true;
}

static enum ghcb_result page_ask(struct ghcb_call *c)
{
	volatile struct ghcb *g = &pages[smp_self()];

	ghcb_put(g, c, version);
	vmgexit();
	return ghcb_get(g, c);
}

/* --- #VC -------------------------------------------------------------------------------------- */

/* The MSR's answer to one register's worth of CPUID. */
static uint64_t cpuid_reg(uint32_t leaf, unsigned reg)
{
	uint64_t v = msr_ask(GHCB_MSR_CPUID_OF(leaf, reg));

	if ((v & GHCB_MSR_CODE) != GHCB_MSR_CPUID_RESP)
		terminate(GHCB_TERMINATE_GENERAL);
	return v >> 32;
}

static void cpuid_early(struct ghcb_call *c)
{
	uint64_t v[CPUID_REGS];

	for (unsigned i = 0; i < CPUID_REGS; i++)
		v[i] = cpuid_reg((uint32_t)c->rax, i);
	c->rax = v[0];
	c->rbx = v[1];
	c->rcx = v[2];
	c->rdx = v[3];
}

static enum ghcb_result ask(struct ghcb_call *c)
{
	if (page_used[smp_self()])
		return page_ask(c);
	if (c->code != GHCB_EXIT_CPUID)
		return GHCB_BAD;
	cpuid_early(c);
	return GHCB_OK;
}

bool vc_handle(struct trap_frame *f, uint64_t error)
{
	struct vc_regs r = { f->rax, f->rbx, f->rcx, f->rdx, f->cs & 3 };
	struct ghcb_call c;
	unsigned len = vc_exit((const uint8_t *)f->rip, VC_INSN_MAX, error, &r, &c);
	enum ghcb_result got = len ? ask(&c) : GHCB_BAD;

	if (got == GHCB_BAD)
		terminate(GHCB_TERMINATE_GENERAL);
	if (got == GHCB_RAISE) {
		f->vector = c.ret1;
		f->error = c.ret2;
		return false;
	}
	vc_done(&c, &r);
	f->rax = r.rax;
	f->rbx = r.rbx;
	f->rcx = r.rcx;
	f->rdx = r.rdx;
	f->rip += len;
	return true;
}

/* --- AP jump table ---------------------------------------------------------------------------- */

static uint64_t jump_table(uint64_t what, uint64_t gpa)
{
	struct ghcb_call c = { .code = GHCB_EXIT_AP_JUMP_TABLE, .info1 = what, .info2 = gpa };

	if (page_ask(&c) != GHCB_OK)
		terminate(GHCB_TERMINATE_GENERAL);
	return c.ret2;
}

uint64_t vc_jump_table(void)
{
	return jump_table(GHCB_JUMP_TABLE_GET, 0);
}

void vc_jump_table_set(uint64_t gpa)
{
	jump_table(GHCB_JUMP_TABLE_SET, gpa);
}
