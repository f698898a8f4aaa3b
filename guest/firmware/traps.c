/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/firmware/firmware.h"

#define VECTORS 32
#define STUB_LEN 16
#define GATE_TYPE 0x8e00 /* present, interrupt gate */
#define TRAP_UD 6

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
	bool hypercall = f->vector == TRAP_UD && f->rip == (uintptr_t)fw_vmmcall_insn;

	/* Where that instruction cannot leave, it raises #UD also for what #VC would be raised. */
	if (hypercall && fw_vc_on()) {
		f->vector = FW_VC;
		f->code = GHCB_EXIT_VMMCALL;
	} else if (hypercall) {
		f->rip = (uintptr_t)fw_vmmcall_doorbell;
		return;
	}
	if (f->vector == FW_VC) {
		if (!fw_vc_handle(f))
			fw_vc_terminate();
		return;
	}
	fw_die("exception %u, code %x, at %x", f->vector, f->code, f->rip);
}
