/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SEV-ES at CPL0. What needs the hypervisor raises #VC; its handler says in the processor's GHCB
 * page what is needed, and leaves by VMGEXIT. Before there is a page, CPUID is asked by the GHCB
 * MSR. What cannot be handled ends the guest, by the MSR, too.
 */

#include <stdbool.h>
#include <stdint.h>

#include "guest/guest.h"

/* Is this an SEV-ES guest, on what, and which protocol? With an IDT, before any CPUID or port. */
void vc_init(void);
bool vc_on(void);
/* The pages of all processors, one after the other; to be mapped as shared. */
uint64_t vc_pages(void);
/* This processor's page is in use from here on. */
void vc_page_use(unsigned cpu);
/* #VC, or what stands for it: error is the exit code. false: the frame is now another exception. */
bool vc_handle(struct trap_frame *f, uint64_t error);

/* The AP jump table's address, 0: none was set; or set it. */
uint64_t vc_jump_table(void);
void vc_jump_table_set(uint64_t gpa);
