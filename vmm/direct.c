/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A boot without firmware: the first vCPU begins at the kernel's entry. What is loaded, in which
 * order it is encrypted, and how that vCPU begins are measured; the owner's side asks the same
 * functions what to expect.
 */

#include "vmm/direct.h"

#include <errno.h>

#include "vmm/handler_image.h"

#define CR0_PE_PG_ET_NE 0x80000031ull
#define CR4_PAE 0x20ull
#define EFER_LME_LMA 0x500ull

/* Its place among the ranges is by address, as everything's. */
static int handler_add(const char *path, const struct boot_machine *m, struct boot_image *img,
		       struct err *e)
{
	struct boot_range own;
	size_t i = img->nrange;
	int r = vmm_handler_load(path, m, &own, e);

	if (!r && i == BOOT_RANGES_MAX)
		r = err_set(e, -E2BIG, "more than %d pieces to load", BOOT_RANGES_MAX);
	if (r)
		return r;
	for (; i && img->range[i - 1].at.v > own.at.v; i--)
		img->range[i] = img->range[i - 1];
	img->range[i] = own;
	img->nrange++;
	return 0;
}

int vmm_direct_load(const struct vmm_memory *mem, const struct vm_boot *boot, unsigned cpus,
		    unsigned cbit, struct boot_image *img, struct err *e)
{
	const struct boot_machine m = { .ram = mem->ram,
					.nram = mem->nram,
					.cbit = cbit,
					.rsdp = gpa(PC_ACPI_BASE),
					.handler = boot->handler };
	const struct pc_machine pc = { .cpus = cpus };
	int r;

	pc_acpi_write(vmm_memory_at(mem, gpa(PC_ACPI_BASE), PC_ACPI_LEN), &pc);
	r = vmm_boot_load(boot, &m, img, e);
	return r || !boot->handler ? r : handler_add(boot->handler, &m, img, e);
}

/* In address order. The tables belong between the boot structures and the kernel, which is never
 * below 1 MiB. */
int vmm_direct_each(const struct vmm_memory *mem, const struct boot_image *img, vmm_direct_fn *fn,
		    void *ctx, struct err *e)
{
	bool tables = false;
	int r = 0;

	for (size_t i = 0; !r && i < img->nrange; i++) {
		if (!tables && img->range[i].at.v > PC_ACPI_BASE) {
			tables = true;
			r = fn(ctx, vmm_memory_at(mem, gpa(PC_ACPI_BASE), PC_ACPI_LEN), PC_ACPI_LEN,
			       e);
		}
		if (!r)
			r = fn(ctx, img->range[i].shared, img->range[i].len, e);
		if (r)
			r = err_wrap(e, r, "image at %#llx",
				     (unsigned long long)img->range[i].at.v);
	}
	return r;
}

static struct kvm_segment segment(uint16_t selector, bool code)
{
	return (struct kvm_segment){ .limit = 0xffffffff,
				     .selector = selector,
				     .type = code ? 11 : 3,
				     .present = 1,
				     .s = 1,
				     .l = code,
				     .db = !code,
				     .g = 1 };
}

void vmm_direct_registers(const struct boot_image *img, unsigned cbit, struct kvm_regs *r,
			  struct kvm_sregs *s)
{
	*r = (struct kvm_regs){
		.rip = img->entry.v, .rsp = img->stack.v, .rsi = img->params.v, .rflags = 2
	};
	s->cs = segment(BOOT_CS, true);
	s->ds = s->es = s->fs = s->gs = s->ss = segment(BOOT_DS, false);
	s->gdt.base = img->gdt.v;
	s->gdt.limit = img->gdt_limit;
	s->idt.limit = 0;
	s->cr3 = img->cr3.v | 1ull << cbit;
	s->cr4 = CR4_PAE;
	s->cr0 = CR0_PE_PG_ET_NE;
	s->efer = EFER_LME_LMA;
}
