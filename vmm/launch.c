/* SPDX-License-Identifier: Apache-2.0 */

/* The first start of a guest: load, encrypt, measure, finish the launch, set the first vCPU. */

#include "vmm/impl.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "pc/acpi.h"
#include "sev/es.h"
#include "vmm/firmware.h"
#include "vmm/handler_image.h"

#define CR0_PE_PG_ET_NE 0x80000031ull
#define CR4_PAE 0x20ull
#define EFER_LME_LMA 0x500ull
#define MTRR_ENABLED_WB 0xc06ull

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

static int launch_registers(struct vm *vm, const struct boot_image *img, struct err *e)
{
	struct vmm_vcpu *v = &vm->vcpu[0];
	struct kvm_regs r = {
		.rip = img->entry.v, .rsp = img->stack.v, .rsi = img->params.v, .rflags = 2
	};
	struct kvm_sregs s;

	if (vmm_vcpu_ioctl(v, KVM_GET_SREGS, &s) < 0)
		return err_set(e, -errno, "KVM_GET_SREGS: %m");
	s.cs = segment(BOOT_CS, true);
	s.ds = s.es = s.fs = s.gs = s.ss = segment(BOOT_DS, false);
	s.gdt.base = img->gdt.v;
	s.gdt.limit = img->gdt_limit;
	s.idt.limit = 0;
	s.cr3 = img->cr3.v | 1ull << vm->mig.sev->cbit;
	s.cr4 = CR4_PAE;
	s.cr0 = CR0_PE_PG_ET_NE;
	s.efer = EFER_LME_LMA;
	if (vmm_vcpu_ioctl(v, KVM_SET_SREGS, &s) < 0)
		return err_set(e, -errno, "KVM_SET_SREGS: %m");
	if (vmm_vcpu_ioctl(v, KVM_SET_REGS, &r) < 0)
		return err_set(e, -errno, "KVM_SET_REGS: %m");
	return 0;
}

/* With memory types off a kernel's PAT lacks write-protect, and early_memremap_encrypted_wp()
 * dies. Firmware would have turned them on. */
static int launch_mtrrs(struct vm *vm, struct err *e)
{
	for (unsigned i = 0; i < vm->nvcpu; i++)
		if (vmm_msr_set(&vm->vcpu[i], MSR_MTRR_DEFAULT, MTRR_ENABLED_WB))
			return err_set(e, -EIO, "vCPU %u: memory types cannot be enabled", i);
	return 0;
}

/* Its place among the ranges is by address, as everything's. */
static int launch_handler(struct vm *vm, const char *path, const struct boot_machine *m,
			  struct boot_image *img, struct err *e)
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
	vmm_mirror_init(&vm->mirror, vm);
	vm->mig.handler = &vm->mirror.base;
	return 0;
}

static int launch_load(struct vm *vm, const struct vm_boot *boot, struct boot_image *img,
		       struct err *e)
{
	struct boot_machine m = { .ram = vm->mem.ram,
				  .nram = vm->mem.nram,
				  .cbit = vm->mig.sev->cbit,
				  .rsdp = gpa(PC_ACPI_BASE),
				  .handler = boot->handler };
	const struct pc_machine pc = { .cpus = vm->nvcpu };
	int r;

	pc_acpi_write(vmm_memory_at(&vm->mem, gpa(PC_ACPI_BASE), PC_ACPI_LEN), &pc);
	r = vmm_boot_load(boot, &m, img, e);
	return r || !boot->handler ? r : launch_handler(vm, boot->handler, &m, img, e);
}

/* In address order: the measurement covers the order, too. The tables belong between the boot
 * structures and the kernel, which is never below 1 MiB. */
static int launch_encrypt(struct vm *vm, const struct boot_image *img, struct err *e)
{
	bool tables = false;
	int r = 0;

	for (size_t i = 0; !r && i < img->nrange; i++) {
		if (!tables && img->range[i].at.v > PC_ACPI_BASE) {
			tables = true;
			r = sev_launch_update(vm->mig.sev,
					      vmm_memory_at(&vm->mem, gpa(PC_ACPI_BASE), 1),
					      PC_ACPI_LEN, e);
		}
		if (!r)
			r = sev_launch_update(vm->mig.sev, img->range[i].shared, img->range[i].len,
					      e);
		if (r)
			r = err_wrap(e, r, "encrypting the image at %#llx",
				     (unsigned long long)img->range[i].at.v);
	}
	return r;
}

/* The owner sees the measurement before anything secret goes in. */
static int launch_secret(struct vm *vm, const struct vm_boot *boot, struct err *e)
{
	struct vm_secret s = { 0 };
	uint8_t *at;
	int r = boot->secret ? boot->secret(boot->secret_ctx, vm->measurement, &s, e) : 1;

	if (r == 1)
		return 0;
	if (r < 0)
		return err_wrap(e, r, "the guest owner's secret");
	at = vmm_memory_at(&vm->mem, s.at, s.len);
	if (!at)
		return err_set(e, -EINVAL, "the guest owner's secret: %zu bytes at %#llx: no RAM",
			       s.len, (unsigned long long)s.at.v);
	return sev_launch_secret(vm->mig.sev, s.hdr, at, s.packet, s.len, e);
}

/* Without firmware: the kernel's entry is where the guest begins. */
static int launch_direct(struct vm *vm, const struct vm_boot *boot, struct boot_image *img,
			 struct err *e)
{
	int r = launch_load(vm, boot, img, e);

	return r ? r : launch_encrypt(vm, img, e);
}

static int launch_firmware(struct vm *vm, const struct vm_firmware *fw, struct err *e)
{
	int r = vmm_firmware_load(vm, fw, e);

	return r ? r : vmm_firmware_encrypt(vm, fw, e);
}

/* Firmware begins as the processor does after a reset, and does the rest by itself. */
static int launch_processors(struct vm *vm, const struct vm_boot *boot,
			     const struct boot_image *img, struct err *e)
{
	int r;

	if (boot->firmware)
		return 0;
	r = launch_registers(vm, img, e);
	return r ? r : launch_mtrrs(vm, e);
}

static int launch_secondary(struct vm *vm, const struct vm_boot *boot, struct err *e)
{
	(void)boot;
	if (vm->nvcpu > 1)
		return err_set(e, -EINVAL,
			       "%u vCPUs: an SEV-ES guest starts its secondary CPUs where its "
			       "firmware's reset block says, and there is none",
			       vm->nvcpu);
	return 0;
}

/* Registers are set before they are measured, and are nobody's afterwards. */
static int launch_measure(struct vm *vm, const struct vm_boot *boot, const struct boot_image *img,
			  struct err *e)
{
	int r = launch_processors(vm, boot, img, e);

	if (!r && vmm_es(vm))
		r = launch_secondary(vm, boot, e);
	if (!r && vmm_es(vm))
		r = sev_launch_update_vmsa(vm->mig.sev, e);
	return r ? r : sev_launch_measure(vm->mig.sev, vm->measurement, e);
}

static int launch_sev(struct vm *vm, const struct vm_boot *boot, struct boot_image *img,
		      struct err *e)
{
	struct sev_vm *sev = vm->mig.sev;
	int r = sev_launch_start(sev, vm->cfg.policy, boot->dh, boot->dh_len, boot->session,
				 boot->session_len, e);

	if (!r)
		r = boot->firmware ? launch_firmware(vm, boot->firmware, e)
				   : launch_direct(vm, boot, img, e);
	if (!r)
		r = launch_measure(vm, boot, img, e);
	if (r)
		return r;
	vm->measured = true;
	r = launch_secret(vm, boot, e);
	return r < 0 ? r : sev_launch_finish(sev, e);
}

int vm_boot(struct vm *vm, const struct vm_boot *boot, struct err *e)
{
	struct boot_image img;
	int r;

	if (vm_state(vm) != VM_NEW || vm->vcpu)
		return err_set(e, -EINVAL, "VM %s is not new", vm->name);
	r = vmm_setup(vm, e);
	if (!r)
		r = vmm_cpuid_apply(vm, e);
	if (!r)
		r = launch_sev(vm, boot, &img, e);
	if (r)
		return err_wrap(e, r, "VM %s", vm->name);
	vmm_live(vm);
	return 0;
}
