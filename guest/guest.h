/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The small test guest. It runs where Linux cannot: its kernel mode is short, because some hosts
 * interpret kernel-mode code slowly and incompletely, and does only what needs privilege; the
 * workload runs at CPL3, natively on every host, and asks by `ud2` (no other instruction
 * enters the kernel everywhere: `syscall` and `int` do not). Kernel and workload share one address
 * space, every page accessible to both; nothing here is a security boundary.
 *
 *	CPL0	entry.S traps.S trampoline.S main.c traps.c mm.c timer.c uart.c smp.c vc.c ghcb.c
 *	CPL3	workload.c canary.S areas.c pages.c console.c options.c
 *	both	string.c
 */

#define GUEST_CS 0x10
#define GUEST_DS 0x18
#define GUEST_USER_CS 0x23
#define GUEST_USER_DS 0x2b
#define GUEST_TSS 0x30 /* the first of one a processor */
#define GUEST_TSS_LEN 16

#define GUEST_CR4_SSE 0x600 /* OSFXSR, OSXMMEXCPT: the workload may use vector registers */

#define GUEST_CPUS_MAX 8
#define GUEST_VECTORS 50
#define GUEST_VECTOR_KICK 48
#define GUEST_VECTOR_SPURIOUS 49

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_HZ 250u /* timer interrupts a second */
#define GUEST_RX_RING 1024u

/* --- what CPL3 asks of CPL0: number in RAX, arguments in RDI and RSI, result in RAX ----------- */

enum guest_call {
	GUEST_CALL_WRITE,   /* (bytes, length): to the console */
	GUEST_CALL_IDLE,    /* sleep until the next interrupt */
	GUEST_CALL_CONVERT, /* (address | 1: shared or 0: private, length) */
	GUEST_CALL_READY,   /* write the migration-control MSR; 0, or -1 when refused */
	GUEST_CALL_POWEROFF,
	GUEST_CALL_RESET,
	GUEST_CALL_HALT,  /* sleep for ever */
	GUEST_CALL_START, /* (processor, function): there, with its number; 0, or -1: not come */
};

static inline int64_t guest_call(enum guest_call nr, uint64_t a, uint64_t b)
{
	int64_t ret;

	__asm__ volatile("ud2" : "=a"(ret) : "0"((uint64_t)nr), "D"(a), "S"(b) : "memory");
	return ret;
}

/* Found at CPL0, read at CPL3. */
struct guest_info {
	uint64_t ram_end;        /* of the RAM that holds 1 MiB, below 4 GiB */
	uint64_t hole, hole_end; /* in it, a multiple of 2 MiB: reserved for others */
	uint64_t cbit;           /* mask, 0: not an SEV guest */
	uint64_t tsc_khz;
	uint32_t kvm_features;
	unsigned cpus;
	unsigned jumped; /* processors that came by the AP jump table */
	unsigned ghcb;   /* version of the GHCB protocol, 0: not SEV-ES */
	const char *cmdline;
	volatile uint64_t timer;   /* timer interrupts so far */
	volatile uint32_t rx_head; /* where CPL0 puts the next received byte */
	volatile uint32_t rx_tail; /* where CPL3 takes it */
	uint8_t rx[GUEST_RX_RING];
};
extern struct guest_info guest_info;

#define GUEST_KVM_MAP_GPA_RANGE (1u << 16) /* CPUID 0x40000001 EAX */
#define GUEST_KVM_MIGRATION_CONTROL (1u << 17)

/* --- CPL0 ------------------------------------------------------------------------------------- */

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

void guest_main(const uint8_t *boot_params);
void trap_handle(struct trap_frame *f);
/* The first processor's tables, and those of all. */
void traps_init(void);
void pic_init(void);
/* On each processor: its tables, and its stack for traps. */
void traps_load(unsigned cpu);
uint64_t trap_stack_top(unsigned cpu);
uint64_t user_stack_top(unsigned cpu);
/* Into CPL3, fn(cpu) with its own stack; does not return. */
void guest_user_enter(void (*fn)(uint64_t cpu), uint64_t stack, uint64_t cpu)
	__attribute__((noreturn));
/* 0, or the vector when the access raised an exception. */
int guest_rdmsr(uint32_t msr, uint64_t *value);
int guest_wrmsr(uint32_t msr, uint64_t value);
int64_t guest_hypercall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c);

void mm_init(void);
/* What CR3 holds. */
uint64_t mm_root(void);
void mm_top_copy(uint64_t *to);
/* Pages of the pool, or whole 2 MiB pages: mapping, then the monitor. 0 or the monitor's error. */
int64_t mm_convert(uint64_t gpa, uint64_t len, bool shared);
/* Tell the monitor; 0 or its error. */
int64_t mm_declare(uint64_t gpa, uint64_t len, bool shared);

/* Frequency of the time stamp counter by the interval timer's; before timer_init(). */
uint64_t timer_tsc_khz(void);
void timer_init(void);

void uart_init(void);
void uart_write(const char *p, size_t len);
void uart_receive(void);
void guest_halt(void) __attribute__((noreturn));

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

/* --- CPL3 ------------------------------------------------------------------------------------- */

struct options {
	uint64_t private_len, shared_len, span, dirty, pool, flips, sweep_us, pace_us, seed,
		regcanary;
	bool burst, idle, quiet, msr;
	uint8_t canary[2][64]; /* private, shared */
};

void workload_main(uint64_t cpu);
/* false: printed what is wrong. */
bool options_parse(struct options *o, const char *cmdline);

struct page {
	uint64_t gpa;
	uint32_t *generation; /* kept elsewhere: an old page is as wrong as a broken one */
	bool shared;
};
void pages_init(const struct options *o);
void pages_write(const struct page *p);
/* Prints what is wrong and does not return then. */
void pages_verify(const struct page *p);

/* %s %u %x (64 bits each); collects a line and writes it at its end. */
void say(const char *fmt, ...);
/* The next complete line received, without its end, or NULL. */
const char *console_line(void);

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* --- both ------------------------------------------------------------------------------------- */

void *memcpy(void *to, const void *from, size_t len);
void *memset(void *p, int v, size_t len);
int memcmp(const void *a, const void *b, size_t len);

#endif
