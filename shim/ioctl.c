/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "shim/next.h"

#define KVM_TYPE 0xaeu
#define REQUEST_TYPE(r) ((r) >> 8 & 0xff)

int shim_ioctl_next(int fd, unsigned long request, uint64_t arg)
{
	return shim_next(ioctl)(fd, request, arg);
}

bool shim_is_sev(int fd)
{
	struct stat st;
	int keep = errno;
	bool is = fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 7);

	errno = keep;
	return is;
}

/* --- /dev/sev -------------------------------------------------------------------------------- */

static int dev_ioctl(int fd, unsigned long request, uint64_t arg)
{
	struct sev_platform *p = shim_platform();
	int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;

	if (!p)
		return shim_return(-ENODEV);
	return shim_return(sev_soft_dev_ioctl(p, request, arg,
					      flags >= 0 && (mode == O_WRONLY || mode == O_RDWR)));
}

/* --- VMs and vCPUs that SEV changed ---------------------------------------------------------- */

static bool is_regs(uint32_t request)
{
	switch (request) {
	case KVM_GET_REGS:
	case KVM_SET_REGS:
	case KVM_GET_SREGS:
	case KVM_SET_SREGS:
	case KVM_GET_SREGS2:
	case KVM_SET_SREGS2:
	case KVM_GET_FPU:
	case KVM_SET_FPU:
	case KVM_GET_XSAVE:
	case KVM_GET_XSAVE2:
	case KVM_SET_XSAVE:
	case KVM_GET_XCRS:
	case KVM_SET_XCRS:
	case KVM_GET_DEBUGREGS:
	case KVM_SET_DEBUGREGS:
		return true;
	default:
		return false;
	}
}

/* 0: let the kernel answer. */
static int refusal(int fd, uint32_t request)
{
	const struct shim_file *f = shim_fds_peek(fd);
	uint32_t why = f ? atomic_load_explicit(&f->vm->refusal, memory_order_relaxed) : 0;

	if (!why)
		return 0;
	if (why & SHIM_DEAD)
		return -EIO;
	if (f->is_vm)
		return 0;
	if ((why & SHIM_NO_RUN && request == KVM_RUN) ||
	    (why & SHIM_PROTECTED && request == KVM_SET_GUEST_DEBUG) ||
	    (why & SHIM_NO_REGS && is_regs(request)))
		return -EINVAL;
	return 0;
}

static int kvm_ioctl(int fd, uint32_t request, uint64_t arg)
{
	int r = refusal(fd, request);

	if (r < 0)
		return shim_return(r);
	switch (request) {
	case KVM_MEMORY_ENCRYPT_OP:
	case KVM_MEMORY_ENCRYPT_REG_REGION:
	case KVM_MEMORY_ENCRYPT_UNREG_REGION:
		return shim_kvm_sev(fd, request, arg);
	case KVM_ENABLE_CAP:
		return shim_kvm_enable_cap(fd, arg);
	case KVM_CREATE_VM:
		return shim_kvm_create_vm(fd, arg);
	case KVM_CREATE_VCPU:
		return shim_kvm_create_vcpu(fd, arg);
	case KVM_GET_SUPPORTED_CPUID:
		return shim_kvm_supported_cpuid(fd, arg);
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
		return shim_kvm_device_attr(fd, request, arg);
	case KVM_CHECK_EXTENSION:
		r = shim_ioctl_next(fd, request, arg);
		return r < 0 ? r : sev_soft_capability(arg, r);
	default:
		return shim_ioctl_next(fd, request, arg);
	}
}

static int other_ioctl(int fd, unsigned long request, uint64_t arg)
{
	int r = shim_ioctl_next(fd, request, arg);

	if (r < 0 && errno == ENOTTY && shim_is_sev(fd))
		errno = EINVAL; /* as ccp answers what it does not know */
	return r;
}

/* The third argument is read even if the caller gave none, as the C library does it. */
shim_public int ioctl(int fd, unsigned long request, ...)
{
	uint32_t number = (uint32_t)request; /* the kernel looks at no more */
	uint64_t arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, uint64_t);
	va_end(ap);
	if (!shim_config.state)
		return shim_ioctl_next(fd, request, arg);
	if (REQUEST_TYPE(number) == KVM_TYPE)
		return kvm_ioctl(fd, number, arg);
	if (number == SEV_ISSUE_CMD && shim_is_sev(fd))
		return dev_ioctl(fd, number, arg);
	return other_ioctl(fd, request, arg);
}
