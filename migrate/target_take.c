/* SPDX-License-Identifier: Apache-2.0 */

/* What a target takes in which state. Everything is the peer's word until it was checked here or in
 * stream/; list and state are kept, not loaded, until END's counts and digest were found right. */

#include "migrate/target.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "abi/psp.h"

static int refuse(struct mig_target *t, uint32_t code, int r)
{
	t->abort_code = code;
	return r;
}

void mig_target_phase(struct mig_target *t, enum mig_phase phase)
{
	pthread_mutex_lock(&t->lock);
	t->stats.phase = phase;
	pthread_mutex_unlock(&t->lock);
}

/* --- answers --------------------------------------------------------------------------------- */

void mig_target_say(struct mig_target *t, uint32_t type, const struct wr *head)
{
	const struct chan_msg m = { .type = type, .head = head->p, .head_len = head->len };
	struct err ignored;

	if (chan_send(t->c, &m, &ignored) < 0)
		t->lost = true;
}

void mig_target_say_abort(struct mig_target *t, uint32_t code, const char *reason)
{
	uint8_t space[STREAM_REASON_MAX + 64];
	struct wr head = wr_of(space, sizeof(space));
	struct err ignored;

	if (stream_abort_put(&head, code, reason, &ignored) == 0)
		mig_target_say(t, STREAM_ABORT, &head);
}

static void say_running(struct mig_target *t)
{
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_id id;
	struct err ignored;

	memcpy(id.id, t->id, sizeof(id.id));
	if (stream_id_put(&head, STREAM_RUNNING, &id, &ignored) == 0)
		mig_target_say(t, STREAM_RUNNING, &head);
}

static int say_hello_reply(struct mig_target *t, uint16_t version, bool offer, struct err *e)
{
	uint8_t space[STREAM_CERT_LEN + STREAM_PLAT_LEN + STREAM_AMD_LEN + 128];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_hello_reply m = { .version = version };
	struct sev_user_data_status st;
	struct sev_peer_certs certs;
	int r;

	if (offer && t->path.handler.mirror)
		m.nonce = t->path.handler.nonce;
	if (t->state == TARGET_WAIT) { /* to a resume this is known */
		if ((r = sev_platform_status(t->platform, &st, e)) < 0 ||
		    (r = sev_certs_export(t->platform, &certs, e)) < 0)
			return r;
		m.api_major = st.api_major;
		m.api_minor = st.api_minor;
		m.build = st.build;
		m.pdh = certs.pdh;
		m.plat = certs.plat;
		m.amd = certs.amd;
		m.amd_len = certs.amd_len;
	}
	r = stream_hello_reply_put(&head, &m, e);
	if (r == 0)
		mig_target_say(t, STREAM_HELLO_REPLY, &head);
	return r;
}

/* --- HELLO, START ---------------------------------------------------------------------------- */

static int hello_get(struct mig_target *t, const struct chan_msg *m, struct stream_hello *hello,
		     struct err *e)
{
	int r = stream_hello_get(m->head, m->head_len, hello, e);

	if (r < 0)
		return r;
	if (stream_version_choose(hello) == 0)
		return refuse(t, STREAM_ABORT_VERSION,
			      err_set(e, -EPROTONOSUPPORT,
				      "no version in common: the source speaks %u to %u, we %u "
				      "to %u",
				      hello->version_min, hello->version_max, STREAM_VERSION_MIN,
				      STREAM_VERSION_MAX));
	return 0;
}

static int on_hello(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_hello hello;
	int r = hello_get(t, m, &hello, e);
	bool offer;

	if (r < 0)
		return r;
	if (hello.role == STREAM_ROLE_RESUME)
		return refuse(t, STREAM_ABORT_UNKNOWN_ID,
			      err_set(e, -ENOENT, "no such migration here"));
	memcpy(t->id, hello.id, sizeof(t->id));
	mig_target_phase(t, MIG_PHASE_HANDSHAKE);
	offer = hello.role == STREAM_ROLE_NEW && (hello.capabilities & STREAM_CAP_HANDLER);
	if (offer)
		mig_target_handler_offer(t);
	r = say_hello_reply(t, stream_version_choose(&hello), offer, e);
	return r < 0 ? r : hello.role == STREAM_ROLE_ASK;
}

/* HELD and LINGER: only who knows the id. */
static int on_resume(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_hello hello;
	int r = hello_get(t, m, &hello, e);

	if (r < 0)
		return r;
	if (hello.role != STREAM_ROLE_RESUME)
		return refuse(t, STREAM_ABORT_BUSY,
			      err_set(e, -EBUSY, "another migration came here"));
	if (memcmp(hello.id, t->id, sizeof(t->id)) != 0)
		return refuse(t, STREAM_ABORT_UNKNOWN_ID,
			      err_set(e, -ENOENT, "no such migration here"));
	return say_hello_reply(t, stream_version_choose(&hello), false, e);
}

static int ram_check(const struct mig_mem *own, const struct stream_bounds *from, struct err *e)
{
	if (own->bounds.nram != from->nram)
		return err_set(e, -EINVAL,
			       "RAM: the source has %" PRIu32 " ranges, here are %" PRIu32,
			       from->nram, own->bounds.nram);
	for (uint32_t i = 0; i < from->nram; i++)
		if (own->bounds.ram[i].at != from->ram[i].at ||
		    own->bounds.ram[i].size != from->ram[i].size)
			return err_set(e, -EINVAL,
				       "RAM: the source has %#" PRIx64 "+%#" PRIx64
				       ", here is %#" PRIx64 "+%#" PRIx64,
				       from->ram[i].at, from->ram[i].size, own->bounds.ram[i].at,
				       own->bounds.ram[i].size);
	return 0;
}

/* Our VM's own word, and then a look at what we rely on ourselves. */
static int vm_accept(struct mig_target *t, const struct stream_start *m, struct err *e)
{
	int r = mig_target_accept(t, m, e);

	if (r == 0)
		r = mig_mem_init(&t->mem, t->vm, e);
	if (r == 0)
		r = ram_check(&t->mem, &m->ram, e);
	return r < 0 ? refuse(t, STREAM_ABORT_REFUSED, err_wrap(e, r, "this VM cannot take it"))
		     : 0;
}

static int on_start(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_start start;
	int r = stream_start_get(m->head, m->head_len, &start, e);

	if (r < 0 || (r = vm_accept(t, &start, e)) < 0)
		return r;
	r = mig_target_way(t, &start, e);
	if (r < 0)
		return refuse(t, STREAM_ABORT_REFUSED, r);
	chan_digest_free(steal_ptr(&t->digest)); /* an earlier START that failed */
	if ((r = chan_digest_new(&t->digest, e)) < 0 || (r = chan_digest_add(t->digest, m, e)) < 0)
		return r;
	r = t->path.recv->start(&t->path, &start, e);
	if (r == 0)
		r = mig_prefault_start(&t->prefault, t->vm->sev, &start, e);
	if (r < 0)
		return r;
	t->es = start.policy & PSP_POLICY_ES;
	t->begin_ns = mig_now_ns();
	pthread_mutex_lock(&t->lock);
	t->stats.phase = MIG_PHASE_PASSES;
	t->stats.pages_total = t->mem.pages;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* --- pages ----------------------------------------------------------------------------------- */

static int counts_check(struct mig_target *t, uint64_t priv, uint64_t shared, uint64_t zero,
			struct err *e)
{
	struct mig_stats st;

	pthread_mutex_lock(&t->lock);
	st = t->stats;
	pthread_mutex_unlock(&t->lock);
	if (st.pages_private == priv && st.pages_shared == shared && st.pages_zero == zero)
		return 0;
	return err_set(e, -EPROTO,
		       "pages lost or repeated: the source sent %" PRIu64 " private, %" PRIu64
		       " shared, %" PRIu64 " zero; here are %" PRIu64 ", %" PRIu64 ", %" PRIu64,
		       priv, shared, zero, st.pages_private, st.pages_shared, st.pages_zero);
}

static int on_pass(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_pass pass;
	int r = stream_pass_get(m->head, m->head_len, &pass, e);

	if (r < 0)
		return r;
	if (t->final || pass.pass != t->pass + 1)
		return err_set(e, -EPROTO, "PASS: %" PRIu32 " after %" PRIu32 "%s", pass.pass,
			       t->pass, t->final ? ", which was the final one" : "");
	r = counts_check(t, pass.private_sent, pass.shared_sent, pass.zero_sent, e);
	if (r == 0 && pass.pass > 1) /* what was announced has come */
		r = mig_prefault_stop(&t->prefault, e);
	if (r < 0)
		return r;
	t->pass = pass.pass;
	t->final = pass.final;
	pthread_mutex_lock(&t->lock);
	t->stats.phase = pass.final ? MIG_PHASE_STOPPED : MIG_PHASE_PASSES;
	t->stats.pass = pass.pass;
	t->stats.pages_left = t->stats.pages_dirty = pass.pages;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* More pages in a pass than announced is a source that cannot count, or does not want to. */
static int pages_count(struct mig_target *t, uint32_t pass, uint64_t priv, uint64_t shared,
		       uint64_t zero, struct err *e)
{
	uint64_t n = priv + shared + zero;
	bool too_many;

	if (pass != t->pass)
		return err_set(e, -EPROTO, "pages of pass %" PRIu32 " in pass %" PRIu32, pass,
			       t->pass);
	pthread_mutex_lock(&t->lock);
	too_many = n > t->stats.pages_left;
	if (!too_many) {
		t->stats.pages_left -= n;
		t->stats.pages_private += priv;
		t->stats.pages_shared += shared;
		t->stats.pages_zero += zero;
	}
	pthread_mutex_unlock(&t->lock);
	return too_many ? err_set(e, -EPROTO, "more pages than pass %" PRIu32 " announced", pass)
			: 0;
}

static int on_private(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_private v;
	int r = stream_private_get(m->head, m->head_len, m->body, m->body_len, &t->mem.bounds, &v,
				   e);

	if (r < 0 || (r = pages_count(t, v.pass, v.count, 0, 0, e)) < 0)
		return r;
	return t->path.recv->pages(&t->path, &v, e);
}

static bool is_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, PAGE_LEN - 1) == 0;
}

static int on_shared(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_shared_entry page;
	struct stream_shared v;
	int r = stream_shared_get(m->head, m->head_len, &t->mem.bounds, &v, e);

	if (r < 0 || (r = pages_count(t, v.pass, 0, v.count - v.zeros, v.zeros, e)) < 0)
		return r;
	while (stream_shared_next(&v, &page)) {
		uint8_t *to = mig_mem_at(&t->mem, page.at);

		if (!mig_mem_moves(&t->mem, page.at))
			return err_set(e, -EPROTO,
				       "SHARED_PAGES: page %#" PRIx64 " is the handler's own",
				       page.at.v);
		if (page.data)
			memcpy(to, page.data, PAGE_LEN);
		else if (!is_zero(to))
			memset(to, 0, PAGE_LEN);
	}
	return 0;
}

/* --- vCPUs, list, state, END
 * ------------------------------------------------------------------------ */

static int on_vmsa(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_vmsa v;
	int r;

	if (!t->es || !t->final)
		return err_set(e, -EPROTO, "VMSA: %s",
			       t->es ? "before the final pass"
				     : "the guest's policy has no SEV-ES");
	r = stream_vmsa_get(m->head, m->head_len, m->body, m->body_len, t->vcpus, t->mem.desc.vcpus,
			    &v, e);
	if (r < 0 || (r = t->path.recv->vcpu(&t->path, &v, e)) < 0)
		return r;
	return ++t->vcpus < t->mem.desc.vcpus;
}

static int on_list(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_list list;
	struct range v;
	int r = stream_list_get(m->head, m->head_len, &t->mem.bounds, t->list_end, &list, e);

	if (r < 0)
		return r;
	if (!t->final)
		return err_set(e, -EPROTO, "SHARED_LIST: before the final pass");
	if (t->es && t->vcpus < t->mem.desc.vcpus)
		return err_set(e, -EPROTO, "SHARED_LIST: %" PRIu32 " of %" PRIu32 " vCPUs came",
			       t->vcpus, t->mem.desc.vcpus);
	while (r == 0 && stream_list_next(&list, &v))
		r = ranges_add(&t->shared, v.start, v.end, e);
	t->list_end = list.end;
	return r < 0 ? r : !list.last;
}

static int on_state(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_state part;
	int r = stream_state_get(m->head, m->head_len, t->blob.len, t->blob_total, &part, e);

	if (r < 0)
		return r;
	t->blob_total = part.total;
	r = buf_add(&t->blob, part.data, part.len, e);
	return r < 0 ? r : !part.last;
}

static int end_check(struct mig_target *t, const struct stream_end *end,
		     const uint8_t own[STREAM_DIGEST_LEN], struct err *e)
{
	int r = counts_check(t, end->private_sent, end->shared_sent, end->zero_sent, e);

	if (r < 0)
		return r;
	if (end->passes != t->pass)
		return err_set(e, -EPROTO, "END: %" PRIu32 " passes, here were %" PRIu32,
			       end->passes, t->pass);
	if (memcmp(end->digest, own, STREAM_DIGEST_LEN) != 0)
		return err_set(e, -EBADMSG, "END: what came is not what was sent (digest)");
	return 0;
}

static int load(struct mig_target *t, struct err *e)
{
	int r = t->vm->ops->shared(t->vm, MIG_SET, &t->shared, e);

	if (r < 0)
		return err_wrap(e, r, "shared-region list");
	r = t->vm->ops->state_load(t->vm, t->blob.p, t->blob.len, e);
	return r < 0 ? err_wrap(e, r, "loading the machine's state") : 0;
}

/* From here on only the source ends this, or, when it is gone, the operator. */
static int ready_claim(struct mig_target *t, struct err *e)
{
	bool cancelled;

	pthread_mutex_lock(&t->lock);
	cancelled = t->cancelled;
	if (!cancelled) {
		t->sealed = true;
		t->stats.phase = MIG_PHASE_READY;
	}
	pthread_mutex_unlock(&t->lock);
	return cancelled ? err_set(e, -ECANCELED, "cancelled") : 0;
}

static int on_end(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	struct stream_ready ready;
	struct stream_end end;
	int r = stream_end_get(m->head, m->head_len, &end, e);

	if (r < 0 || (r = chan_digest_get(t->digest, ready.digest, e)) < 0 ||
	    (r = end_check(t, &end, ready.digest, e)) < 0 || (r = mig_target_proved(t, e)) < 0 ||
	    (r = mig_prefault_stop(&t->prefault, e)) < 0 || (r = load(t, e)) < 0 ||
	    (r = stream_ready_put(&head, &ready, e)) < 0 || (r = ready_claim(t, e)) < 0)
		return r;
	mig_target_say(t, STREAM_READY, &head);
	return 0;
}

/* --- the switch-over ------------------------------------------------------------------------- */

int mig_target_take_over(struct mig_target *t, struct err *e)
{
	int r;

	mig_target_phase(t, MIG_PHASE_COMMIT);
	if (!t->finished) {
		r = t->path.recv->finish(&t->path, e);
		if (r < 0)
			return r;
		t->finished = true;
		r = t->vm->ops->run(t->vm, true, e);
		if (r < 0)
			return err_wrap(e, r, "the guest is here but could not be started");
	}
	pthread_mutex_lock(&t->lock);
	t->stats.phase = MIG_PHASE_DONE;
	t->stats.outcome = MIG_OUTCOME_MOVED;
	if (!t->stats.total_ns)
		t->stats.total_ns = mig_now_ns() - t->begin_ns;
	t->stats.reason[0] = 0;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static int id_get(struct mig_target *t, const struct chan_msg *m, uint32_t type, struct err *e)
{
	struct stream_id id;
	int r = stream_id_get(m->head, m->head_len, type, &id, e);

	if (r < 0)
		return r;
	if (memcmp(id.id, t->id, sizeof(t->id)) != 0)
		return err_set(e, -EPROTO, "%s: of another migration", stream_type_name(type));
	return 0;
}

static int on_commit(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	int r = id_get(t, m, STREAM_COMMIT, e);

	if (r < 0)
		return r;
	r = mig_target_take_over(t, e);
	if (r < 0) {
		t->state = TARGET_ENDED; /* given up there, and here it cannot be had */
		return r;
	}
	say_running(t);
	return 0;
}

static int on_query(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;
	struct stream_answer answer = { .phase = STREAM_PHASE_RUNNING };
	uint8_t space[64];
	struct wr head = wr_of(space, sizeof(space));
	int r = id_get(t, m, STREAM_QUERY, e);

	if (r < 0)
		return r;
	if (t->state == TARGET_READY)
		answer.phase = STREAM_PHASE_READY;
	if (t->state == TARGET_PASSES)
		answer.phase = STREAM_PHASE_PASSES;
	memcpy(answer.id, t->id, sizeof(answer.id));
	r = stream_answer_put(&head, &answer, e);
	if (r == 0)
		mig_target_say(t, STREAM_ANSWER, &head);
	return r;
}

static int on_done(void *self, const struct chan_msg *m, struct err *e)
{
	return id_get(self, m, STREAM_DONE, e);
}

static int on_abort(void *self, const struct chan_msg *m, struct err *e)
{
	struct mig_target *t = self;

	return stream_abort_get(m->head, m->head_len, &t->abort, e);
}

/* --- the table ------------------------------------------------------------------------------- */

static const char *const state_names[TARGET_STATES] = {
	[TARGET_NONE] = "NONE",       [TARGET_WAIT] = "WAIT",       [TARGET_QUESTION] = "QUESTION",
	[TARGET_SESSION] = "SESSION", [TARGET_STARTED] = "STARTED", [TARGET_PASSES] = "PASSES",
	[TARGET_VCPUS] = "VCPUS",     [TARGET_SEALED] = "SEALED",   [TARGET_LIST] = "LIST",
	[TARGET_LISTED] = "LISTED",   [TARGET_LOADING] = "LOADING", [TARGET_STATED] = "STATED",
	[TARGET_READY] = "READY",     [TARGET_HELD] = "HELD",       [TARGET_RUNNING] = "RUNNING",
	[TARGET_LINGER] = "LINGER",   [TARGET_DONE] = "DONE",       [TARGET_ENDED] = "ENDED",
};

#define ENDS_BY_ABORT [STREAM_ABORT] = { on_abort, TARGET_ENDED, 0 }

static const struct mig_step steps[TARGET_STATES][STREAM_TYPES] = {
	[TARGET_WAIT] = { [STREAM_HELLO] = { on_hello, TARGET_SESSION, TARGET_QUESTION } },
	[TARGET_QUESTION] = { [STREAM_START] = { mig_target_question, TARGET_WAIT, 0 },
			      [STREAM_ABORT] = { on_abort, TARGET_WAIT, 0 } },
	[TARGET_SESSION] = { [STREAM_START] = { on_start, TARGET_STARTED, 0 },
			     [STREAM_ABORT] = { on_abort, TARGET_WAIT, 0 } },
	[TARGET_STARTED] = { [STREAM_PASS] = { on_pass, TARGET_PASSES, 0 }, ENDS_BY_ABORT },
	[TARGET_PASSES] = { [STREAM_PRIVATE_PAGES] = { on_private, TARGET_PASSES, 0 },
			    [STREAM_SHARED_PAGES] = { on_shared, TARGET_PASSES, 0 },
			    [STREAM_PASS] = { on_pass, TARGET_PASSES, 0 },
			    [STREAM_VMSA] = { on_vmsa, TARGET_SEALED, TARGET_VCPUS },
			    [STREAM_SHARED_LIST] = { on_list, TARGET_LISTED, TARGET_LIST },
			    [STREAM_QUERY] = { on_query, TARGET_PASSES, 0 },
			    ENDS_BY_ABORT },
	[TARGET_VCPUS] = { [STREAM_VMSA] = { on_vmsa, TARGET_SEALED, TARGET_VCPUS },
			   ENDS_BY_ABORT },
	[TARGET_SEALED] = { [STREAM_SHARED_LIST] = { on_list, TARGET_LISTED, TARGET_LIST },
			    ENDS_BY_ABORT },
	[TARGET_LIST] = { [STREAM_SHARED_LIST] = { on_list, TARGET_LISTED, TARGET_LIST },
			  ENDS_BY_ABORT },
	[TARGET_LISTED] = { [STREAM_STATE] = { on_state, TARGET_STATED, TARGET_LOADING },
			    ENDS_BY_ABORT },
	[TARGET_LOADING] = { [STREAM_STATE] = { on_state, TARGET_STATED, TARGET_LOADING },
			     ENDS_BY_ABORT },
	[TARGET_STATED] = { [STREAM_END] = { on_end, TARGET_READY, 0 },
			    [STREAM_MANIFEST] = { mig_target_manifest, TARGET_STATED, 0 },
			    ENDS_BY_ABORT },
	[TARGET_READY] = { [STREAM_COMMIT] = { on_commit, TARGET_RUNNING, 0 },
			   [STREAM_QUERY] = { on_query, TARGET_READY, 0 },
			   [STREAM_MANIFEST] = { mig_target_release, TARGET_READY, 0 },
			   ENDS_BY_ABORT },
	[TARGET_HELD] = { [STREAM_HELLO] = { on_resume, TARGET_READY, 0 } },
	[TARGET_RUNNING] = { [STREAM_COMMIT] = { on_commit, TARGET_RUNNING, 0 },
			     [STREAM_QUERY] = { on_query, TARGET_RUNNING, 0 },
			     [STREAM_DONE] = { on_done, TARGET_DONE, 0 },
			     [STREAM_MANIFEST] = { mig_target_release, TARGET_RUNNING, 0 } },
	[TARGET_LINGER] = { [STREAM_HELLO] = { on_resume, TARGET_RUNNING, 0 } },
};

const struct mig_table mig_target_table = { TARGET_STATES, state_names, steps };
