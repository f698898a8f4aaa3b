/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/ghcb.h"
#include "guest/guest.h"
#include "guest/smp.h"
#include "guest/vc.h"

#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_IRQ 32 /* first line of the interrupt controllers */
#define IRQ_TIMER 0
#define IRQ_SERIAL 4
#define TRAP_STUB_LEN 16
#define TRAP_STACK_LEN 16384
#define USER_STACK_LEN 65536
#define KICK_TICKS 4           /* of the timer, between two kicks of the other processors */
#define GATE_INTERRUPT 0x8e00u /* present, CPL0, interrupts off */
#define OPCODE_UD2 0x0b0fu

#define PIC1 0x20
#define PIC2 0xa0
#define PIC_EOI 0x20
#define PIC_MASK_USED 0xee /* all lines but timer and serial */

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, zero;
};

struct tss {
	uint32_t reserved;
	uint32_t rsp0[2];
	uint32_t rest[22];
	uint16_t reserved2;
	uint16_t iomap; /* beyond the segment's limit: no port is allowed at CPL3 */
};
_Static_assert(sizeof(struct tss) == 0x68, "AMD64 manual volume 2, 12.2.5");

struct __attribute__((packed)) table_ptr {
	uint16_t limit;
	uint64_t base;
};

extern const uint8_t trap_stubs[];
extern const uint8_t guest_wrmsr_insn[], guest_rdmsr_insn[], guest_msr_fault[];
extern const uint8_t guest_vmmcall[], guest_doorbell[];

static struct gate idt[GUEST_VECTORS] __attribute__((aligned(16)));
static struct {
	struct tss tss;
	uint8_t trap_stack[TRAP_STACK_LEN] __attribute__((aligned(16)));
	uint8_t user_stack[USER_STACK_LEN] __attribute__((aligned(16)));
} cpus[GUEST_CPUS_MAX] __attribute__((aligned(128)));
static uint64_t gdt[GUEST_TSS / 8 + 2 * GUEST_CPUS_MAX] __attribute__((aligned(16))) = {
	0,
	0,
	0x00af9b000000ffff, /* GUEST_CS, as the monitor's table has it */
	0x00cf93000000ffff, /* GUEST_DS */
	0x00affb000000ffff, /* GUEST_USER_CS */
	0x00cff3000000ffff, /* GUEST_USER_DS */
};

uint64_t trap_stack_top(unsigned cpu)
{
	return (uintptr_t)(cpus[cpu].trap_stack + TRAP_STACK_LEN);
}

/* As at a function's first instruction. */
uint64_t user_stack_top(unsigned cpu)
{
	return (uintptr_t)(cpus[cpu].user_stack + USER_STACK_LEN) - 8;
}

static void gdt_load(unsigned cpu)
{
	struct tss *tss = &cpus[cpu].tss;
	uint64_t base = (uintptr_t)tss;
	struct table_ptr ptr = { sizeof(gdt) - 1, (uintptr_t)gdt };

	tss->rsp0[0] = (uint32_t)trap_stack_top(cpu);
	tss->iomap = sizeof(*tss);
	gdt[GUEST_TSS / 8 + 2 * cpu] = (sizeof(*tss) - 1) | (base & 0xffffff) << 16 |
				       0x89ull << 40 | (base >> 24 & 0xff) << 56;
	__asm__ volatile("lgdt %0" ::"m"(ptr));
	__asm__ volatile("ltr %w0" ::"r"(GUEST_TSS + cpu * GUEST_TSS_LEN));
}

static void idt_init(void)
{
	for (unsigned i = 0; i < GUEST_VECTORS; i++) {
		uint64_t at = (uintptr_t)trap_stubs + i * TRAP_STUB_LEN;

		idt[i].offset_low = (uint16_t)at;
		idt[i].selector = GUEST_CS;
		idt[i].flags = GATE_INTERRUPT;
		idt[i].offset_mid = (uint16_t)(at >> 16);
	}
}

void traps_load(unsigned cpu)
{
	struct table_ptr ptr = { sizeof(idt) - 1, (uintptr_t)idt };

	gdt_load(cpu);
	__asm__ volatile("lidt %0" ::"m"(ptr));
}

void pic_init(void)
{
	static const uint8_t words[2][4] = { { 0x11, VECTOR_IRQ, 4, 1 },
					     { 0x11, VECTOR_IRQ + 8, 2, 1 } };

	for (unsigned i = 0; i < 2; i++) {
		uint16_t port = i ? PIC2 : PIC1;

		outb(port, words[i][0]);
		for (unsigned k = 1; k < 4; k++)
			outb(port + 1, words[i][k]);
		outb(port + 1, i ? 0xff : PIC_MASK_USED);
	}
}

void traps_init(void)
{
	idt_init();
	traps_load(0);
}

static int64_t trap_call(const struct trap_frame *f)
{
	switch ((enum guest_call)f->rax) {
	case GUEST_CALL_WRITE:
		uart_write((const char *)f->rdi, f->rsi);
		return 0;
	case GUEST_CALL_IDLE:
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		return 0;
	case GUEST_CALL_CONVERT:
		return mm_convert(f->rdi & ~1ull, f->rsi, f->rdi & 1);
	case GUEST_CALL_READY:
		return guest_wrmsr(0x4b564d08, 1) ? -1 : 0;
	case GUEST_CALL_POWEROFF:
		outw(0x604, 0x2000);
		guest_halt();
	case GUEST_CALL_RESET:
		outb(0x64, 0xfe);
		guest_halt();
	case GUEST_CALL_HALT:
		guest_halt();
	case GUEST_CALL_START:
		return smp_start((unsigned)f->rdi, (void (*)(uint64_t))f->rsi);
	}
	return -1;
}

static void trap_die(const struct trap_frame *f)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	say("TRAP %u error %x rip %x cs %x rsp %x cr2 %x", f->vector, f->error, f->rip, f->cs,
	    f->rsp, cr2);
	guest_halt();
}

static void timer_tick(void)
{
	if (++guest_info.timer % KICK_TICKS == 0 && guest_info.cpus > 1)
		smp_kick();
}

static void trap_interrupt(unsigned line)
{
	if (line == IRQ_TIMER)
		timer_tick();
	else if (line == IRQ_SERIAL)
		uart_receive();
	else
		return; /* spurious: the controller holds nothing to end */
	outb(PIC1, PIC_EOI);
}

/* An exception, of the processor or by the hypervisor's answer to #VC. */
static void trap_fault(struct trap_frame *f)
{
	bool msr = f->rip == (uintptr_t)guest_wrmsr_insn || f->rip == (uintptr_t)guest_rdmsr_insn;

	if (f->vector == VECTOR_GP && msr) {
		f->rip = (uintptr_t)guest_msr_fault;
	} else if (f->vector == VECTOR_UD && *(const uint16_t *)f->rip == OPCODE_UD2) {
		f->rax = (uint64_t)trap_call(f);
		f->rip += 2;
	} else {
		trap_die(f);
	}
}

/* Where the instruction raises #UD, it could not even raise #VC. */
static void trap_vmmcall(struct trap_frame *f)
{
	if (!vc_on())
		f->rip = (uintptr_t)guest_doorbell;
	else if (!vc_handle(f, GHCB_EXIT_VMMCALL))
		trap_die(f);
}

void trap_handle(struct trap_frame *f)
{
	if (f->vector == GUEST_VECTOR_KICK)
		smp_kicked();
	else if (f->vector == GUEST_VECTOR_SPURIOUS)
		return;
	else if (f->vector >= VECTOR_IRQ)
		trap_interrupt((unsigned)f->vector - VECTOR_IRQ);
	else if (f->vector == VECTOR_UD && f->rip == (uintptr_t)guest_vmmcall)
		trap_vmmcall(f);
	else if (f->vector != GHCB_VC_VECTOR || !vc_handle(f, f->error))
		trap_fault(f);
}
