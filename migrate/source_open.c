/* SPDX-License-Identifier: Apache-2.0 */

/* The opening: HELLO, a look at the target, START. Nothing of the guest leaves before verify(). */

#include "migrate/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/psp.h"
#include "migrate/bitmap.h"

/* A round trip is taken twice in the guest's downtime: END to READY, COMMIT to RUNNING. */
#define DOWNTIME_ROUND_TRIPS 2

static int hello(struct mig_source *s, uint32_t role, struct err *e)
{
	uint64_t begin = mig_now_ns();
	int r;

	s->state = SOURCE_HELLO;
	r = mig_source_say_hello(s, role, e);
	if (r == 0)
		r = mig_source_wait(s, MIG_HELLO_MS, "HELLO", e);
	s->fixed_ns = (mig_now_ns() - begin) * DOWNTIME_ROUND_TRIPS;
	return r;
}

static int verify(struct mig_source *s, uint32_t *policy, struct err *e)
{
	struct sev_guest_status st = { 0 };
	int r = sev_guest_status(s->vm->sev, &st, e);

	if (r < 0)
		return r;
	*policy = st.policy;
	r = s->params.verify(s->params.ctx, &s->peer, st.policy, e);
	return r < 0 ? err_wrap(e, r, "the target was not accepted") : 0;
}

static int prefault_run(struct mig_status *st, struct wr *out, uint64_t at, uint64_t n,
			struct err *e)
{
	while (n && out->len + STREAM_PREFAULT_LEN <= out->cap) {
		bool shared;
		uint64_t k = mig_status_run(st, at, n, &shared);
		struct stream_prefault f = { .at = at << PAGE_SHIFT, .is_private = !shared };
		int r;

		if (k > UINT32_MAX)
			k = UINT32_MAX;
		f.pages = (uint32_t)k;
		r = stream_prefault_put(out, &f, e);
		if (r < 0)
			return r;
		at += k;
		n -= k;
	}
	return 0;
}

/* A run may cross from one RAM range into the next; the ranges to come may not. */
static int prefault_list(struct mig_source *s, struct wr *out, struct err *e)
{
	struct mig_status st = { .mem = &s->mem, .list = &s->shared };

	for (uint32_t i = 0; i < s->mem.bounds.nram; i++) {
		uint64_t at = s->mem.bounds.ram[i].at >> PAGE_SHIFT, n;
		uint64_t end = at + (s->mem.bounds.ram[i].size >> PAGE_SHIFT);

		while (mig_bitmap_run(&s->now, &at, &n) && at < end) {
			int r;

			if (n > end - at)
				n = end - at;
			r = prefault_run(&st, out, at, n, e);
			if (r < 0)
				return r;
			at += n;
		}
	}
	return 0;
}

static int describe(const struct mig_source *s, const struct mig_session *session,
		    struct stream_start *m, struct err *e)
{
	*m = (struct stream_start){ .policy = session->policy,
				    .vcpus = s->mem.desc.vcpus,
				    .cbit = s->mem.desc.cbit,
				    .session = session->session,
				    .pdh = session->pdh,
				    .ram = s->mem.bounds,
				    .machine = s->mem.desc.machine };
	if (s->mem.desc.machine_len > STREAM_MACHINE_MAX)
		return err_set(e, -EINVAL, "machine description of %zu bytes",
			       s->mem.desc.machine_len);
	m->machine_len = (uint32_t)s->mem.desc.machine_len;
	memcpy(m->name, s->mem.desc.name, sizeof(m->name));
	return 0;
}

/* The list is made in a body buffer, which START does not need otherwise. */
static int start(struct mig_source *s, const struct mig_session *session, struct err *e)
{
	struct mig_batch *b = NULL;
	struct stream_start m;
	struct wr head, list;
	int r = describe(s, session, &m, e);

	if (r == 0)
		r = mig_source_batch(s, &b, &head, e);
	if (r < 0)
		return r;
	list = wr_of(b->body, STREAM_PREFAULT_MAX * STREAM_PREFAULT_LEN);
	r = prefault_list(s, &list, e);
	if (r < 0)
		return r;
	m.prefault = rd_of(list.p, list.len);
	m.nprefault = (uint32_t)(list.len / STREAM_PREFAULT_LEN);
	r = stream_start_put(&head, &m, e);
	if (r == 0)
		mig_source_send(s, b, STREAM_START, &head, 0);
	return r;
}

int mig_source_open(struct mig_source *s, struct err *e)
{
	struct mig_pump_params from;
	struct mig_session session;
	uint32_t policy;
	int r;

	mig_source_phase(s, MIG_PHASE_HANDSHAKE);
	r = hello(s, STREAM_ROLE_NEW, e);
	if (r < 0)
		return r;
	r = verify(s, &policy, e);
	if (r < 0)
		return r;
	r = mig_source_way(s, policy, e);
	if (r < 0)
		return r;
	r = s->path.send->start(&s->path, &s->peer, &session, e);
	if (r < 0)
		return r;
	s->send_started = true;
	s->es = session.policy & PSP_POLICY_ES;
	from = (struct mig_pump_params){ s->c, s->digest, mig_path_bodies(&s->path) };
	r = mig_writer_start(&s->writer, &from, e);
	if (r < 0)
		return r;
	r = mig_source_survey(s, e);
	return r < 0 ? r : start(s, &session, e);
}

/* No session is made for it: the guest stays in RUNNING, and what is sent opens nothing. */
static int question(struct mig_source *s, uint32_t policy, struct err *e)
{
	struct mig_session nobody = { .policy = policy };
	auto_mem uint8_t *space = malloc(STREAM_START_MAX);
	struct wr head = wr_of(space, STREAM_START_MAX);
	struct stream_start m;
	int r;

	if (!space)
		return err_set(e, -ENOMEM, "START: %m");
	r = describe(s, &nobody, &m, e);
	if (r == 0)
		r = stream_start_put(&head, &m, e);
	return r < 0 ? r : mig_source_say(s, STREAM_START, &head, e);
}

int mig_source_question(struct mig_source *s, struct err *e)
{
	uint32_t policy;
	int r;

	mig_source_phase(s, MIG_PHASE_HANDSHAKE);
	r = hello(s, STREAM_ROLE_ASK, e);
	if (r == 0)
		r = verify(s, &policy, e);
	if (r == 0)
		r = question(s, policy, e);
	return r < 0 ? r : mig_source_wait(s, MIG_HELLO_MS, "the question", e);
}
