/* SPDX-License-Identifier: Apache-2.0 */

/* KVM takes the plain VMCB's save area for the VMSA and adds what the VMCB has no room for. So some
 * values are the VMCB's, not what a client set: SVM enabled in EFER, machine checks in CR4, caches
 * on in CR0. */

#include "sev/vmsa.h"

#include <stddef.h>
#include <string.h>

#include "base/rdwr.h"

#define AT_ES 0x000
#define AT_CS 0x010
#define AT_SS 0x020
#define AT_DS 0x030
#define AT_FS 0x040
#define AT_GS 0x050
#define AT_GDTR 0x060
#define AT_LDTR 0x070
#define AT_IDTR 0x080
#define AT_TR 0x090
#define AT_CPL 0x0cb
#define AT_EFER 0x0d0
#define AT_XSS 0x140
#define AT_CR4 0x148
#define AT_CR3 0x150
#define AT_CR0 0x158
#define AT_DR7 0x160
#define AT_DR6 0x168
#define AT_RFLAGS 0x170
#define AT_RIP 0x178
#define AT_DR0 0x180
#define AT_RSP 0x1d8
#define AT_RAX 0x1f8
#define AT_STAR 0x200
#define AT_LSTAR 0x208
#define AT_CSTAR 0x210
#define AT_SFMASK 0x218
#define AT_KERNEL_GS_BASE 0x220
#define AT_SYSENTER_CS 0x228
#define AT_SYSENTER_ESP 0x230
#define AT_SYSENTER_EIP 0x238
#define AT_CR2 0x240
#define AT_G_PAT 0x268
#define AT_DEBUGCTL 0x270
#define AT_PKRU 0x2e8
#define AT_TSC_AUX 0x2ec
#define AT_RCX 0x308
#define AT_RDX 0x310
#define AT_RBX 0x318
#define AT_RBP 0x328
#define AT_RSI 0x330
#define AT_RDI 0x338
#define AT_R8 0x340
#define AT_SEV_FEATURES 0x3b0
#define AT_XCR0 0x3e8
#define AT_X87_DP 0x400
#define AT_MXCSR 0x408
#define AT_X87_FTW 0x40c
#define AT_X87_FSW 0x40e
#define AT_X87_FCW 0x410
#define AT_X87_FOP 0x412
#define AT_X87_RIP 0x418
#define AT_X87_REGS 0x420 /* eight low parts of 8 bytes, then eight high ones of 2 */
#define AT_XMM 0x470
#define AT_YMM 0x570

#define EFER_SVME 0x1000u
#define CR4_MCE 0x40u
#define CR0_CD_NW 0x60000000u
#define DR6_RESET 0xffff0ff0u
#define DR7_RESET 0x400u
#define PAT_RESET 0x0007040600070406ull
#define MXCSR_RESET 0x1f80u
#define FCW_RESET 0x37fu
#define XCR0_X87 0x1u
#define XCR0_SSE 0x2u
#define XCR0_YMM 0x4u

/* Of the XSAVE area, standard format: Intel SDM volume 1, chapter 13.4. */
#define XSAVE_FCW 0
#define XSAVE_FSW 2
#define XSAVE_FTW 4
#define XSAVE_FOP 6
#define XSAVE_RIP 8
#define XSAVE_RDP 16
#define XSAVE_MXCSR 24
#define XSAVE_ST 32
#define XSAVE_XMM 160
#define XSAVE_FEATURES 512
#define XSAVE_YMM 576

static struct kvm_segment segment(uint8_t type, uint8_t s)
{
	return (struct kvm_segment){ .limit = 0xffff, .type = type, .s = s, .present = 1 };
}

void sev_vmsa_reset(struct sev_vmsa_regs *out)
{
	struct kvm_sregs *s = &out->sregs;
	uint8_t *x = (uint8_t *)out->xsave.region;
	const uint16_t fcw = FCW_RESET;
	const uint32_t mxcsr = MXCSR_RESET;

	memset(out, 0, sizeof(*out));
	s->es = s->ss = s->ds = s->fs = s->gs = segment(3, 1);
	s->cs = segment(11, 1);
	s->cs.selector = 0xf000;
	s->cs.base = 0xffff0000;
	s->ldt = segment(2, 0);
	s->tr = segment(11, 0);
	s->gdt.limit = s->idt.limit = 0xffff;
	s->cr0 = CR0_CD_NW | 0x10;
	out->regs.rip = 0xfff0;
	out->regs.rflags = 2;
	out->debug.dr6 = DR6_RESET;
	out->debug.dr7 = DR7_RESET;
	out->xcr0 = 1;
	out->pat = PAT_RESET;
	memcpy(x + XSAVE_FCW, &fcw, sizeof(fcw));
	memcpy(x + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
}

/* --- what goes both ways as it is --------------------------------------------------------------
 */

struct field {
	uint16_t at; /* in the page */
	uint16_t of; /* in struct sev_vmsa_regs */
};
#define FIELD(at, member)                                                                          \
	{                                                                                          \
		at, offsetof(struct sev_vmsa_regs, member)                                         \
	}

static const struct field words[] = {
	FIELD(AT_XSS, xss),
	FIELD(AT_CR4, sregs.cr4),
	FIELD(AT_CR3, sregs.cr3),
	FIELD(AT_CR0, sregs.cr0),
	FIELD(AT_EFER, sregs.efer),
	FIELD(AT_CR2, sregs.cr2),
	FIELD(AT_DR7, debug.dr7),
	FIELD(AT_DR6, debug.dr6),
	FIELD(AT_DR0, debug.db[0]),
	FIELD(AT_DR0 + 8, debug.db[1]),
	FIELD(AT_DR0 + 16, debug.db[2]),
	FIELD(AT_DR0 + 24, debug.db[3]),
	FIELD(AT_RFLAGS, regs.rflags),
	FIELD(AT_RIP, regs.rip),
	FIELD(AT_RSP, regs.rsp),
	FIELD(AT_RAX, regs.rax),
	FIELD(AT_RCX, regs.rcx),
	FIELD(AT_RDX, regs.rdx),
	FIELD(AT_RBX, regs.rbx),
	FIELD(AT_RBP, regs.rbp),
	FIELD(AT_RSI, regs.rsi),
	FIELD(AT_RDI, regs.rdi),
	FIELD(AT_R8, regs.r8),
	FIELD(AT_R8 + 8, regs.r9),
	FIELD(AT_R8 + 16, regs.r10),
	FIELD(AT_R8 + 24, regs.r11),
	FIELD(AT_R8 + 32, regs.r12),
	FIELD(AT_R8 + 40, regs.r13),
	FIELD(AT_R8 + 48, regs.r14),
	FIELD(AT_R8 + 56, regs.r15),
	FIELD(AT_STAR, star),
	FIELD(AT_LSTAR, lstar),
	FIELD(AT_CSTAR, cstar),
	FIELD(AT_SFMASK, sfmask),
	FIELD(AT_KERNEL_GS_BASE, kernel_gs_base),
	FIELD(AT_SYSENTER_CS, sysenter_cs),
	FIELD(AT_SYSENTER_ESP, sysenter_esp),
	FIELD(AT_SYSENTER_EIP, sysenter_eip),
	FIELD(AT_G_PAT, pat),
	FIELD(AT_DEBUGCTL, debugctl),
	FIELD(AT_SEV_FEATURES, features),
	FIELD(AT_XCR0, xcr0),
};

static const struct field halves[] = { FIELD(AT_PKRU, pkru), FIELD(AT_TSC_AUX, tsc_aux) };

static const struct field segments[] = {
	FIELD(AT_ES, sregs.es),    FIELD(AT_CS, sregs.cs), FIELD(AT_SS, sregs.ss),
	FIELD(AT_DS, sregs.ds),    FIELD(AT_FS, sregs.fs), FIELD(AT_GS, sregs.gs),
	FIELD(AT_LDTR, sregs.ldt), FIELD(AT_TR, sregs.tr),
};

static const struct field tables[] = { FIELD(AT_GDTR, sregs.gdt), FIELD(AT_IDTR, sregs.idt) };

#define EACH(f, table) for (const struct field *f = (table); f < (table) + COUNT(table); f++)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- there -------------------------------------------------------------------------------------
 */

/* The VMCB has the attributes of a descriptor squeezed into 12 bits. */
static uint16_t attributes(const struct kvm_segment *s)
{
	if (s->unusable)
		return 0;
	return (uint16_t)((s->type & 15) | (s->s & 1) << 4 | (s->dpl & 3) << 5 |
			  (s->present & 1) << 7 | (s->avl & 1) << 8 | (s->l & 1) << 9 |
			  (s->db & 1) << 10 | (s->g & 1) << 11);
}

static void put_segment(uint8_t *at, const struct kvm_segment *s)
{
	struct wr w = wr_of(at, 16);

	wr_le16(&w, s->selector);
	wr_le16(&w, attributes(s));
	wr_le32(&w, s->limit);
	wr_le64(&w, s->base);
}

static void put_table(uint8_t *at, const struct kvm_dtable *t)
{
	struct wr w = wr_of(at + 4, 12);

	wr_le32(&w, t->limit);
	wr_le64(&w, t->base);
}

/* XSAVE has a bit for each x87 register that is in use, the VMSA two bits of its state; like KVM,
 * which copies the abridged word as it is. */
static void put_fpu(uint8_t *page, const struct kvm_xsave *xsave, uint64_t xcr0)
{
	const uint8_t *x = (const uint8_t *)xsave->region;

	memcpy(page + AT_X87_DP, x + XSAVE_RDP, 8);
	memcpy(page + AT_MXCSR, x + XSAVE_MXCSR, 4);
	memcpy(page + AT_X87_FTW, x + XSAVE_FTW, 2);
	memcpy(page + AT_X87_FSW, x + XSAVE_FSW, 2);
	memcpy(page + AT_X87_FCW, x + XSAVE_FCW, 2);
	memcpy(page + AT_X87_FOP, x + XSAVE_FOP, 2);
	memcpy(page + AT_X87_RIP, x + XSAVE_RIP, 8);
	for (size_t i = 0; i < 8; i++) {
		memcpy(page + AT_X87_REGS + 8 * i, x + XSAVE_ST + 16 * i, 8);
		memcpy(page + AT_X87_REGS + 64 + 2 * i, x + XSAVE_ST + 16 * i + 8, 2);
	}
	memcpy(page + AT_XMM, x + XSAVE_XMM, 256);
	if ((xcr0 & XCR0_YMM) && (x[XSAVE_FEATURES] & XCR0_YMM))
		memcpy(page + AT_YMM, x + XSAVE_YMM, 256);
}

void sev_vmsa_build(const struct sev_vmsa_regs *r, uint8_t out[SEV_VMSA_LEN])
{
	const uint8_t *from = (const uint8_t *)r;
	struct sev_vmsa_regs as_vmcb = *r;

	as_vmcb.sregs.efer |= EFER_SVME;
	as_vmcb.sregs.cr4 |= CR4_MCE;
	as_vmcb.sregs.cr0 &= ~(uint64_t)CR0_CD_NW;
	memset(out, 0, SEV_VMSA_LEN);
	EACH(f, segments)
	put_segment(out + f->at, (const struct kvm_segment *)(const void *)(from + f->of));
	EACH(f, tables)
	put_table(out + f->at, (const struct kvm_dtable *)(const void *)(from + f->of));
	EACH(f, words)
	memcpy(out + f->at, (const uint8_t *)&as_vmcb + f->of, 8);
	EACH(f, halves)
	memcpy(out + f->at, from + f->of, 4);
	out[AT_CPL] = r->sregs.ss.dpl & 3;
	if (r->fpu)
		put_fpu(out, &r->xsave, r->xcr0);
}

/* --- and back ----------------------------------------------------------------------------------
 */

static void take_segment(const uint8_t *at, struct kvm_segment *s)
{
	struct rd in = rd_of(at, 16);
	uint16_t selector = 0, a = 0;

	*s = (struct kvm_segment){ 0 };
	rd_le16(&in, &selector);
	rd_le16(&in, &a);
	rd_le32(&in, &s->limit);
	(void)!rd_le64(&in, (uint64_t *)&s->base);
	s->selector = selector;
	s->type = a & 15;
	s->s = a >> 4 & 1;
	s->dpl = a >> 5 & 3;
	s->present = a >> 7 & 1;
	s->avl = a >> 8 & 1;
	s->l = a >> 9 & 1;
	s->db = a >> 10 & 1;
	s->g = a >> 11 & 1;
	s->unusable = !s->present;
}

static void take_table(const uint8_t *at, struct kvm_dtable *t)
{
	struct rd in = rd_of(at + 4, 12);
	uint32_t limit = 0;

	*t = (struct kvm_dtable){ 0 };
	rd_le32(&in, &limit);
	(void)!rd_le64(&in, (uint64_t *)&t->base);
	t->limit = (uint16_t)limit;
}

static void take_fpu(const uint8_t *page, struct kvm_xsave *xsave, uint64_t xcr0)
{
	uint8_t *x = (uint8_t *)xsave->region;

	memcpy(x + XSAVE_RDP, page + AT_X87_DP, 8);
	memcpy(x + XSAVE_MXCSR, page + AT_MXCSR, 4);
	memcpy(x + XSAVE_FTW, page + AT_X87_FTW, 2);
	memcpy(x + XSAVE_FSW, page + AT_X87_FSW, 2);
	memcpy(x + XSAVE_FCW, page + AT_X87_FCW, 2);
	memcpy(x + XSAVE_FOP, page + AT_X87_FOP, 2);
	memcpy(x + XSAVE_RIP, page + AT_X87_RIP, 8);
	for (size_t i = 0; i < 8; i++) {
		memcpy(x + XSAVE_ST + 16 * i, page + AT_X87_REGS + 8 * i, 8);
		memcpy(x + XSAVE_ST + 16 * i + 8, page + AT_X87_REGS + 64 + 2 * i, 2);
	}
	memcpy(x + XSAVE_XMM, page + AT_XMM, 256);
	x[XSAVE_FEATURES] = XCR0_X87 | XCR0_SSE;
	if (!(xcr0 & XCR0_YMM))
		return;
	x[XSAVE_FEATURES] |= XCR0_YMM;
	memcpy(x + XSAVE_YMM, page + AT_YMM, 256);
}

void sev_vmsa_take(const uint8_t page[SEV_VMSA_LEN], struct sev_vmsa_regs *out)
{
	uint8_t *to = (uint8_t *)out;

	memset(out, 0, sizeof(*out));
	EACH(f, segments)
	take_segment(page + f->at, (struct kvm_segment *)(void *)(to + f->of));
	EACH(f, tables)
	take_table(page + f->at, (struct kvm_dtable *)(void *)(to + f->of));
	EACH(f, words)
	memcpy(to + f->of, page + f->at, 8);
	EACH(f, halves)
	memcpy(to + f->of, page + f->at, 4);
	out->sregs.ss.dpl = page[AT_CPL] & 3;
	out->sregs.efer &= ~(uint64_t)EFER_SVME;
	out->fpu = true;
	take_fpu(page, &out->xsave, out->xcr0);
}
