/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/firmware/firmware.h"

#define VECTORS 32
#define STUB_LEN 16
#define GATE_TYPE 0x8e00 /* present, interrupt gate */
#define TRAP_UD 6

/* As reset.S pushes it. */
struct fw_frame {
	uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, code;
	uint64_t rip, cs, rflags, rsp, ss;
};

extern char fw_trap_stubs[], fw_vmmcall_insn[], fw_vmmcall_doorbell[];
void fw_trap(struct fw_frame *f);

void fw_traps_init(void)
{
	static struct {
		uint64_t lo, hi;
	} idt[VECTORS];
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) reg = { sizeof(idt) - 1, (uintptr_t)idt };

	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t at = (uintptr_t)fw_trap_stubs + (uint64_t)i * STUB_LEN;

		idt[i].lo = (at & 0xffff) | (uint64_t)FW_CS << 16 | (uint64_t)GATE_TYPE << 32 |
			    (at >> 16 & 0xffff) << 48;
		idt[i].hi = at >> 32;
	}
	__asm__ volatile("lidt %0" ::"m"(reg));
}

void fw_trap(struct fw_frame *f)
{
	if (f->vector == TRAP_UD && f->rip == (uintptr_t)fw_vmmcall_insn) {
		f->rip = (uintptr_t)fw_vmmcall_doorbell;
		return;
	}
	fw_die("exception %u, code %x, at %x", f->vector, f->code, f->rip);
}
