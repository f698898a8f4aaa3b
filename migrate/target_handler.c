/* SPDX-License-Identifier: Apache-2.0 */

/* A target whose guest has a migration handler: doc/HANDLER.md. */

#include "migrate/target.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

/* Where it may not receive, the source is not told of it, and this host's operator why. */
void mig_target_handler_offer(struct mig_target *t)
{
	const struct mig_handler_params params = { HANDLER_TARGET, t->params.handler_vcpus };
	struct err e = { 0 };

	if (!t->vm->handler)
		return;
	if (mig_path_handler(&t->path, &t->mem, t->vm->handler, &params, &e) < 0)
		log_warn("migrate", "not by the guest's migration handler: %s", e.msg);
}

int mig_target_way(struct mig_target *t, const struct stream_start *m, struct err *e)
{
	if (!mig_path_handler_meant(m)) {
		if (t->vm->handler)
			return err_set(e, -EPERM,
				       "the guest here was launched to be filled by its handler, "
				       "and the source has not chosen that way");
		mig_path_psp(&t->path, &t->mem, t->platform);
		return 0;
	}
	if (!t->path.handler.mirror)
		return err_set(e, -EPROTO, "START: no migration handler was offered here");
	mig_mem_keep_handler(&t->mem);
	return 0;
}

/* --- proofs ---------------------------------------------------------------------------------- */

static int receipt_say(struct mig_target *t, struct err *e)
{
	uint8_t space[128];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_manifest m;
	int r = t->path.proof->make(&t->path, STREAM_PROOF_RECEIPT, &m, e);

	if (r == 0)
		r = stream_manifest_put(&head, &m, e);
	if (r < 0)
		return r;
	t->verified = true;
	mig_target_say(t, STREAM_MANIFEST, &head);
	return 0;
}

static int proof_take(struct mig_target *t, const struct chan_msg *m, enum stream_proof due,
		      struct err *e)
{
	struct stream_manifest proof;
	int r = stream_manifest_get(m->head, m->head_len, &proof, e);

	if (r < 0)
		return r;
	if (!t->path.proof || proof.proof != due)
		return err_set(e, -EPROTO, "MANIFEST: of a kind that is not due");
	return t->path.proof->take(&t->path, &proof, e);
}

int mig_target_manifest(void *self, const struct chan_msg *m, struct err *e)
{
	int r = proof_take(self, m, STREAM_PROOF_MANIFEST, e);

	return r < 0 ? r : receipt_say(self, e);
}

int mig_target_release(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;

	/* Told again by a source that did not hear that the guest runs here. */
	return t->finished ? 0 : proof_take(t, m, STREAM_PROOF_RELEASE, e);
}

/* Asked before anything is tried: a guest that cannot run yet is held on, its source may still come
 * back with the word. */
int mig_target_released(const struct mig_target *t, struct err *e)
{
	if (!t->path.proof || t->path.handler.has == STREAM_PROOF_RELEASE)
		return 0;
	return err_set(e, -EPERM,
		       "the source's handler has not given the guest up, and without its word it "
		       "does not run here; it is held on");
}

int mig_target_proved(const struct mig_target *t, struct err *e)
{
	return !t->path.proof || t->verified ? 0 : err_set(e, -EPROTO, "END: without a MANIFEST");
}
