/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/run.h"

/* The control socket's requests. All run in the control thread. */

/* It was broken off because the guest ended, not because somebody asked for that. */
static void ended_fill(struct run *r, struct control_state *out)
{
	const char *why;

	if (!out->cancelled || out->mig.outcome != MIG_OUTCOME_STAYED || out->vm != VM_ENDED)
		return;
	vm_end(r->vm, &why);
	snprintf(out->mig.reason, sizeof(out->mig.reason), "the guest ended: %s", why);
	out->cancelled = false;
}

static void migration_fill(struct run *r, struct control_state *out)
{
	out->role = r->role;
	if (r->role == CONTROL_ROLE_SOURCE) {
		out->mig = r->src.last;
		out->differences = r->src.differences;
		if (r->src.active)
			mig_source_stats(r->src.mig, &out->mig);
		out->setup_ns = r->src.setup_ns;
		out->cancelled = r->src.cancelled;
		snprintf(out->uri, sizeof(out->uri), "%s", r->src.uri);
		ended_fill(r, out);
	}
	if (r->role == CONTROL_ROLE_TARGET) {
		out->mig = r->dst.last;
		if (r->dst.active)
			mig_target_stats(r->dst.mig, &out->mig);
		snprintf(out->uri, sizeof(out->uri), "%s", chan_listener_uri(r->dst.listener));
	}
}

static void vm_fill(struct run *r, struct control_state *out)
{
	const uint8_t *measurement = vm_measurement(r->vm);
	const char *why;

	out->vm = vm_state(r->vm);
	out->end = vm_end(r->vm, &why);
	out->why = out->vm == VM_ENDED ? why : NULL;
	out->restarts = out->end == VM_END_RESET && run_restarts(r);
	out->shared_pages = vm_shared_pages(r->vm);
	out->msr_written = vm_migration_msr(r->vm, &out->msr);
	for (unsigned who = 0; who < MIG_PARTY_N; who++)
		out->no[who] = vm_says_no(r->vm, (enum mig_party)who);
	out->measured = measurement != NULL;
	if (measurement)
		memcpy(out->measurement, measurement, SEV_MEASURE_LEN);
}

static void ops_state(void *ctx, struct control_state *out)
{
	struct run *r = ctx;
	bool arrived;

	snprintf(out->name, sizeof(out->name), "%s", r->cfg->name);
	out->platform = r->cfg->platform;
	out->memory = r->cfg->memory;
	out->vcpus = r->cfg->vcpus;
	out->api_major = r->api.api_major;
	out->api_minor = r->api.api_minor;
	out->build = r->api.build;
	pthread_mutex_lock(&r->vm_lock);
	out->resets = r->resets;
	out->vm = VM_ENDED;
	out->end = VM_END_RESET;
	if (r->vm)
		vm_fill(r, out);
	pthread_mutex_lock(&r->lock);
	migration_fill(r, out);
	out->sev = r->sev;
	arrived = r->role == CONTROL_ROLE_TARGET && run_target_here(r) && !r->sev.handle && r->vm;
	pthread_mutex_unlock(&r->lock);
	if (arrived)
		run_sev_refresh(r); /* the next query shows it */
	pthread_mutex_unlock(&r->vm_lock);
}

/* Nothing may stop or start the guest, or look into it, while a migration does, or after one took
 * it away. */
static int idle_check(struct run *r, struct err *e)
{
	int ret = 0;

	pthread_mutex_lock(&r->lock);
	if (r->src.active)
		ret = err_set(e, -EBUSY, "a migration is under way");
	else if (!run_target_here(r))
		ret = err_set(e, -EBUSY, "the guest has not arrived here");
	else if (!r->vm)
		ret = err_set(e, -ESRCH, "the guest was reset, and is gone");
	else if (run_source_gone(r))
		ret = err_set(e, -ESTALE, "the guest has been given up here");
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int guest_run(struct run *r, bool on, struct err *e)
{
	int ret = idle_check(r, e);

	if (ret < 0)
		return ret;
	if (on && run_hold_release(r))
		return 0;
	switch (vm_state(r->vm)) {
	case VM_RUNNING:
		return on ? 0 : vm_pause(r->vm, e);
	case VM_PAUSED:
		return on ? vm_start(r->vm, e) : 0;
	case VM_NEW:
	case VM_INCOMING:
	case VM_ENDED:
		break;
	}
	return err_set(e, -EINVAL, "the guest is not running");
}

static int ops_run(void *ctx, bool on, struct err *e)
{
	struct run *r = ctx;
	int ret;

	pthread_mutex_lock(&r->vm_lock);
	ret = guest_run(r, on, e);
	pthread_mutex_unlock(&r->vm_lock);
	return ret;
}

static int ops_migrate(void *ctx, const struct control_args *a, struct err *e)
{
	struct run *r = ctx;
	int ret;

	pthread_mutex_lock(&r->vm_lock);
	ret = r->vm ? run_source_start(r, a, e)
		    : err_set(e, -ESRCH, "the guest was reset, and is gone");
	pthread_mutex_unlock(&r->vm_lock);
	return ret;
}

static int ops_cancel(void *ctx, struct err *e)
{
	return run_source_cancel(ctx, e);
}

static int ops_parameters(void *ctx, const struct control_args *a, struct err *e)
{
	struct run *r = ctx;

	if (a->downtime_limit.given && (a->downtime_limit.v < 1 || a->downtime_limit.v > 86400000))
		return err_set(e, -ERANGE, "downtime-limit: must be from 1 to 86400000");
	pthread_mutex_lock(&r->lock);
	if (a->downtime_limit.given)
		r->default_downtime = (unsigned)a->downtime_limit.v;
	if (a->max_bandwidth.given)
		r->default_bandwidth = a->max_bandwidth.v;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static int ops_adopt(void *ctx, struct err *e)
{
	return run_target_adopt(ctx, e);
}

static int digest_get(struct run *r, json_t **answer, struct err *e)
{
	uint8_t digest[32];
	char hex[2 * sizeof(digest) + 1];
	int ret = vm_debug_digest(r->vm, digest, e);

	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	*answer = json_pack("{s:s}", "digest", hex);
	return 0;
}

/* More than these would not fit into a line that a client takes. */
#define SHARED_RANGES_MAX 20000u

/* Frame numbers: first, and one after the last. */
static int shared_get(struct run *r, json_t **answer, struct err *e)
{
	struct mig_vm *mig = vm_migratable(r->vm);
	auto_of(json) json_t *all = json_array();
	struct ranges set;
	int ret;

	ranges_init(&set);
	ret = mig->ops->shared(mig, MIG_GET, &set, e);
	if (ret == 0 && set.n > SHARED_RANGES_MAX)
		ret = err_set(e, -E2BIG, "%zu ranges are too many to show", set.n);
	for (size_t i = 0; ret == 0 && i < set.n; i++)
		json_array_append_new(all, json_pack("[I, I]", (json_int_t)set.v[i].start,
						     (json_int_t)set.v[i].end));
	ranges_fini(&set);
	if (ret == 0)
		*answer = json_pack("{s:O}", "frames", all);
	return ret;
}

static int guest_ask(struct run *r, enum control_cmd cmd, const struct control_args *a,
		     json_t **answer, struct err *e)
{
	int ret = idle_check(r, e);

	if (ret < 0)
		return ret;
	if (cmd == CONTROL_INJECT_SECRET)
		return run_hold_secret(r, a, e);
	if (cmd == CONTROL_CONSOLE_WRITE)
		return vm_console_write(r->vm, a->data, strlen(a->data), e);
	if (cmd == CONTROL_DEBUG_DUMP_SHARED)
		return vm_debug_dump_shared(r->vm, a->path, e);
	if (cmd == CONTROL_QUERY_SHARED)
		return shared_get(r, answer, e);
	if (vm_state(r->vm) == VM_RUNNING)
		return err_set(e, -EBUSY, "the guest is running: stop it first");
	return digest_get(r, answer, e);
}

static int ops_guest(void *ctx, enum control_cmd cmd, const struct control_args *a, json_t **answer,
		     struct err *e)
{
	struct run *r = ctx;
	int ret;

	pthread_mutex_lock(&r->vm_lock);
	ret = guest_ask(r, cmd, a, answer, e);
	pthread_mutex_unlock(&r->vm_lock);
	return ret;
}

static void ops_quit(void *ctx)
{
	struct run *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->quit = true;
	pthread_mutex_unlock(&r->lock);
	run_wake(r);
}

const struct control_ops run_control_ops = {
	.state = ops_state,
	.run = ops_run,
	.migrate = ops_migrate,
	.migrate_cancel = ops_cancel,
	.parameters = ops_parameters,
	.adopt = ops_adopt,
	.guest = ops_guest,
	.quit = ops_quit,
};
