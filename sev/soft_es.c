/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SEV-ES: the vCPUs' state becomes part of what is measured and encrypted. What is kept here is
 * measured, sent and received; a vCPU of our own monitor has its registers in KVM while it runs and
 * gets them from here when it starts (sev/soft_cpu.h), a shim's client's never does.
 *
 * Where kernels differ: LAUNCH_UPDATE_VMSA of vCPUs that were encrypted already is EINVAL in Linux
 * 6.12, and measures once more in 6.1 and 6.16; the kernel's selftests of 6.11 to 7.0 need the
 * latter. client.vmsa_once chooses. No mainline kernel answers SEND_UPDATE_VMSA and
 * RECEIVE_UPDATE_VMSA; with client.update_vmsa their parameters are those of Hygon's kernels.
 */

#include <string.h>

#include "sev/soft_vm.h"

#define DR7_RESET 0x400u

static struct psp *psp_of(const struct soft_vm *vm)
{
	return soft_platform_of(vm)->psp;
}

/* Room for one VMSA a vCPU; there may be more vCPUs now than there were. */
static int room_make(struct soft_vm *vm, unsigned n)
{
	struct soft_vmsa *more;

	if (n <= vm->nvmsa)
		return 0;
	more = aligned_alloc(_Alignof(struct soft_vmsa), n * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more, 0, n * sizeof(*more));
	if (vm->vmsa)
		memcpy(more, vm->vmsa, vm->nvmsa * sizeof(*more));
	free(vm->vmsa);
	vm->vmsa = more;
	return 0;
}

/* KVM_SEV_ES_INIT leaves FPU state out of the VMSA, KVM_SEV_INIT2 brings it. */
static int vcpu_build(struct soft_vm *vm, unsigned n, uint8_t page[SEV_VMSA_LEN])
{
	struct sev_vmsa_regs regs;
	int r = 0;

	sev_vmsa_reset(&regs);
	if (vm->client.vcpu_regs)
		r = vm->client.vcpu_regs(vm->client.ctx, n, &regs);
	else if (n < vm->base.nvcpu)
		r = soft_regs_read(vm->base.vcpu[n].fd, &regs);
	if (r < 0)
		return r;
	if (regs.debug.dr7 != DR7_RESET)
		return -EINVAL;
	regs.fpu = vm->client.vm_type != 0;
	sev_vmsa_build(&regs, page);
	return 0;
}

/* From here on the registers are the guest's. A secondary CPU waits for its start. */
static int vcpu_encrypted(struct soft_vm *vm, unsigned n)
{
	struct kvm_mp_state mp = { 0 };
	int r;

	if (n >= vm->base.nvcpu)
		return 0;
	r = soft_cpu_ioctl(vm->base.vcpu[n].fd, KVM_GET_MP_STATE, &mp);
	if (r < 0)
		return r;
	vm->vcpu[n].encrypted = true;
	vm->vcpu[n].phase =
		mp.mp_state == KVM_MP_STATE_UNINITIALIZED ? SOFT_VCPU_NEW : SOFT_VCPU_RUNS;
	return 0;
}

static int vcpu_update(struct soft_vm *vm, struct kvm_sev_cmd *cmd, unsigned n)
{
	uint8_t page[SEV_VMSA_LEN];
	int r;

	if (n < vm->nvmsa && vm->client.vmsa_once)
		return -EINVAL;
	r = vcpu_build(vm, n, page);
	if (r == 0)
		r = SOFT_ISSUE(vm, cmd,
			       psp_launch_update_vmsa(psp_of(vm), vm->handle, page,
						      vm->vmsa[n].page, sizeof(page)));
	if (r == 0 && n >= vm->nvmsa)
		vm->nvmsa = n + 1;
	return r < 0 ? r : vcpu_encrypted(vm, n);
}

int soft_launch_update_vmsa(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	unsigned n = soft_vm_vcpus(vm);
	int r;

	if (!vm->es)
		return -ENOTTY;
	if (soft_vm_vcpu_coming(vm))
		return -EBUSY;
	r = room_make(vm, n);
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = vcpu_update(vm, cmd, i);
	return r;
}

/* --- Hygon's way to send and receive them ----------------------------------------------------- */

/* Both commands' parameters: natural alignment, 40 bytes. */
struct update_vmsa {
	uint32_t vcpu;
	uint32_t pad0;
	uint64_t hdr_uaddr;
	uint32_t hdr_len;
	uint32_t pad1;
	uint64_t trans_uaddr;
	uint32_t trans_len;
	uint32_t pad2;
};
_Static_assert(sizeof(struct update_vmsa) == 40, "see doc/SEV-INTERFACE.md");

static int send_query(struct soft_vm *vm, struct kvm_sev_cmd *cmd, struct update_vmsa *p)
{
	struct psp_room hdr = { 0 }, packet = { 0 };
	int r = SOFT_ISSUE(
		vm, cmd,
		psp_send_update_vmsa(psp_of(vm), vm->handle, NULL, SEV_VMSA_LEN, &hdr, &packet));

	if (r != -EIO)
		return r;
	p->hdr_len = hdr.len;
	p->trans_len = packet.len;
	return soft_user_put(&vm->user, cmd->data, p, sizeof(*p)) < 0 ? -EFAULT : r;
}

int soft_send_update_vmsa(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	uint8_t hdr[PSP_HDR_LEN], packet[SEV_VMSA_LEN];
	struct psp_room h = { hdr, sizeof(hdr) }, t = { packet, sizeof(packet) };
	struct update_vmsa p;
	int r = vm->es ? soft_user_get(&vm->user, &p, cmd->data, sizeof(p)) : -ENOTTY;

	if (r < 0)
		return r;
	if (!p.hdr_len || !p.trans_len)
		return send_query(vm, cmd, &p);
	if (!p.hdr_uaddr || !p.trans_uaddr || p.vcpu >= vm->nvmsa)
		return -EINVAL;
	h.len = p.hdr_len < h.len ? p.hdr_len : h.len;
	t.len = p.trans_len < t.len ? p.trans_len : t.len;
	if (p.vcpu < vm->base.nvcpu && vm->vcpu[p.vcpu].phase == SOFT_VCPU_RUNS)
		r = soft_vcpu_seal(vm, p.vcpu);
	if (r < 0)
		return r;
	r = SOFT_ISSUE(vm, cmd,
		       psp_send_update_vmsa(psp_of(vm), vm->handle, vm->vmsa[p.vcpu].page,
					    SEV_VMSA_LEN, &h, &t));
	if (r == 0)
		r = soft_user_put(&vm->user, p.trans_uaddr, packet, t.len);
	return r < 0 ? r : soft_user_put(&vm->user, p.hdr_uaddr, hdr, h.len);
}

int soft_receive_update_vmsa(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct psp_bytes hdr, packet;
	struct update_vmsa p;
	int r = vm->es ? soft_user_get(&vm->user, &p, cmd->data, sizeof(p)) : -ENOTTY;

	if (r < 0)
		return r;
	if (p.vcpu >= soft_vm_vcpus(vm))
		return -EINVAL;
	r = soft_vm_blob(vm, p.hdr_uaddr, p.hdr_len, &hdr);
	if (r == 0)
		r = soft_vm_blob(vm, p.trans_uaddr, p.trans_len, &packet);
	if (r == 0)
		r = room_make(vm, p.vcpu + 1);
	if (r == 0)
		r = SOFT_ISSUE(vm, cmd,
			       psp_receive_update_vmsa(psp_of(vm), vm->handle, hdr, packet,
						       vm->vmsa[p.vcpu].page, SEV_VMSA_LEN));
	if (r == 0 && p.vcpu >= vm->nvmsa)
		vm->nvmsa = p.vcpu + 1;
	if (r == 0 && p.vcpu < vm->base.nvcpu)
		vm->vcpu[p.vcpu].encrypted = true;
	return r;
}

/* Into the vCPUs that run: the others have theirs from the VMSA when they start. First, because a
 * VMSA that KVM does not take must not make a guest. */
static int vcpus_fill(struct soft_vm *vm)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < vm->base.nvcpu; i++)
		if (vm->vcpu[i].encrypted && vm->vcpu[i].phase == SOFT_VCPU_RUNS)
			r = soft_vcpu_unseal(vm, i);
	return r;
}

int soft_receive_finish(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	int r = vcpus_fill(vm);

	return r < 0 ? r : SOFT_ISSUE(vm, cmd, psp_receive_finish(psp_of(vm), vm->handle));
}
