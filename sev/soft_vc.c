/* SPDX-License-Identifier: Apache-2.0 */

/*
 * #VC by hand: the processor's way from an instruction to the handler's first, AMD64 manual volume
 * 2, 8.9 (long mode), and the guest's page tables for it, 5.3. KVM could be asked to inject it, but
 * vector 29 hangs some nested hosts.
 *
 * All of it comes from guest memory, and all of that may be nonsense: then the guest is over, where
 * hardware would go on to a double fault.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rdwr.h"
#include "sev/soft_cpu.h"
#include "sev/soft_vm.h"

#define CR0_PG (1ull << 31)
#define CR4_LA57 (1ull << 12)
#define EFER_LMA (1ull << 10)
#define PTE_PRESENT 1ull
#define PTE_WRITE 2ull
#define PTE_HUGE 0x80ull
#define PTE_ADDRESS 0x000ffffffffff000ull
#define RFLAGS_CLEARED 0x14100ull /* TF, NT, RF */
#define RFLAGS_IF 0x200ull
#define RFLAGS_RESERVED 2ull
#define GATE_LEN 16u
#define GATE_INTERRUPT 14u
#define GATE_TRAP 15u
#define TSS_RSP 4u
#define TSS_IST 36u

static int vc_failed(const struct soft_vc *c, const char *fmt, ...) printf_like(2, 3);
static int vc_failed(const struct soft_vc *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, c->why_len, fmt, ap);
	va_end(ap);
	return -EPROTO;
}

/* --- guest memory --------------------------------------------------------------------------------
 */

static bool entry_get(const struct soft_vc *c, uint64_t table, unsigned index, uint64_t *out)
{
	uint8_t *p = soft_mem_private_at(c->vm, gpa(table + index * 8), 8);
	struct rd in = rd_of(p, 8);

	return p && rd_le64(&in, out) == 0;
}

/* Tables are private whatever the entry says, as on hardware. *at is where va lies, *shared by
 * which face; the page it is in has at least *left bytes more. */
static bool walk(const struct soft_vc *c, uint64_t va, bool write, struct gpa *at, bool *shared,
		 uint64_t *left)
{
	const uint64_t cbit = 1ull << c->vm->base.cbit, mask = PTE_ADDRESS & ~cbit;
	unsigned levels = c->sregs->cr4 & CR4_LA57 ? 5 : 4, top = levels * 9 + 11;
	uint64_t entry = c->sregs->cr3;

	if ((uint64_t)((int64_t)(va << (63 - top)) >> (63 - top)) != va)
		return false; /* not canonical */
	for (unsigned level = levels; level--;) {
		unsigned shift = 12 + 9 * level;

		if (!entry_get(c, entry & mask, va >> shift & 511, &entry) ||
		    !(entry & PTE_PRESENT) || (write && !(entry & PTE_WRITE)))
			return false;
		if (level && (level > 2 || !(entry & PTE_HUGE)))
			continue;
		*left = (1ull << shift) - (va & ((1ull << shift) - 1));
		*at = gpa((entry & mask & ~((1ull << shift) - 1)) | (va & ((1ull << shift) - 1)));
		*shared = !(entry & cbit);
		return true;
	}
	return false;
}

/* The bytes at va in this process, up to the end of their page. */
static uint8_t *guest_bytes(const struct soft_vc *c, uint64_t va, bool write, size_t *len,
			    struct gpa *at)
{
	uint64_t left = 0;
	bool shared = false;
	uint8_t *p = NULL;

	if (!walk(c, va, write, at, &shared, &left))
		return NULL;
	left = PAGE_LEN - (va & (PAGE_LEN - 1));
	*len = *len < left ? *len : left;
	if (shared)
		p = soft_mem_shared_at(c->vm, *at, *len);
	/* Where there is one face, the C-bit chooses nothing. */
	if (!shared || !soft_mem_two_faced(c->vm, *at))
		p = soft_mem_private_at(c->vm, *at, *len);
	return p;
}

static size_t guest_read(const struct soft_vc *c, uint64_t va, void *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n = len - done;
		struct gpa at;
		const uint8_t *p = guest_bytes(c, va + done, false, &n, &at);

		if (!p)
			break;
		memcpy((uint8_t *)out + done, p, n);
		done += n;
	}
	return done;
}

static bool guest_write(const struct soft_vc *c, uint64_t va, const void *from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n = len - done;
		struct gpa at;
		uint8_t *p = guest_bytes(c, va + done, true, &n, &at);

		if (!p)
			return false;
		memcpy(p, (const uint8_t *)from + done, n);
		soft_vm_wrote(c->vm, at, n);
		done += n;
	}
	return true;
}

static bool in_long_mode(const struct soft_vc *c)
{
	return (c->sregs->efer & EFER_LMA) && (c->sregs->cr0 & CR0_PG) && c->sregs->cs.l;
}

size_t soft_vc_fetch(const struct soft_vc *c, uint64_t rip, uint8_t *out, size_t len)
{
	return in_long_mode(c) ? guest_read(c, rip, out, len) : 0;
}

/* --- gate, segment, stack ------------------------------------------------------------------------
 */

struct gate {
	uint64_t offset;
	uint16_t selector;
	uint8_t stack, type;
};

static int gate_get(const struct soft_vc *c, struct gate *g)
{
	uint64_t at = GHCB_VC_VECTOR * GATE_LEN;
	uint8_t bytes[GATE_LEN], stack = 0, type = 0;
	uint16_t low = 0, mid = 0;
	uint32_t high = 0;
	struct rd in = rd_of(bytes, sizeof(bytes));

	if (at + GATE_LEN - 1 > c->sregs->idt.limit ||
	    guest_read(c, c->sregs->idt.base + at, bytes, sizeof(bytes)) != sizeof(bytes))
		return vc_failed(c, "there is no interrupt table with #VC in it");
	*g = (struct gate){ 0 };
	rd_le16(&in, &low);
	rd_le16(&in, &g->selector);
	rd_u8(&in, &stack);
	rd_u8(&in, &type);
	rd_le16(&in, &mid);
	if (rd_le32(&in, &high))
		return -EPROTO;
	g->offset = (uint64_t)high << 32 | (uint32_t)mid << 16 | low;
	g->stack = stack & 7;
	g->type = type & 0x1f;
	if (!(type & 0x80) || (g->type != GATE_INTERRUPT && g->type != GATE_TRAP))
		return vc_failed(c, "#VC has no interrupt gate");
	return 0;
}

static int code_segment(const struct soft_vc *c, uint16_t selector, struct kvm_segment *out)
{
	uint64_t at = selector & ~7u, d = 0;
	uint8_t type;

	if (!at || (selector & 4) || at + 7 > c->sregs->gdt.limit ||
	    guest_read(c, c->sregs->gdt.base + at, &d, sizeof(d)) != sizeof(d))
		return vc_failed(c, "the gate of #VC names no segment: %#x", selector);
	type = d >> 40 & 0x1f;
	/* Present, 64-bit code. */
	if ((type & 0x18) != 0x18 || !(d >> 47 & 1) || !(d >> 53 & 1) || (d >> 54 & 1))
		return vc_failed(c, "the gate of #VC names no 64-bit code: %#x", selector);
	*out = (struct kvm_segment){ .limit = 0xffffffff,
				     .type = (type & 15) | 1,
				     .s = 1,
				     .dpl = d >> 45 & 3,
				     .present = 1,
				     .l = 1,
				     .g = 1 };
	/* Conforming code runs at the level of who comes. */
	if (type & 4)
		out->dpl = c->sregs->ss.dpl;
	out->selector = (uint16_t)((selector & ~3u) | out->dpl);
	return out->dpl > c->sregs->ss.dpl ? vc_failed(c, "#VC leads to less privilege") : 0;
}

static int stack_of(const struct soft_vc *c, const struct gate *g, unsigned cpl, uint64_t *rsp)
{
	uint64_t at = g->stack ? TSS_IST + (g->stack - 1u) * 8 : TSS_RSP + cpl * 8;

	*rsp = c->regs->rsp;
	if (!g->stack && cpl == c->sregs->ss.dpl)
		return 0;
	if (at + 7 > c->sregs->tr.limit ||
	    guest_read(c, c->sregs->tr.base + at, rsp, sizeof(*rsp)) != sizeof(*rsp))
		return vc_failed(c, "there is no task state segment with a stack for #VC");
	return 0;
}

static int frame_push(const struct soft_vc *c, uint64_t *rsp, uint64_t error)
{
	const uint64_t frame[] = {
		error,           c->regs->rip, c->sregs->cs.selector,
		c->regs->rflags, c->regs->rsp, c->sregs->ss.selector,
	};

	*rsp = (*rsp & ~15ull) - sizeof(frame);
	if (!guest_write(c, *rsp, frame, sizeof(frame)))
		return vc_failed(c, "the stack for #VC is not there: %#llx",
				 (unsigned long long)*rsp);
	return 0;
}

int soft_vc_raise(const struct soft_vc *c, uint64_t error)
{
	struct kvm_segment cs;
	struct gate g;
	uint64_t rsp = 0;
	int r = 0;

	if (!in_long_mode(c))
		return vc_failed(c, "exit %#llx outside of 64-bit code, where nothing takes #VC",
				 (unsigned long long)error);
	r = gate_get(c, &g);
	if (r == 0)
		r = code_segment(c, g.selector, &cs);
	if (r == 0)
		r = stack_of(c, &g, cs.dpl, &rsp);
	if (r == 0)
		r = frame_push(c, &rsp, error);
	if (r < 0)
		return r;
	if (cs.dpl != c->sregs->ss.dpl)
		c->sregs->ss = (struct kvm_segment){ .limit = 0xffffffff,
						     .selector = cs.dpl,
						     .type = 3,
						     .s = 1,
						     .dpl = cs.dpl,
						     .present = 1,
						     .db = 1,
						     .g = 1 };
	c->sregs->cs = cs;
	c->regs->rsp = rsp;
	c->regs->rip = g.offset;
	c->regs->rflags &= ~RFLAGS_CLEARED;
	if (g.type == GATE_INTERRUPT)
		c->regs->rflags &= ~RFLAGS_IF;
	c->regs->rflags |= RFLAGS_RESERVED;
	return 0;
}
