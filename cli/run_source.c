/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "cli/run.h"

#define CONNECT_MS 10000

DEFINE_AUTO(mig_source, struct mig_source *, mig_source_free)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The migration's own thread sets up and tears down src; its strings stay as they are meanwhile. */
static int connect_do(struct run_source *s, struct chan **out, struct err *e)
{
	const struct chan_tls_config tls = {
		.dir = s->tls_dir,
		.peer_name = s->tls_peer[0] ? s->tls_peer : NULL,
	};

	return chan_connect(s->uri, s->tls_dir[0] ? &tls : NULL, CONNECT_MS, out, e);
}

static int source_verify(void *ctx, const struct sev_peer_certs *peer, uint32_t policy,
			 struct err *e)
{
	struct run *r = ctx;
	int ret = trust_check(&r->src.trust, peer, policy, e);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&r->lock);
	r->src.setup_ns = now_ns() - r->src.start_ns;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static int source_reconnect(void *ctx, struct chan **out, struct err *e)
{
	struct run *r = ctx;

	return connect_do(&r->src, out, e);
}

static int source_run(struct run *r, struct err *e)
{
	struct chan *c = NULL;
	int ret = connect_do(&r->src, &c, e);

	if (ret < 0)
		return ret;
	if (r->src.max_bandwidth) {
		struct chan *limited = chan_rate_wrap(c, r->src.max_bandwidth);

		if (!limited)
			return err_set(e, -ENOMEM, "no memory");
		c = limited;
	}
	return mig_source_run(r->src.mig, c, e);
}

/* What is left of it when the thread is done: the stats, for the queries. */
static void source_finish(struct run *r, int ret, const struct err *e)
{
	struct run_source *s = &r->src;
	struct mig_source *mig;

	pthread_mutex_lock(&r->lock);
	mig = steal_ptr(&s->mig);
	mig_source_stats(mig, &s->last);
	mig_source_differences(mig, &s->differences);
	if (ret < 0 && s->last.outcome == MIG_OUTCOME_NONE)
		s->last.outcome = MIG_OUTCOME_STAYED; /* it did not get as far as a connection */
	if (ret < 0 && !s->last.reason[0])
		snprintf(s->last.reason, sizeof(s->last.reason), "%s", e->msg);
	s->active = false;
	trust_fini(&s->trust);
	pthread_mutex_unlock(&r->lock);
	mig_source_free(mig);
}

static void *source_thread(void *arg)
{
	struct run *r = arg;
	struct err e = { 0 };
	int ret = source_run(r, &e);

	run_sev_refresh(r);
	source_finish(r, ret, &e);
	if (r->src.last.outcome == MIG_OUTCOME_STAYED)
		log_warn("run", "not moved to %s: %s", r->src.uri, e.msg);
	control_server_kick(r->server);
	run_wake(r);
	return NULL;
}

static int text_copy(char *to, size_t len, const char *from, const char *what, struct err *e)
{
	if (from && strlen(from) >= len)
		return err_set(e, -ENAMETOOLONG, "%s: too long", what);
	snprintf(to, len, "%s", from ? from : "");
	return 0;
}

static int number_copy(unsigned *to, const struct control_num *from, const char *what,
		       struct err *e)
{
	if (!from->given)
		return 0;
	if (from->v < 1 || from->v > 86400000)
		return err_set(e, -ERANGE, "%s: must be from 1 to 86400000", what);
	*to = (unsigned)from->v;
	return 0;
}

bool run_source_gone(const struct run *r)
{
	enum mig_outcome how = r->src.last.outcome;

	return !r->src.active && r->src.joinable &&
	       (how == MIG_OUTCOME_MOVED || how == MIG_OUTCOME_UNKNOWN);
}

/* May one begin now? Under the lock. */
static int source_check(struct run *r, struct err *e)
{
	enum vm_state state = vm_state(r->vm);

	if (r->src.active)
		return err_set(e, -EBUSY, "a migration is under way already");
	if (!run_target_here(r))
		return err_set(e, -EBUSY, "the guest has not arrived here yet");
	if (run_source_gone(r))
		return err_set(e, -ESTALE, "the guest has been given up here");
	if (r->quit || (state != VM_RUNNING && state != VM_PAUSED))
		return err_set(e, -EINVAL, "the guest is not running");
	return 0;
}

static int source_fill(struct run *r, const struct control_args *a, struct mig_source_params *p,
		       struct err *e)
{
	struct run_source *s = &r->src;
	const char *dir = a->tls_dir ? a->tls_dir : r->cfg->tls_dir;
	int ret = text_copy(s->uri, sizeof(s->uri), a->uri, "URI", e);

	if (ret == 0)
		ret = text_copy(s->tls_dir, sizeof(s->tls_dir), dir, "TLS directory", e);
	if (ret == 0)
		ret = text_copy(s->tls_peer, sizeof(s->tls_peer), a->tls_peer, "TLS peer", e);
	if (ret == 0)
		ret = number_copy(&p->max_downtime_ms, &a->max_downtime, "maximum downtime", e);
	if (ret == 0)
		ret = number_copy(&p->max_passes, &a->max_passes, "maximum passes", e);
	if (ret == 0 && a->way)
		ret = mig_way_get(a->way, &p->way, e);
	p->handler_vcpus = r->cfg->handler_vcpus;
	if (ret == 0)
		ret = number_copy(&p->commit_wait_ms, &a->commit_wait, "commit wait", e);
	s->max_bandwidth = a->max_bandwidth.given ? a->max_bandwidth.v : r->default_bandwidth;
	return ret;
}

static int source_launch(struct run *r, struct mig_source_params *p, struct trust *trust,
			 struct err *e)
{
	auto_of(mig_source) struct mig_source *mig = NULL;
	struct run_source *s = &r->src;
	int ret = mig_source_new(run_migratable(r), r->platform, p, &mig, e);

	if (ret < 0)
		return ret;
	s->trust = *trust;
	s->mig = mig;
	s->cancelled = false;
	s->start_ns = now_ns();
	s->setup_ns = 0;
	ret = pthread_create(&s->thread, NULL, source_thread, r);
	if (ret) {
		s->mig = NULL;
		memset(&s->trust, 0, sizeof(s->trust));
		return err_set(e, -ret, "migration: no thread");
	}
	steal_ptr(&mig);
	memset(trust, 0, sizeof(*trust));
	s->active = s->joinable = true;
	r->role = CONTROL_ROLE_SOURCE;
	return 0;
}

/* All under the lock but reading the trust's files, which may be slow. The new thread waits for the
 * lock before it looks at anything that is set up after it began. */
int run_source_start(struct run *r, const struct control_args *a, struct err *e)
{
	struct mig_source_params p = {
		.ask = a->dry_run,
		.verify = source_verify,
		.reconnect = source_reconnect,
		.ctx = r,
	};
	struct trust trust = { 0 };
	int ret = mig_parties_get(a->force, &p.force, e);

	if (ret == 0)
		ret = trust_load(&trust, r->platform, a->root, a->allow, e);

	pthread_mutex_lock(&r->lock);
	if (ret == 0)
		ret = source_check(r, e);
	if (ret == 0 && r->src.joinable) {
		pthread_join(r->src.thread, NULL); /* it is past its last use of the lock */
		r->src.joinable = false;
	}
	p.max_downtime_ms = r->default_downtime;
	if (ret == 0)
		ret = source_fill(r, a, &p, e);
	if (ret == 0)
		ret = source_launch(r, &p, &trust, e);
	pthread_mutex_unlock(&r->lock);
	trust_fini(&trust);
	return ret;
}

int run_source_cancel(struct run *r, struct err *e)
{
	int ret = 0;

	pthread_mutex_lock(&r->lock);
	if (r->src.active) {
		r->src.cancelled = true;
		mig_source_cancel(r->src.mig);
	} else {
		ret = err_set(e, -ENOENT, "no migration is under way");
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void run_source_end(struct run *r)
{
	struct err nothing = { 0 };
	bool join;

	if (run_source_cancel(r, &nothing) < 0)
		log_debug("run", "%s", nothing.msg);
	pthread_mutex_lock(&r->lock);
	join = r->src.joinable;
	pthread_mutex_unlock(&r->lock);
	if (!join)
		return;
	pthread_join(r->src.thread, NULL);
	pthread_mutex_lock(&r->lock);
	r->src.joinable = false;
	pthread_mutex_unlock(&r->lock);
}
