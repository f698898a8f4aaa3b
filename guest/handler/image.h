/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The handler as an image for the guest. Kernel mode (entry.S, start.c) sets up what exceptions
 * need and leaves for good; the rest runs in user mode, which every host runs natively, and talks
 * to the monitor by a port.
 */

#define IMAGE_CS 0x08
#define IMAGE_USER_DS 0x13
#define IMAGE_USER_CS 0x1b
#define IMAGE_TSS 0x20
#define IMAGE_STACK_LEN 0x4000
#define IMAGE_VCPUS 4

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

extern const uint8_t image_stubs[];
extern uint8_t image_kernel_stacks[IMAGE_VCPUS][IMAGE_STACK_LEN];
void image_start(unsigned vcpu) __attribute__((noreturn));
void image_user_enter(unsigned vcpu, uint64_t stack) __attribute__((noreturn));
void image_serve(unsigned vcpu) __attribute__((noreturn));
void image_fault(uint64_t vector, uint64_t at, uint64_t address) __attribute__((noreturn));

/* What libraries call. */
void *memcpy(void *to, const void *from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *p, int v, size_t len);
size_t strlen(const char *s);
void *__memcpy_chk(void *to, const void *from, size_t len, size_t room);
void *__memset_chk(void *p, int v, size_t len, size_t room);
void __stack_chk_fail(void) __attribute__((noreturn));
extern int imb_errno, imb_errno_types[];

#endif
