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
#define AT_RSP 0x1d8
#define AT_RAX 0x1f8
#define AT_CR2 0x240
#define AT_G_PAT 0x268
#define AT_PKRU 0x2e8
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

static void put16(uint8_t *page, size_t at, uint16_t v)
{
	struct wr w = wr_of(page + at, sizeof(v));

	wr_le16(&w, v);
}

static void put32(uint8_t *page, size_t at, uint32_t v)
{
	struct wr w = wr_of(page + at, sizeof(v));

	wr_le32(&w, v);
}

static void put64(uint8_t *page, size_t at, uint64_t v)
{
	struct wr w = wr_of(page + at, sizeof(v));

	wr_le64(&w, v);
}

/* The VMCB has the attributes of a descriptor squeezed into 12 bits. */
static uint16_t attributes(const struct kvm_segment *s)
{
	if (s->unusable)
		return 0;
	return (uint16_t)((s->type & 15) | (s->s & 1) << 4 | (s->dpl & 3) << 5 |
			  (s->present & 1) << 7 | (s->avl & 1) << 8 | (s->l & 1) << 9 |
			  (s->db & 1) << 10 | (s->g & 1) << 11);
}

static void put_segment(uint8_t *page, size_t at, const struct kvm_segment *s)
{
	put16(page, at, s->selector);
	put16(page, at + 2, attributes(s));
	put32(page, at + 4, s->limit);
	put64(page, at + 8, s->base);
}

static void put_table(uint8_t *page, size_t at, const struct kvm_dtable *t)
{
	put32(page, at + 4, t->limit);
	put64(page, at + 8, t->base);
}

static void put_sregs(uint8_t *page, const struct kvm_sregs *s)
{
	put_segment(page, AT_ES, &s->es);
	put_segment(page, AT_CS, &s->cs);
	put_segment(page, AT_SS, &s->ss);
	put_segment(page, AT_DS, &s->ds);
	put_segment(page, AT_FS, &s->fs);
	put_segment(page, AT_GS, &s->gs);
	put_table(page, AT_GDTR, &s->gdt);
	put_segment(page, AT_LDTR, &s->ldt);
	put_table(page, AT_IDTR, &s->idt);
	put_segment(page, AT_TR, &s->tr);
	page[AT_CPL] = s->ss.dpl & 3;
	put64(page, AT_EFER, s->efer | EFER_SVME);
	put64(page, AT_CR4, s->cr4 | CR4_MCE);
	put64(page, AT_CR3, s->cr3);
	put64(page, AT_CR2, s->cr2);
	put64(page, AT_CR0, s->cr0 & ~(uint64_t)CR0_CD_NW);
}

static void put_regs(uint8_t *page, const struct kvm_regs *r)
{
	const uint64_t high[] = { r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

	put64(page, AT_RFLAGS, r->rflags);
	put64(page, AT_RIP, r->rip);
	put64(page, AT_RSP, r->rsp);
	put64(page, AT_RAX, r->rax);
	put64(page, AT_RCX, r->rcx);
	put64(page, AT_RDX, r->rdx);
	put64(page, AT_RBX, r->rbx);
	put64(page, AT_RBP, r->rbp);
	put64(page, AT_RSI, r->rsi);
	put64(page, AT_RDI, r->rdi);
	for (size_t i = 0; i < 8; i++)
		put64(page, AT_R8 + 8 * i, high[i]);
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
	memset(out, 0, SEV_VMSA_LEN);
	put_sregs(out, &r->sregs);
	put_regs(out, &r->regs);
	put64(out, AT_DR7, r->debug.dr7);
	put64(out, AT_DR6, r->debug.dr6);
	put64(out, AT_XSS, r->xss);
	put64(out, AT_G_PAT, r->pat);
	put32(out, AT_PKRU, r->pkru);
	put64(out, AT_SEV_FEATURES, r->features);
	put64(out, AT_XCR0, r->xcr0);
	if (r->fpu)
		put_fpu(out, &r->xsave, r->xcr0);
}
