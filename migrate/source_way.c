/* SPDX-License-Identifier: Apache-2.0 */

/* Which way private pages go, and why; and what the guest's handler proves at the end. */

#include "migrate/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "abi/psp.h"
#include "base/log.h"

/* 0: the handler is at work. Otherwise why not, in *e. */
static int handler_try(struct mig_source *s, uint32_t policy, struct err *e)
{
	const struct mig_handler_params params = { HANDLER_SOURCE, s->params.handler_vcpus };

	if (!s->vm->handler)
		return err_set(e, -ENOTSUP, "the guest has no migration handler");
	if (policy & PSP_POLICY_ES)
		return err_set(e, -ENOTSUP,
			       "the guest is SEV-ES, whose vCPUs travel by the Secure Processors");
	if (!s->peer_ready)
		return err_set(e, -ENOTSUP,
			       "the target has no migration handler that may receive this guest");
	return mig_path_handler(&s->path, &s->mem, s->vm->handler, &params, e);
}

static void way_note(struct mig_source *s, enum mig_way way, const char *why)
{
	pthread_mutex_lock(&s->lock);
	s->stats.way = way;
	snprintf(s->stats.way_why, sizeof(s->stats.way_why), "%s", why);
	pthread_mutex_unlock(&s->lock);
	log_info("migrate", "private pages go by the %s: %s", mig_way_words(way), why);
}

int mig_source_way(struct mig_source *s, uint32_t policy, struct err *e)
{
	struct err why = { 0 };
	int r = -EPERM;

	if (s->params.way != MIG_WAY_PSP)
		r = handler_try(s, policy, &why);
	if (r == 0) {
		memcpy(s->path.handler.peer, s->peer_nonce, sizeof(s->peer_nonce));
		mig_mem_keep_handler(&s->mem);
		way_note(s, MIG_WAY_HANDLER,
			 s->params.way == MIG_WAY_AUTO ? "both sides have one, and the owner "
							 "allows it"
						       : "as asked for");
		return 0;
	}
	if (s->params.way == MIG_WAY_HANDLER)
		return err_set(e, r, "by the guest's migration handler: %s", why.msg);
	way_note(s, MIG_WAY_PSP, s->params.way == MIG_WAY_PSP ? "as asked for" : why.msg);
	return 0;
}

/* --- proofs ---------------------------------------------------------------------------------- */

int mig_source_manifest(struct mig_source *s, struct err *e)
{
	struct stream_manifest m;
	struct mig_batch *b = NULL;
	struct wr head;
	int r;

	if (!s->path.proof)
		return 0;
	r = s->path.proof->make(&s->path, STREAM_PROOF_MANIFEST, &m, e);
	if (r == 0)
		r = mig_source_batch(s, &b, &head, e);
	if (r == 0)
		r = stream_manifest_put(&head, &m, e);
	if (r < 0)
		return r;
	mig_source_send(s, b, STREAM_MANIFEST, &head, 0);
	return 0;
}

int mig_source_receipt(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_source *s = self;
	struct stream_manifest receipt;
	int r = stream_manifest_get(m->head, m->head_len, &receipt, e);

	if (r < 0)
		return r;
	if (!s->path.proof)
		return err_set(e, -EPROTO, "MANIFEST: no handler is at work here");
	return s->path.proof->take(&s->path, &receipt, e);
}

int mig_source_release(struct mig_source *s, struct err *e)
{
	uint8_t space[128];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_manifest m;
	int r;

	if (!s->path.proof)
		return 0;
	r = s->path.proof->make(&s->path, STREAM_PROOF_RELEASE, &m, e);
	if (r == 0)
		r = stream_manifest_put(&head, &m, e);
	return r < 0 ? r : mig_source_say(s, STREAM_MANIFEST, &head, e);
}
