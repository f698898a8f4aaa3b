/* SPDX-License-Identifier: Apache-2.0 */

/* The first start of a guest: load, encrypt, set the vCPUs, measure, finish the launch. */

#include "vmm/impl.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "abi/handler.h"
#include "base/log.h"
#include "sev/es.h"
#include "vmm/direct.h"
#include "vmm/firmware.h"

#define MTRR_ENABLED_WB 0xc06ull
#define RESET_CS_BASE 0xffff0000u /* of a secondary vCPU's first address; the rest is in IP */

static int registers_get(struct vmm_vcpu *v, struct kvm_regs *r, struct kvm_sregs *s, struct err *e)
{
	if (vmm_vcpu_ioctl(v, KVM_GET_SREGS, s) < 0)
		return err_set(e, -errno, "KVM_GET_SREGS: %m");
	if (vmm_vcpu_ioctl(v, KVM_GET_REGS, r) < 0)
		return err_set(e, -errno, "KVM_GET_REGS: %m");
	return 0;
}

static int registers_set(struct vmm_vcpu *v, struct kvm_regs *r, struct kvm_sregs *s, struct err *e)
{
	if (vmm_vcpu_ioctl(v, KVM_SET_SREGS, s) < 0)
		return err_set(e, -errno, "KVM_SET_SREGS: %m");
	if (vmm_vcpu_ioctl(v, KVM_SET_REGS, r) < 0)
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

static int range_encrypt(void *ctx, uint8_t *shared, size_t len, struct err *e)
{
	return sev_launch_update(ctx, shared, len, e);
}

/* The owner sees the measurement before anything secret goes in. */
static int launch_secret(struct vm *vm, const struct vm_boot *boot, struct err *e)
{
	struct vm_secret s = { 0 };
	int r = boot->secret ? boot->secret(boot->secret_ctx, vm->measurement, &s, e) : 1;

	if (r == 1)
		return 0;
	if (r < 0)
		return err_wrap(e, r, "the guest owner's secret");
	return vm_launch_secret(vm, &s, e);
}

int vm_launch_secret(struct vm *vm, const struct vm_secret *s, struct err *e)
{
	uint8_t *at = vmm_memory_at(&vm->mem, s->at, s->len);

	if (!at)
		return err_set(e, -EINVAL, "the guest owner's secret: %zu bytes at %#llx: no RAM",
			       s->len, (unsigned long long)s->at.v);
	return sev_launch_secret(vm->mig.sev, s->hdr, at, s->packet, s->len, e);
}

/* Without firmware: the kernel's entry is where the guest begins. */
static int launch_direct(struct vm *vm, const struct vm_boot *boot, struct boot_image *img,
			 struct err *e)
{
	int r = vmm_direct_load(&vm->mem, boot, vm->nvcpu, vm->mig.sev->cbit, img, e);

	if (!r && boot->handler) {
		log_info("vmm", "%s: %llu KiB of memory reserved for the migration handler",
			 vm->name, (HANDLER_END - HANDLER_BASE) >> 10);
		vmm_mirror_init(&vm->mirror, vm);
		vm->mig.handler = &vm->mirror.base;
	}
	if (!r)
		r = vmm_direct_each(&vm->mem, img, range_encrypt, vm->mig.sev, e);
	return r ? err_wrap(e, r, "encrypting the guest") : 0;
}

static int launch_firmware(struct vm *vm, const struct vm_boot *boot, struct err *e)
{
	int r;

	if (boot->handler)
		return err_set(e, -EINVAL,
			       "the firmware knows of no migration handler's memory; boot without");
	r = vmm_firmware_load(vm, boot->firmware, e);
	return r ? r : vmm_firmware_encrypt(vm, boot->firmware, e);
}

/* Under SEV-ES there is no INIT: secondary vCPUs begin where the firmware says. */
static int secondary_registers(const struct vm *vm, const struct vm_boot *boot, struct kvm_regs *r,
			       struct kvm_sregs *s, struct err *e)
{
	uint32_t reset = boot->firmware ? boot->firmware->es_reset : 0;

	if (!reset)
		return err_set(e, -EINVAL,
			       "%u vCPUs: an SEV-ES guest starts its secondary CPUs where its "
			       "firmware's reset block says, and there is none",
			       vm->nvcpu);
	s->cs.base = reset & RESET_CS_BASE;
	r->rip = reset & ~RESET_CS_BASE;
	return 0;
}

/* What differs from the state after a reset; that KVM does not know the processor's signature when
 * it makes a vCPU is one such thing. */
static int launch_registers(struct vm *vm, unsigned i, const struct vm_boot *boot,
			    const struct boot_image *img, struct err *e)
{
	const struct kvm_cpuid_entry2 *leaf = vmm_machine_leaf(&vm->machine, 1, 0);
	struct kvm_sregs s;
	struct kvm_regs r;
	int ret = registers_get(&vm->vcpu[i], &r, &s, e);

	if (ret)
		return ret;
	r.rdx = leaf ? leaf->eax : r.rdx;
	if (i > 0 && vmm_es(vm))
		ret = secondary_registers(vm, boot, &r, &s, e);
	if (i == 0 && !boot->firmware)
		vmm_direct_registers(img, vm->mig.sev->cbit, &r, &s);
	return ret ? ret : registers_set(&vm->vcpu[i], &r, &s, e);
}

static int launch_processors(struct vm *vm, const struct vm_boot *boot,
			     const struct boot_image *img, struct err *e)
{
	int r = boot->firmware ? 0 : launch_mtrrs(vm, e);

	for (unsigned i = 0; !r && i < vm->nvcpu; i++) {
		r = launch_registers(vm, i, boot, img, e);
		if (r)
			r = err_wrap(e, r, "vCPU %u", i);
	}
	return r;
}

/* Registers are set before they are measured, and are nobody's afterwards. */
static int launch_measure(struct vm *vm, const struct vm_boot *boot, const struct boot_image *img,
			  struct err *e)
{
	int r = launch_processors(vm, boot, img, e);

	if (!r && vmm_es(vm))
		r = sev_launch_update_vmsa(vm->mig.sev, e);
	return r ? r : sev_launch_measure(vm->mig.sev, vm->measurement, e);
}

/* The measurement is over what was encrypted, in this order: owner/launch.h. */
static int launch_sev(struct vm *vm, const struct vm_boot *boot, struct err *e)
{
	struct sev_vm *sev = vm->mig.sev;
	struct boot_image img;
	int r = sev_launch_start(sev, vm->cfg.policy, boot->dh, boot->dh_len, boot->session,
				 boot->session_len, e);

	if (!r)
		r = boot->firmware ? launch_firmware(vm, boot, e)
				   : launch_direct(vm, boot, &img, e);
	if (!r)
		r = launch_measure(vm, boot, &img, e);
	if (r)
		return r;
	vm->measured = true;
	r = launch_secret(vm, boot, e);
	return r < 0 ? r : sev_launch_finish(sev, e);
}

int vm_boot(struct vm *vm, const struct vm_boot *boot, struct err *e)
{
	int r;

	if (vm_state(vm) != VM_NEW || vm->vcpu)
		return err_set(e, -EINVAL, "VM %s is not new", vm->name);
	r = vmm_setup(vm, e);
	if (!r)
		r = vmm_cpuid_apply(vm, e);
	if (!r)
		r = launch_sev(vm, boot, e);
	if (r)
		return err_wrap(e, r, "VM %s", vm->name);
	vmm_live(vm);
	return 0;
}
