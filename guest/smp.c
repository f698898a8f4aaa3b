/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/smp.h"

#include "abi/ghcb.h"
#include "guest/guest.h"
#include "guest/vc.h"

#define MSR_APIC_BASE 0x1bu
#define APIC_X2APIC 0xc00ull /* enabled, and reached by MSRs */
#define X2APIC_EOI 0x80bu
#define X2APIC_SPURIOUS 0x80fu
#define X2APIC_ICR 0x830u
#define X2APIC_LVT0 0x835u
#define SPURIOUS_ENABLE 0x100u
#define LVT_EXTINT 0x700u /* unmasked: the older controllers' interrupts */
#define ICR_ASSERT 0x4000u
#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define ICR_ALL_BUT_SELF 0xc0000u
#define INIT_MS 10u /* between INIT and start-up interrupt, as processors have always asked */
#define START_WAIT_MS 5000u

extern uint8_t smp_trampoline[], smp_trampoline_jumped[], smp_trampoline_end[];
extern uint64_t smp_trampoline_cr3, smp_trampoline_stack, smp_trampoline_cpu;
extern uint64_t smp_trampoline_by_table;

static volatile unsigned arrived; /* the processor that has come last */
static void (*entry)(uint64_t cpu);

unsigned smp_self(void)
{
	uint64_t tr;

	__asm__ volatile("str %0" : "=r"(tr));
	return tr < GUEST_TSS ? 0 : (unsigned)(tr - GUEST_TSS) / GUEST_TSS_LEN;
}

static bool apic_init(void)
{
	uint64_t base;

	return !guest_rdmsr(MSR_APIC_BASE, &base) &&
	       !guest_wrmsr(MSR_APIC_BASE, base | APIC_X2APIC) &&
	       !guest_wrmsr(X2APIC_SPURIOUS, SPURIOUS_ENABLE | GUEST_VECTOR_SPURIOUS);
}

/* An SEV-ES processor ignores where SIPI sends it. Firmware may have a place for the table. */
static void jump_table_fill(void)
{
	struct ghcb_ap_jump_table *t = (struct ghcb_ap_jump_table *)vc_jump_table();

	if (!t) {
		t = (struct ghcb_ap_jump_table *)SMP_JUMP_TABLE;
		vc_jump_table_set(SMP_JUMP_TABLE);
	}
	t->ip = (uint16_t)(smp_trampoline_jumped - smp_trampoline);
	t->cs = SMP_TRAMPOLINE >> 4;
}

void smp_init(void)
{
	if (guest_info.cpus == 1)
		return;
	if (!apic_init() || guest_wrmsr(X2APIC_LVT0, LVT_EXTINT)) {
		say("testguest: no x2APIC, so one processor only");
		guest_info.cpus = 1;
		return;
	}
	memcpy((void *)SMP_TRAMPOLINE, smp_trampoline,
	       (size_t)(smp_trampoline_end - smp_trampoline));
	mm_top_copy((uint64_t *)SMP_PML4);
	if (vc_on())
		jump_table_fill();
}

void smp_kick(void)
{
	guest_wrmsr(X2APIC_ICR, ICR_ALL_BUT_SELF | ICR_ASSERT | GUEST_VECTOR_KICK);
}

void smp_kicked(void)
{
	guest_wrmsr(X2APIC_EOI, 0);
}

/* A word of the trampoline's copy. */
static uint64_t *copy_of(uint64_t *word)
{
	return (uint64_t *)(SMP_TRAMPOLINE + ((uint8_t *)word - smp_trampoline));
}

static bool arrived_within(unsigned cpu, unsigned ms)
{
	uint64_t end = rdtsc() + guest_info.tsc_khz * ms;

	while (arrived != cpu && rdtsc() < end)
		__asm__ volatile("pause");
	return arrived == cpu;
}

int smp_start(unsigned cpu, void (*fn)(uint64_t cpu))
{
	uint64_t to = (uint64_t)cpu << 32;

	entry = fn;
	*copy_of(&smp_trampoline_cr3) = mm_root();
	*copy_of(&smp_trampoline_stack) = trap_stack_top(cpu);
	*copy_of(&smp_trampoline_cpu) = cpu;
	*copy_of(&smp_trampoline_by_table) = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (guest_wrmsr(X2APIC_ICR, to | ICR_ASSERT | ICR_INIT) || arrived_within(cpu, INIT_MS) ||
	    guest_wrmsr(X2APIC_ICR, to | ICR_ASSERT | ICR_STARTUP | SMP_TRAMPOLINE >> 12) ||
	    !arrived_within(cpu, START_WAIT_MS))
		return -1;
	guest_info.jumped += *copy_of(&smp_trampoline_by_table) != 0;
	return 0;
}

void smp_enter(uint64_t cpu)
{
	traps_load((unsigned)cpu);
	if (vc_on())
		vc_page_use((unsigned)cpu);
	if (!apic_init())
		guest_halt();
	arrived = (unsigned)cpu;
	guest_user_enter(entry, user_stack_top((unsigned)cpu), cpu);
}
