/* SPDX-License-Identifier: Apache-2.0 */

/* Kernel mode: tables for exceptions, a port for user mode, and no way back. */

#include "abi/handler.h"
#include "guest/handler/bytes.h"
#include "guest/handler/image.h"

#define MSR_FS_BASE 0xc0000100u
#define GATE_INTERRUPT 0x8e00u /* present, CPL0, interrupts off */
#define STUB_LEN 16u
#define EXCEPTIONS 32u

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, zero;
};

struct __attribute__((packed, aligned(16))) tss {
	uint32_t reserved;
	uint64_t rsp0;
	uint32_t rest[22];
	uint16_t reserved2;
	uint16_t iomap;
	uint8_t ports[HANDLER_PORT / 8 + 2]; /* a clear bit allows; the last byte ends it */
};
_Static_assert(IMAGE_VCPUS == HANDLER_VCPUS_MAX, "see abi/handler.h");
_Static_assert(__builtin_offsetof(struct tss, ports) == 0x68, "AMD64 manual volume 2, 12.2.5");

struct __attribute__((packed)) table_ptr {
	uint16_t limit;
	uint64_t base;
};

uint8_t image_kernel_stacks[HANDLER_VCPUS_MAX][IMAGE_STACK_LEN] __attribute__((aligned(64)));
static uint8_t user_stacks[HANDLER_VCPUS_MAX][IMAGE_STACK_LEN] __attribute__((aligned(64)));
static uint8_t thread_area[HANDLER_VCPUS_MAX][64]; /* libraries keep their canary at offset 40 */
static struct tss tss[HANDLER_VCPUS_MAX];
static uint64_t gdt[HANDLER_VCPUS_MAX][6];
static struct gate idt[EXCEPTIONS] __attribute__((aligned(16)));

/* The port's four bytes may be used from user mode. */
static void tss_fill(unsigned vcpu)
{
	struct tss *t = &tss[vcpu];

	t->rsp0 = (uintptr_t)image_kernel_stacks[vcpu + 1];
	t->iomap = sizeof(*t) - sizeof(t->ports);
	for (unsigned i = 0; i < sizeof(t->ports); i++)
		t->ports[i] = 0xff;
	t->ports[HANDLER_PORT / 8] &= (uint8_t) ~(0xfu << HANDLER_PORT % 8);
}

static void gdt_load(unsigned vcpu)
{
	uint64_t base = (uintptr_t)&tss[vcpu], *g = gdt[vcpu];
	struct table_ptr ptr = { sizeof(gdt[vcpu]) - 1, (uintptr_t)g };

	g[IMAGE_CS / 8] = 0x00af9b000000ffff;
	g[IMAGE_USER_DS / 8] = 0x00cff3000000ffff;
	g[IMAGE_USER_CS / 8] = 0x00affb000000ffff;
	g[IMAGE_TSS / 8] = (sizeof(tss[0]) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
			   (base >> 24 & 0xff) << 56;
	__asm__ volatile("lgdt %0" ::"m"(ptr));
	__asm__ volatile("ltr %w0" ::"r"(IMAGE_TSS));
}

static void idt_load(void)
{
	struct table_ptr ptr = { sizeof(idt) - 1, (uintptr_t)idt };

	for (unsigned i = 0; i < EXCEPTIONS; i++) {
		uint64_t at = (uintptr_t)image_stubs + i * STUB_LEN;

		idt[i] = (struct gate){ .offset_low = (uint16_t)at,
					.selector = IMAGE_CS,
					.flags = GATE_INTERRUPT,
					.offset_mid = (uint16_t)(at >> 16) };
	}
	__asm__ volatile("lidt %0" ::"m"(ptr));
}

void image_start(unsigned vcpu)
{
	uint64_t area = (uintptr_t)thread_area[vcpu];

	tss_fill(vcpu);
	gdt_load(vcpu);
	idt_load();
	__asm__ volatile("wrmsr" ::"c"(MSR_FS_BASE), "a"((uint32_t)area), "d"(area >> 32));
	image_user_enter(vcpu, (uintptr_t)user_stacks[vcpu + 1] - 8);
}

/* Each vCPU has its own kernel stack, so that tells which it is. */
void image_fault(uint64_t vector, uint64_t at, uint64_t address)
{
	uint64_t stack = (uintptr_t)__builtin_frame_address(0);
	uint64_t vcpu = (stack - (uintptr_t)image_kernel_stacks) / IMAGE_STACK_LEN;
	uint8_t *m = (uint8_t *)(HANDLER_MAILBOX + vcpu % HANDLER_VCPUS_MAX * HANDLER_MAILBOX_LEN);

	host_put64(m + HANDLER_M_RESULT + HANDLER_R_FAULT, vector);
	host_put64(m + HANDLER_M_RESULT + HANDLER_R_FAULT + 8, at);
	host_put64(m + HANDLER_M_RESULT + HANDLER_R_FAULT + 16, address);
	host_put32(m + HANDLER_M_STATUS, HANDLER_E_FAULT);
	host_put32(m + HANDLER_M_SERIAL, host_get32(m + HANDLER_M_SERIAL) + 1);
	for (;;)
		__asm__ volatile("outl %0, %w1" ::"a"(0), "d"(HANDLER_PORT));
}
