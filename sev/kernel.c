/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The backend of EPYC hosts: ioctl(2) on /dev/sev and on the VM's file descriptor. A RAM range is
 * one memslot, registered as an encrypted region, which pins it; the hardware sorts out private and
 * shared by the C-bit. Every command's sev_fd is this backend's own /dev/sev.
 */

#include "sev/sev.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/auto.h"
#include "base/fd.h"
#include "sev/vcpu.h"

#define KERNEL_RAM_MAX 16
#define KERNEL_SEV_INIT2 22u                       /* linux/kvm.h since 6.10 */
#define CERT_PUBLIC_LEN 0x414u                     /* what of a certificate is signed */
#define CEK_AT (SEV_PLAT_CHAIN_LEN - SEV_CERT_LEN) /* in PEK, OCA, CEK */

struct kernel_platform {
	struct sev_platform base;
	int fd;                    /* /dev/sev; owned */
	char *chain_path;          /* owned, or NULL */
	uint8_t cek[SEV_CERT_LEN]; /* signed by ASK; all zero: none was given */
	uint8_t amd[SEV_AMD_CHAIN_MAX];
	size_t amd_len;
};

struct kernel_ram {
	struct sev_ram ram;
	bool registered;
};

struct kernel_vm {
	struct sev_vm base;
	int vm_fd;   /* borrowed */
	bool active; /* SEV INIT succeeded: regions can be registered */
	size_t n;
	struct kernel_ram ram[KERNEL_RAM_MAX];
};

static int ioctl_ret(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

/* --- VM -------------------------------------------------------------------------------------- */

static int ram_register(struct kernel_vm *vm, struct kernel_ram *ram)
{
	struct kvm_enc_region r = { (uintptr_t)ram->ram.shared, ram->ram.size };
	int ret = ram->registered ? 0 : ioctl_ret(vm->vm_fd, KVM_MEMORY_ENCRYPT_REG_REGION, &r);

	ram->registered = ret == 0;
	return ret;
}

/* RAM may have come before INIT, when KVM does not register yet. */
static int vm_inited(struct kernel_vm *vm)
{
	vm->active = true;
	for (size_t i = 0; i < vm->n; i++) {
		int r = ram_register(vm, &vm->ram[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_init(uint32_t id)
{
	return id == KVM_SEV_INIT || id == KVM_SEV_ES_INIT || id == KERNEL_SEV_INIT2;
}

static int kernel_op(struct sev_vm *base, struct kvm_sev_cmd *cmd)
{
	struct kernel_vm *vm = (struct kernel_vm *)base;
	int r;

	if (cmd)
		cmd->sev_fd = (uint32_t)((struct kernel_platform *)base->platform)->fd;
	r = ioctl_ret(vm->vm_fd, KVM_MEMORY_ENCRYPT_OP, cmd);
	return r == 0 && cmd && is_init(cmd->id) ? vm_inited(vm) : r;
}

static int kernel_region(struct sev_vm *base, const struct kvm_enc_region *r, bool add)
{
	struct kvm_enc_region copy = *r;

	return ioctl_ret(((struct kernel_vm *)base)->vm_fd,
			 add ? KVM_MEMORY_ENCRYPT_REG_REGION : KVM_MEMORY_ENCRYPT_UNREG_REGION,
			 &copy);
}

static int slot_set(struct kernel_vm *vm, const struct sev_ram *ram, bool log, struct err *e)
{
	struct kvm_userspace_memory_region m = {
		.slot = ram->first_slot,
		.flags = log ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = ram->at.v,
		.memory_size = ram->size,
		.userspace_addr = (uintptr_t)ram->shared,
	};
	int r = ioctl_ret(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &m);

	errno = -r;
	return r < 0 ? err_set(e, r, "memslot %u: %m", m.slot) : 0;
}

static int kernel_ram_add(struct sev_vm *base, const struct sev_ram *ram,
			  struct sev_slot slots[SEV_SLOTS_PER_RAM], size_t *n, struct err *e)
{
	struct kernel_vm *vm = (struct kernel_vm *)base;
	struct kernel_ram *mine = &vm->ram[vm->n];
	int r;

	if (vm->n == KERNEL_RAM_MAX)
		return err_set(e, -ENOSPC, "more than %d ranges", KERNEL_RAM_MAX);
	r = slot_set(vm, ram, false, e);
	if (r < 0)
		return r;
	*mine = (struct kernel_ram){ .ram = *ram };
	r = vm->active ? ram_register(vm, mine) : 0;
	errno = -r;
	if (r < 0)
		return err_set(e, r,
			       "%" PRIu64 " bytes could not be pinned: %m (RLIMIT_MEMLOCK, ulimit "
			       "-l, must cover the guest's RAM)",
			       ram->size);
	vm->n++;
	slots[0] = (struct sev_slot){ ram->first_slot, ram->at, ram->size };
	*n = 1;
	return 0;
}

/* Registration pinned every page, so every page exists. */
static bool kernel_populated(struct sev_vm *base, struct gpa *at, struct gpa end, uint64_t *len)
{
	struct kernel_vm *vm = (struct kernel_vm *)base;
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; i < vm->n; i++) {
		const struct sev_ram *ram = &vm->ram[i].ram;
		uint64_t from = ram->at.v > at->v ? ram->at.v : at->v;
		uint64_t to = ram->at.v + ram->size;

		to = to < end.v ? to : end.v;
		if (from >= to || from >= best)
			continue;
		best = from;
		*len = to - from;
	}
	if (best == UINT64_MAX)
		return false;
	at->v = best;
	return true;
}

/* Pinned already, when it was registered. */
static int kernel_prefault(struct sev_vm *base, struct gpa at, uint64_t len, bool is_private,
			   struct err *e)
{
	(void)base, (void)at, (void)len, (void)is_private, (void)e;
	return 0;
}

static int kernel_log_dirty(struct sev_vm *base, bool on, struct err *e)
{
	struct kernel_vm *vm = (struct kernel_vm *)base;

	for (size_t i = 0; i < vm->n; i++) {
		int r = slot_set(vm, &vm->ram[i].ram, on, e);

		if (r < 0)
			return err_wrap(e, r, "dirty log");
	}
	return 0;
}

static int kernel_debug_digest(struct sev_vm *base, struct gpa at, uint8_t out[32], struct err *e)
{
	(void)base, (void)out;
	return err_set(e, -ENOTSUP, "page %#" PRIx64 ": SEV hardware shows nobody its plain text",
		       at.v);
}

static void kernel_vm_free(struct sev_vm *base)
{
	free(base); /* KVM unpins and decommissions when the VM's descriptor is closed */
}

static const struct sev_vm_ops kernel_vm_ops = {
	.op = kernel_op,
	.region = kernel_region,
	.ram_add = kernel_ram_add,
	.populated = kernel_populated,
	.prefault = kernel_prefault,
	.log_dirty = kernel_log_dirty,
	.debug_digest = kernel_debug_digest,
	.free = kernel_vm_free,
};

/* APM volume 3, Fn8000_001F: EAX bit 1 SEV, EBX[5:0] the C-bit's position. */
static int cbit_of_host(unsigned *out, struct err *e)
{
	unsigned a = 0, b = 0, c = 0, d = 0;

	if (!__get_cpuid_count(0x8000001f, 0, &a, &b, &c, &d) || !(a & 2))
		return err_set(e, -ENOTSUP,
			       "this CPU has no SEV (CPUID 0x8000001f); use the software platform");
	*out = b & 0x3f;
	return 0;
}

static int kernel_vm_new(struct sev_platform *p, int kvm_fd, int vm_fd, struct sev_vm **out,
			 struct err *e)
{
	auto_mem struct kernel_vm *vm = calloc(1, sizeof(*vm));
	int r;

	(void)kvm_fd;
	if (!vm)
		return err_set(e, -ENOMEM, "SEV VM: no memory");
	r = ioctl_ret(vm_fd, KVM_MEMORY_ENCRYPT_OP, NULL);
	errno = -r;
	if (r < 0)
		return err_set(
			e, r,
			"KVM offers no SEV here (%m): load kvm_amd with sev=1 and enable SEV "
			"in the firmware setup, or use the software platform");
	vm->base = (struct sev_vm){ .ops = &kernel_vm_ops,
				    .vcpu_ops = &sev_vcpu_direct,
				    .platform = p };
	vm->vm_fd = vm_fd;
	r = cbit_of_host(&vm->base.cbit, e);
	if (r < 0)
		return r;
	*out = &steal_ptr(&vm)->base;
	return 0;
}

/* The owner has pinned the memory; a mirror neither registers nor launches. */
static int kernel_vm_mirror(struct sev_vm *base, int kvm_fd, int vm_fd, struct sev_vm **out,
			    struct err *e)
{
	const struct kernel_vm *of = (const struct kernel_vm *)base;
	struct kvm_enable_cap cap = { .cap = KVM_CAP_VM_COPY_ENC_CONTEXT_FROM,
				      .args = { (uint32_t)of->vm_fd } };
	auto_mem struct kernel_vm *vm = calloc(1, sizeof(*vm));
	int r;

	(void)kvm_fd;
	if (!vm)
		return err_set(e, -ENOMEM, "no memory");
	vm->base = (struct sev_vm){ .ops = &kernel_vm_ops,
				    .vcpu_ops = base->vcpu_ops,
				    .platform = base->platform,
				    .cbit = base->cbit };
	vm->vm_fd = vm_fd;
	r = ioctl_ret(vm_fd, KVM_ENABLE_CAP, &cap);
	errno = -r;
	if (r < 0)
		return err_set(e, r, "KVM_CAP_VM_COPY_ENC_CONTEXT_FROM: %m");
	for (size_t i = 0; i < of->n; i++) {
		r = slot_set(vm, &of->ram[i].ram, false, e);
		if (r < 0)
			return r;
	}
	*out = &steal_ptr(&vm)->base;
	return 0;
}

/* --- platform -------------------------------------------------------------------------------- */

/* The CEK that firmware exports bears no signature; where the operator gave the one that AMD
 * signed, for the same key, it takes its place. */
static void cek_replace(const struct kernel_platform *p, const struct sev_issue_cmd *cmd)
{
	struct sev_user_data_pdh_cert_export params;
	uint8_t *chain;

	memcpy(&params, (const void *)(uintptr_t)cmd->data, sizeof(params));
	chain = (uint8_t *)(uintptr_t)params.cert_chain_address;
	if (params.cert_chain_len != SEV_PLAT_CHAIN_LEN || !p->cek[0])
		return;
	if (memcmp(chain + CEK_AT, p->cek, CERT_PUBLIC_LEN) == 0)
		memcpy(chain + CEK_AT, p->cek, SEV_CERT_LEN);
}

static int kernel_issue(struct sev_platform *base, struct sev_issue_cmd *cmd)
{
	struct kernel_platform *p = (struct kernel_platform *)base;
	int r = ioctl_ret(p->fd, SEV_ISSUE_CMD, cmd);

	if (r == 0 && cmd->cmd == SEV_PDH_CERT_EXPORT)
		cek_replace(p, cmd);
	return r;
}

static int kernel_amd_chain(struct sev_platform *base, uint8_t *out, size_t cap, size_t *len,
			    struct err *e)
{
	struct kernel_platform *p = (struct kernel_platform *)base;

	if (!p->amd_len)
		return err_set(e, -ENOENT,
			       "no AMD certificates given: a file with ASK and ARK of this CPU's "
			       "generation is needed (AMD distributes it as ask_ark)");
	if (cap < p->amd_len)
		return err_set(e, -EMSGSIZE, "%s: %zu bytes", p->chain_path, p->amd_len);
	memcpy(out, p->amd, p->amd_len);
	*len = p->amd_len;
	return 0;
}

static void kernel_free(struct sev_platform *base)
{
	struct kernel_platform *p = (struct kernel_platform *)base;

	auto_fd_close(&p->fd);
	free(p->chain_path);
	free(p);
}

static void kernel_platform_release(struct kernel_platform *p)
{
	kernel_free(&p->base);
}
DEFINE_AUTO(kernel_platform, struct kernel_platform *, kernel_platform_release)

static const struct sev_platform_ops kernel_ops = {
	.issue = kernel_issue,
	.amd_chain = kernel_amd_chain,
	.vm_new = kernel_vm_new,
	.vm_mirror = kernel_vm_mirror,
	.free = kernel_free,
};

/* ASK and ARK of 2048 or 4096 bits (Naples' ARK comes without its signature), a CEK before them or
 * not: the length tells. */
static bool chain_is_amd(size_t len)
{
	return len == 2 * 832 || len == 832 + 576 || len == 2 * 1600;
}

static int chain_load(struct kernel_platform *p, const char *path, struct err *e)
{
	auto_buf struct buf b = { 0 };
	size_t skip = 0;
	int r = fd_file_read(path, sizeof(p->cek) + sizeof(p->amd), &b, e);

	if (r < 0)
		return r;
	if (b.len > SEV_CERT_LEN && chain_is_amd(b.len - SEV_CERT_LEN))
		skip = SEV_CERT_LEN;
	else if (!chain_is_amd(b.len))
		return err_set(e, -EINVAL,
			       "%s: %zu bytes are neither ASK and ARK nor CEK, ASK and ARK", path,
			       b.len);
	memcpy(p->cek, b.p, skip);
	p->amd_len = b.len - skip;
	memcpy(p->amd, b.p + skip, p->amd_len);
	p->chain_path = strdup(path);
	return p->chain_path ? 0 : err_set(e, -ENOMEM, "%s: no memory", path);
}

static const char *open_remedy(int code)
{
	switch (-code) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "this host has no SEV, or its driver (ccp) is not loaded or found it "
		       "disabled in the firmware setup; use the software platform";
	case EACCES:
	case EPERM:
		return "run as root, or give this user read and write permission to it";
	default:
		return "see the kernel log for messages of ccp";
	}
}

int sev_kernel_open(const char *amd_chain_path, struct sev_platform **out, struct err *e)
{
	auto_of(kernel_platform) struct kernel_platform *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return err_set(e, -ENOMEM, "SEV platform: no memory");
	p->base = (struct sev_platform){ .ops = &kernel_ops, .name = "kernel" };
	p->fd = open("/dev/sev", O_RDWR | O_CLOEXEC);
	if (p->fd < 0) {
		r = -errno;
		return err_set(e, r, "/dev/sev: %m: %s", open_remedy(r));
	}
	if (amd_chain_path)
		r = chain_load(p, amd_chain_path, e);
	if (r < 0)
		return r;
	*out = &steal_ptr(&p)->base;
	return 0;
}
