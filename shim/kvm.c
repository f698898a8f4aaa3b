/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/shim.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"

/* The oldest headers that this is built with do not know these. */
#define VM_TYPE_SEV 2u
#define VM_TYPE_SEV_ES 3u
#define CAP_COPY_ENC_CONTEXT 197u
#define CAP_MOVE_ENC_CONTEXT 206u
#define GROUP_SEV 1u
#define ATTR_VMSA_FEATURES 0u

#define CPUID_MAX_LEAF 0x80000000u
#define CPUID_SEV_LEAF 0x8000001fu

#define MSR_PAT 0x277u
#define MSR_XSS 0xda0u

/* Would the kernel read 8 bytes there? rt_sigprocmask() does so before it finds that the first
 * argument makes no sense. */
static bool readable(uint64_t uaddr)
{
	int keep = errno;
	bool is = syscall(SYS_rt_sigprocmask, -1, uaddr, NULL, 8) < 0 && errno == EINVAL;

	errno = keep;
	return is;
}

static bool readable_all(uint64_t uaddr, size_t len)
{
	for (size_t at = 0; at < len; at += 8) {
		if (!readable(uaddr + at))
			return false;
	}
	return true;
}

/* --- what the SEV side of a VM asks ---------------------------------------------------------- */

static bool client_is_sev(void *ctx, uint32_t fd)
{
	(void)ctx;
	return fd <= INT32_MAX && shim_is_sev((int)fd);
}

static unsigned client_vcpus(void *ctx)
{
	const struct shim_vm *vm = ctx;

	return vm->vcpus;
}

static bool client_vcpu_coming(void *ctx)
{
	const struct shim_vm *vm = ctx;

	return vm->coming;
}

static void msr_read(int fd, uint32_t index, uint64_t *out)
{
	uint64_t room[(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)) / 8] = { 0 };
	struct kvm_msrs *m = (struct kvm_msrs *)room;

	m->nmsrs = 1;
	m->entries[0].index = index;
	if (shim_ioctl_next(fd, KVM_GET_MSRS, (uintptr_t)m) == 1)
		*out = m->entries[0].data;
}

/* A vCPU whose every descriptor is closed keeps the reset values: nobody could have set others. */
static int client_vcpu_regs(void *ctx, unsigned n, struct sev_vmsa_regs *out)
{
	const struct shim_vm *vm = ctx;
	int fd = shim_fds_find_vcpu(vm, n);
	struct kvm_xcrs xcrs = { 0 };

	if (fd < 0)
		return 0;
	if (shim_ioctl_next(fd, KVM_GET_REGS, (uintptr_t)&out->regs) < 0 ||
	    shim_ioctl_next(fd, KVM_GET_SREGS, (uintptr_t)&out->sregs) < 0 ||
	    shim_ioctl_next(fd, KVM_GET_DEBUGREGS, (uintptr_t)&out->debug) < 0 ||
	    shim_ioctl_next(fd, KVM_GET_XSAVE, (uintptr_t)&out->xsave) < 0)
		return -errno;
	if (shim_ioctl_next(fd, KVM_GET_XCRS, (uintptr_t)&xcrs) == 0 && xcrs.nr_xcrs)
		out->xcr0 = xcrs.xcrs[0].value;
	msr_read(fd, MSR_PAT, &out->pat);
	msr_read(fd, MSR_XSS, &out->xss);
	return 0;
}

/* --- VMs ------------------------------------------------------------------------------------- */

/* What the VM refuses is asked once a change, so that KVM_RUN costs a glance. */
static void refusal_update(struct shim_vm *vm)
{
	struct sev_soft_vm_state st = sev_soft_vm_state(vm->sev);

	vm->refusal = (st.dead ? SHIM_DEAD : 0u) | (st.no_run ? SHIM_NO_RUN : 0u) |
		      (st.protected ? SHIM_PROTECTED : 0u) | (st.regs_hidden ? SHIM_NO_REGS : 0u);
}

static int vm_track(int vm_fd, unsigned type)
{
	struct sev_platform *p = shim_platform();
	struct shim_vm *vm = p ? shim_fds_vm_new() : NULL;
	struct sev_soft_client client = {
		.ctx = vm,
		.vm_type = type,
		.is_sev = client_is_sev,
		.vcpus = client_vcpus,
		.vcpu_coming = client_vcpu_coming,
		.vcpu_regs = client_vcpu_regs,
	};
	struct err e = { 0 };

	if (!vm)
		return p ? -ENOMEM : -ENODEV;
	if (sev_soft_client_vm(p, &client, &vm->sev, &e) < 0) {
		log_err("shim", "%s", e.msg);
		shim_fds_vm_discard(vm);
		return e.code;
	}
	refusal_update(vm);
	if (!shim_fds_add_vm(vm_fd, vm)) {
		sev_vm_free(vm->sev);
		shim_fds_vm_discard(vm);
		return -ENOMEM;
	}
	return 0;
}

int shim_kvm_create_vm(int kvm_fd, unsigned long type)
{
	bool typed = type == VM_TYPE_SEV || type == VM_TYPE_SEV_ES;
	int fd = shim_ioctl_next(kvm_fd, KVM_CREATE_VM, typed ? 0 : type);
	int r;

	if (fd < 0 || type > VM_TYPE_SEV_ES)
		return fd;
	r = vm_track(fd, (unsigned)type);
	if (r < 0) {
		close(fd);
		return shim_return(r);
	}
	return fd;
}

int shim_kvm_create_vcpu(int vm_fd, unsigned long id)
{
	struct shim_file *f = shim_fds_get(vm_fd);
	int fd;

	if (!f || !f->is_vm) {
		if (f)
			shim_fds_put(f);
		return shim_ioctl_next(vm_fd, KVM_CREATE_VCPU, id);
	}
	f->vm->coming++;
	fd = shim_ioctl_next(vm_fd, KVM_CREATE_VCPU, id);
	/* Without memory it is a vCPU that nobody can ask for its registers. */
	if (fd >= 0)
		shim_fds_add_vcpu(fd, f->vm, f->vm->vcpus++);
	f->vm->coming--;
	shim_fds_put(f);
	return fd;
}

int shim_kvm_sev(int vm_fd, unsigned long request, uint64_t arg)
{
	struct shim_file *f = shim_fds_get(vm_fd);
	int r;

	if (!f)
		return shim_ioctl_next(vm_fd, request, arg);
	if (!f->is_vm)
		r = -EINVAL; /* a vCPU: as KVM answers numbers it does not know there */
	else if (!shim_fds_mine())
		r = -EIO;
	else
		r = sev_soft_vm_ioctl(f->vm->sev, request, arg);
	if (f->is_vm)
		refusal_update(f->vm);
	shim_fds_put(f);
	return shim_return(r);
}

/* --- mirror and move ------------------------------------------------------------------------- */

static bool is_kvm_vm(int fd)
{
	return shim_ioctl_next(fd, KVM_CHECK_EXTENSION, KVM_CAP_CHECK_EXTENSION_VM) >= 0;
}

static int context_take(struct shim_vm *vm, uint32_t cap, uint64_t from_fd)
{
	struct shim_file *from = from_fd <= INT32_MAX ? shim_fds_get((int)from_fd) : NULL;
	struct sev_vm *sev = from && from->is_vm ? from->vm->sev : NULL;
	int r;

	if (!sev && (from || from_fd > INT32_MAX || !is_kvm_vm((int)from_fd)))
		r = -EBADF;
	else if (cap == CAP_COPY_ENC_CONTEXT)
		r = sev_soft_vm_copy_from(vm->sev, sev);
	else
		r = sev_soft_vm_move_from(vm->sev, sev);
	refusal_update(vm);
	if (from) {
		refusal_update(from->vm);
		shim_fds_put(from);
	}
	return r;
}

int shim_kvm_enable_cap(int vm_fd, uint64_t arg)
{
	struct shim_file *f = shim_fds_get(vm_fd);
	struct kvm_enable_cap cap = { 0 };
	int r;

	if (f && f->is_vm && readable_all(arg, sizeof(cap)))
		memcpy(&cap, (const void *)(uintptr_t)arg, sizeof(cap));
	if (cap.cap != CAP_COPY_ENC_CONTEXT && cap.cap != CAP_MOVE_ENC_CONTEXT)
		r = shim_ioctl_next(vm_fd, KVM_ENABLE_CAP, arg);
	else if (cap.flags)
		r = shim_return(-EINVAL);
	else
		r = shim_return(context_take(f->vm, cap.cap, cap.args[0]));
	if (f)
		shim_fds_put(f);
	return r;
}

/* --- /dev/kvm -------------------------------------------------------------------------------- */

static bool is_kvm(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 232);
}

int shim_kvm_device_attr(int fd, unsigned long request, uint64_t arg)
{
	struct kvm_device_attr attr = { .group = ~0u };
	const uint64_t features = SEV_SOFT_VMSA_FEATURES;

	if (is_kvm(fd) && readable_all(arg, sizeof(attr)))
		memcpy(&attr, (const void *)(uintptr_t)arg, sizeof(attr));
	if (attr.flags || attr.group != GROUP_SEV || attr.attr != ATTR_VMSA_FEATURES)
		return shim_ioctl_next(fd, request, arg);
	if (request == KVM_HAS_DEVICE_ATTR)
		return 0;
	/* Writes there only if the kernel could: EFAULT is its word, not a fault of ours. */
	if (getrandom((void *)(uintptr_t)attr.addr, sizeof(features), 0) != sizeof(features))
		return shim_return(-EFAULT);
	memcpy((void *)(uintptr_t)attr.addr, &features, sizeof(features));
	return 0;
}

/* The leaf, or a new one where there is room, or NULL. */
static struct kvm_cpuid_entry2 *leaf_place(struct kvm_cpuid2 *list, uint32_t room, uint32_t leaf)
{
	for (uint32_t i = 0; i < list->nent; i++) {
		if (list->entries[i].function == leaf)
			return &list->entries[i];
	}
	if (list->nent >= room)
		return NULL;
	list->entries[list->nent] = (struct kvm_cpuid_entry2){ .function = leaf };
	return &list->entries[list->nent++];
}

int shim_kvm_supported_cpuid(int kvm_fd, uint64_t arg)
{
	struct kvm_cpuid2 *list = (struct kvm_cpuid2 *)(uintptr_t)arg;
	uint32_t room = readable(arg) ? list->nent : 0;
	int r = shim_ioctl_next(kvm_fd, KVM_GET_SUPPORTED_CPUID, arg);
	struct kvm_cpuid_entry2 *max, *sev;
	uint32_t regs[4];

	if (r < 0)
		return r;
	max = leaf_place(list, room, CPUID_MAX_LEAF);
	sev = leaf_place(list, room, CPUID_SEV_LEAF);
	if (!max || !sev)
		return shim_return(-E2BIG);
	if (max->eax < CPUID_SEV_LEAF)
		max->eax = CPUID_SEV_LEAF;
	sev_soft_cpuid(shim_config.cbit, regs);
	sev->eax = regs[0];
	sev->ebx = regs[1] & 0x3f; /* KVM clears the rest */
	sev->ecx = regs[2];
	sev->edx = regs[3];
	return r;
}
