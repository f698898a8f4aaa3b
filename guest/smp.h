/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * More than one processor. The first starts the others one after the other: INIT and SIPI to a
 * trampoline in the first MiB, which serves also as the page a processor jumps to by the jump table
 * of an SEV-ES guest. It goes from real mode to 64-bit mode in one step and on to smp_enter().
 *
 * The first MiB holds code and top page table because a processor without paging, and CR3 as long
 * as it has 32 bits, cannot say that they are private. Hardware then takes it for granted; on the
 * software platform the first MiB is the same memory either way.
 */

#define SMP_TRAMPOLINE 0x30000
#define SMP_PML4 0x31000
#define SMP_JUMP_TABLE 0x32000
#define SMP_CS64 0x10 /* in the trampoline's own table */

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

/* The first processor's interrupt controller, when there are others. */
void smp_init(void);
/* Start processor cpu; it goes on in fn(cpu) at CPL3. 0, or -1 when it did not come. */
int smp_start(unsigned cpu, void (*fn)(uint64_t cpu));
/* Interrupt all others. */
void smp_kick(void);
/* A kick has arrived. */
void smp_kicked(void);
/* Who runs this, at CPL0. */
unsigned smp_self(void);
/* Where the trampoline ends; does not return. */
void smp_enter(uint64_t cpu);

#endif
