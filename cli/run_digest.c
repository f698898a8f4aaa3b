/* SPDX-License-Identifier: Apache-2.0 */

/*
 * For tests: the guest's VM as the migration sees it, with a digest of the guest's memory logged
 * where the source has stopped it, and where the target has loaded it. Equal digests mean that
 * every page arrived as it was.
 */

#include "base/log.h"
#include "cli/run.h"

static struct run_digest *digest_of(struct mig_vm *vm)
{
	return (struct run_digest *)vm;
}

static int digest_log(struct run_digest *d, const char *where, struct err *e)
{
	char hex[2 * 32 + 1];
	uint8_t digest[32];
	int r = vm_debug_digest(d->vm, digest, e);

	if (r < 0)
		return err_wrap(e, r, "--debug-digest");
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	log_info("run", "digest %s: %s", where, hex);
	return 0;
}

static int digest_describe(struct mig_vm *vm, struct mig_vm_desc *out, struct err *e)
{
	return digest_of(vm)->inner->ops->describe(digest_of(vm)->inner, out, e);
}

static int digest_accept(struct mig_vm *vm, const struct mig_vm_desc *from, enum mig_accept how,
			 struct lines *differences, struct err *e)
{
	return digest_of(vm)->inner->ops->accept(digest_of(vm)->inner, from, how, differences, e);
}

static int digest_run(struct mig_vm *vm, bool on, struct err *e)
{
	return digest_of(vm)->inner->ops->run(digest_of(vm)->inner, on, e);
}

static int digest_dirty(struct mig_vm *vm, enum mig_dirty what, struct mig_bitmap *bm,
			struct err *e)
{
	return digest_of(vm)->inner->ops->dirty(digest_of(vm)->inner, what, bm, e);
}

static int digest_shared(struct mig_vm *vm, enum mig_shared what, struct ranges *set, struct err *e)
{
	return digest_of(vm)->inner->ops->shared(digest_of(vm)->inner, what, set, e);
}

static int digest_state_save(struct mig_vm *vm, struct buf *out, struct err *e)
{
	struct run_digest *d = digest_of(vm);
	int r = d->inner->ops->state_save(d->inner, out, e);

	return r < 0 ? r : digest_log(d, "at the stop", e);
}

static int digest_state_load(struct mig_vm *vm, const uint8_t *p, size_t len, struct err *e)
{
	struct run_digest *d = digest_of(vm);
	int r = d->inner->ops->state_load(d->inner, p, len, e);

	return r < 0 ? r : digest_log(d, "on arrival", e);
}

static int digest_consent(struct mig_vm *vm, unsigned overridden, struct err *e)
{
	return digest_of(vm)->inner->ops->consent(digest_of(vm)->inner, overridden, e);
}

static const struct mig_vm_ops digest_ops = {
	.describe = digest_describe,
	.accept = digest_accept,
	.run = digest_run,
	.dirty = digest_dirty,
	.shared = digest_shared,
	.state_save = digest_state_save,
	.state_load = digest_state_load,
	.consent = digest_consent,
};

struct mig_vm *run_migratable(struct run *r)
{
	struct mig_vm *inner = vm_migratable(r->vm);

	if (!r->cfg->debug_digest)
		return inner;
	r->digest = (struct run_digest){
		.mig = { .ops = &digest_ops, .sev = inner->sev, .handler = inner->handler },
		.inner = inner,
		.vm = r->vm,
	};
	return &r->digest.mig;
}
