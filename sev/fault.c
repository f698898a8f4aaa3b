/* SPDX-License-Identifier: Apache-2.0 */

/* Another backend with its k-th call broken, for tests that walk every failure path: raise k until
 * nothing fails any more. Freeing and looking at populated memory cannot fail and are not counted.
 */

#include "sev/sev.h"

#include <errno.h>
#include "base/auto.h"
#include "sev/vcpu.h"

#define FAULT_STATUS 0x13 /* HWERROR_PLATFORM */

struct fault_platform {
	struct sev_platform base;
	struct sev_platform *inner; /* owned */
	unsigned k;
	unsigned *calls; /* borrowed; atomic, for a VM may be used by several threads */
	unsigned own_calls;
};

struct fault_vm {
	struct sev_vm base;
	struct sev_vm *inner; /* owned */
};

static struct fault_platform *platform_of(struct sev_platform *base)
{
	return (struct fault_platform *)base;
}

static struct sev_vm *inner_of(struct sev_vm *base)
{
	return ((struct fault_vm *)base)->inner;
}

static bool breaks(struct sev_platform *base)
{
	struct fault_platform *p = platform_of(base);

	return __atomic_fetch_add(p->calls, 1, __ATOMIC_RELAXED) == p->k;
}

static int broken(struct err *e)
{
	return err_set(e, -EIO, "broken on purpose");
}

/* --- VM -------------------------------------------------------------------------------------- */

static int fault_op(struct sev_vm *vm, struct kvm_sev_cmd *cmd)
{
	if (!breaks(vm->platform))
		return inner_of(vm)->ops->op(inner_of(vm), cmd);
	if (cmd)
		cmd->error = FAULT_STATUS;
	return -EIO;
}

static int fault_region(struct sev_vm *vm, const struct kvm_enc_region *r, bool add)
{
	return breaks(vm->platform) ? -EIO : inner_of(vm)->ops->region(inner_of(vm), r, add);
}

static int fault_ram_add(struct sev_vm *vm, const struct sev_ram *ram,
			 struct sev_slot slots[SEV_SLOTS_PER_RAM], size_t *n, struct err *e)
{
	struct sev_vm *inner = inner_of(vm);

	inner->cbit = vm->cbit; /* the caller may have lowered it */
	return breaks(vm->platform) ? broken(e) : inner->ops->ram_add(inner, ram, slots, n, e);
}

static bool fault_populated(struct sev_vm *vm, struct gpa *at, struct gpa end, uint64_t *len)
{
	return inner_of(vm)->ops->populated(inner_of(vm), at, end, len);
}

static int fault_prefault(struct sev_vm *vm, struct gpa at, uint64_t len, bool is_private,
			  struct err *e)
{
	struct sev_vm *inner = inner_of(vm);

	return breaks(vm->platform) ? broken(e)
				    : inner->ops->prefault(inner, at, len, is_private, e);
}

static int fault_log_dirty(struct sev_vm *vm, bool on, struct err *e)
{
	return breaks(vm->platform) ? broken(e) : inner_of(vm)->ops->log_dirty(inner_of(vm), on, e);
}

static int fault_debug_digest(struct sev_vm *vm, struct gpa at, uint8_t out[32], struct err *e)
{
	struct sev_vm *inner = inner_of(vm);

	return breaks(vm->platform) ? broken(e) : inner->ops->debug_digest(inner, at, out, e);
}

static void fault_vm_free(struct sev_vm *vm)
{
	sev_vm_free(inner_of(vm));
	free(vm);
}

static const struct sev_vm_ops fault_vm_ops = {
	.op = fault_op,
	.region = fault_region,
	.ram_add = fault_ram_add,
	.populated = fault_populated,
	.prefault = fault_prefault,
	.log_dirty = fault_log_dirty,
	.debug_digest = fault_debug_digest,
	.free = fault_vm_free,
};

/* --- vCPUs ----------------------------------------------------------------------------------- */

static int fault_vcpu_add(struct sev_vm *vm, unsigned id, int fd, struct kvm_run *run,
			  struct err *e)
{
	struct sev_vm *inner = inner_of(vm);
	int r = breaks(vm->platform) ? broken(e) : inner->vcpu_ops->add(inner, id, fd, run, e);

	inner->wrote = vm->wrote;
	inner->wrote_ctx = vm->wrote_ctx;
	vm->nvcpu = inner->nvcpu;
	return r;
}

/* Not counted: how often a vCPU runs is not the caller's to say. */
static int fault_vcpu_run(struct sev_vm *vm, unsigned id)
{
	return inner_of(vm)->vcpu_ops->run(inner_of(vm), id);
}

static int fault_vcpu_ioctl(struct sev_vm *vm, unsigned id, unsigned long request, void *arg)
{
	return breaks(vm->platform) ? -EIO
				    : inner_of(vm)->vcpu_ops->ioctl(inner_of(vm), id, request, arg);
}

static int fault_vcpu_kept(struct sev_vm *vm, unsigned id, struct sev_vcpu_kept *kept, bool set)
{
	return breaks(vm->platform) ? -EIO
				    : inner_of(vm)->vcpu_ops->kept(inner_of(vm), id, kept, set);
}

static const char *fault_vcpu_why(struct sev_vm *vm, unsigned id)
{
	return inner_of(vm)->vcpu_ops->why(inner_of(vm), id);
}

static const struct sev_vcpu_ops fault_vcpu_ops = {
	.add = fault_vcpu_add,
	.run = fault_vcpu_run,
	.ioctl = fault_vcpu_ioctl,
	.kept = fault_vcpu_kept,
	.why = fault_vcpu_why,
};

/* --- platform -------------------------------------------------------------------------------- */

static int fault_issue(struct sev_platform *base, struct sev_issue_cmd *cmd)
{
	struct sev_platform *inner = platform_of(base)->inner;

	if (!breaks(base))
		return inner->ops->issue(inner, cmd);
	cmd->error = FAULT_STATUS;
	return -EIO;
}

static int fault_amd_chain(struct sev_platform *base, uint8_t *out, size_t cap, size_t *len,
			   struct err *e)
{
	struct sev_platform *inner = platform_of(base)->inner;

	return breaks(base) ? broken(e) : inner->ops->amd_chain(inner, out, cap, len, e);
}

static int fault_vm_new(struct sev_platform *base, int kvm_fd, int vm_fd, struct sev_vm **out,
			struct err *e)
{
	struct sev_platform *inner = platform_of(base)->inner;
	auto_mem struct fault_vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm)
		return err_set(e, -ENOMEM, "SEV VM: no memory");
	r = breaks(base) ? broken(e) : inner->ops->vm_new(inner, kvm_fd, vm_fd, &vm->inner, e);
	if (r < 0)
		return r;
	vm->base = *vm->inner; /* C-bit and so on; then what is ours */
	vm->base.ops = &fault_vm_ops;
	vm->base.vcpu_ops = &fault_vcpu_ops;
	vm->base.platform = base;
	*out = &steal_ptr(&vm)->base;
	return 0;
}

static int fault_vm_mirror(struct sev_vm *of, int kvm_fd, int vm_fd, struct sev_vm **out,
			   struct err *e)
{
	struct sev_vm *inner = inner_of(of);

	return breaks(of->platform) ? broken(e)
				    : inner->platform->ops->vm_mirror(inner, kvm_fd, vm_fd, out, e);
}

static void fault_free(struct sev_platform *base)
{
	sev_platform_free(platform_of(base)->inner);
	free(base);
}

static const struct sev_platform_ops fault_ops = {
	.issue = fault_issue,
	.amd_chain = fault_amd_chain,
	.vm_new = fault_vm_new,
	.vm_mirror = fault_vm_mirror,
	.free = fault_free,
};

struct sev_platform *sev_fault_wrap(struct sev_platform *inner, unsigned k, unsigned *calls)
{
	struct fault_platform *p = inner ? calloc(1, sizeof(*p)) : NULL;

	if (!p) {
		sev_platform_free(inner);
		return NULL;
	}
	p->base = (struct sev_platform){ .ops = &fault_ops, .name = "fault" };
	p->inner = inner;
	p->k = k;
	p->calls = calls ? calls : &p->own_calls;
	return &p->base;
}
