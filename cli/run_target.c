/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/run.h"

#define HANDSHAKE_MS 10000
/* The receiving end looks at least this often whether somebody cancelled or adopted. */
#define LOOK_MS 500

static void target_wake(const struct run_target *t)
{
	uint64_t one = 1;

	if (write(t->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("run", "incoming: %m");
}

/* 0: a connection waits. -ETIMEDOUT: none for now. */
static int connection_wait(const struct run_target *t, struct err *e)
{
	struct pollfd p[2] = {
		{ chan_listener_fd(t->listener), POLLIN, 0 },
		{ t->wake_fd, POLLIN, 0 },
	};
	uint64_t n;

	if (poll(p, 2, LOOK_MS) < 0 && errno != EINTR)
		return err_set(e, -errno, "poll: %m");
	if (p[1].revents && read(t->wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return err_set(e, -errno, "eventfd: %m");
	return p[0].revents && !p[1].revents ? 0 : err_set(e, -ETIMEDOUT, "nobody came");
}

/* A peer that fails the handshake costs us a line in the log, nothing else. */
static int target_accept(void *ctx, struct chan **out, struct err *e)
{
	struct run_target *t = &((struct run *)ctx)->dst;
	int r = connection_wait(t, e);

	if (r < 0)
		return r;
	r = chan_accept(t->listener, HANDSHAKE_MS, out, e);
	if (r == 0)
		return 0;
	log_warn("run", "a connection was refused: %s", e->msg);
	return -EAGAIN;
}

static void *target_thread(void *arg)
{
	struct run *r = arg;
	struct run_target *t = &r->dst;
	struct err e = { 0 };
	int ret = mig_target_run(t->mig, &e);

	run_sev_refresh(r);
	pthread_mutex_lock(&r->lock);
	mig_target_stats(t->mig, &t->last);
	if (ret < 0 && t->last.outcome == MIG_OUTCOME_NONE)
		t->last.outcome = MIG_OUTCOME_STAYED;
	if (ret < 0 && !t->last.reason[0])
		snprintf(t->last.reason, sizeof(t->last.reason), "%s", e.msg);
	t->result = ret;
	t->err = e;
	t->active = false;
	pthread_mutex_unlock(&r->lock);
	if (ret == 0)
		log_info("run", "%s has arrived and runs here", r->cfg->name);
	control_server_kick(r->server);
	run_wake(r);
	return NULL;
}

int run_target_listen(struct run *r, struct err *e)
{
	const struct mig_target_params p = { .accept = target_accept,
					     .ctx = r,
					     .handler_vcpus = r->cfg->handler_vcpus };
	const struct chan_tls_config tls = { .dir = r->cfg->tls_dir };
	struct run_target *t = &r->dst;
	int ret = chan_listen(r->cfg->incoming, r->cfg->tls_dir ? &tls : NULL, &t->listener, e);

	if (ret < 0)
		return ret;
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake_fd < 0)
		return err_set(e, -errno, "eventfd: %m");
	ret = mig_target_new(run_migratable(r), r->platform, &p, &t->mig, e);
	if (ret < 0)
		return ret;
	r->role = CONTROL_ROLE_TARGET;
	t->active = true;
	return 0;
}

int run_target_start(struct run *r, struct err *e)
{
	int ret = pthread_create(&r->dst.thread, NULL, target_thread, r);

	if (ret)
		return err_set(e, -ret, "incoming: no thread");
	r->dst.joinable = true;
	log_info("run", "listening on %s", chan_listener_uri(r->dst.listener));
	return 0;
}

bool run_target_here(struct run *r)
{
	struct mig_stats st;

	if (!r->dst.mig)
		return true; /* it began here */
	if (!r->dst.active)
		return r->dst.result == 0;
	mig_target_stats(r->dst.mig, &st);
	return st.outcome == MIG_OUTCOME_MOVED;
}

int run_target_adopt(struct run *r, struct err *e)
{
	int ret;

	if (!r->dst.mig)
		return err_set(e, -EINVAL, "this guest did not come here by a migration");
	ret = mig_target_adopt(r->dst.mig, e);
	if (ret == 0)
		target_wake(&r->dst);
	return ret;
}

/* With a guest here whose source may not know it, this takes until the source had its time to ask.
 */
void run_target_end(struct run *r)
{
	struct run_target *t = &r->dst;
	struct err e = { 0 };

	if (!t->joinable)
		return;
	/* Its source may not know yet that the guest is here, and is waited for; the guest, which
	 * is to end, is not kept running meanwhile. */
	if (r->vm && vm_state(r->vm) == VM_RUNNING && vm_pause(r->vm, &e) < 0)
		log_warn("run", "stopping the guest: %s", e.msg);
	mig_target_cancel(t->mig);
	target_wake(t);
	pthread_join(t->thread, NULL);
	t->joinable = false;
}

void run_target_free(struct run *r)
{
	struct run_target *t = &r->dst;

	mig_target_free(t->mig);
	chan_listener_free(t->listener);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
}
