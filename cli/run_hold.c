/* SPDX-License-Identifier: Apache-2.0 */

/* A launch that waits for the guest's owner, as QEMU's does with -S: what was measured can be asked
 * for, secrets can be put in, and "cont" ends the launch and runs the guest. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/run.h"
#include "owner/text.h"

enum { P_SIGNAL, P_WAKE, P_N };

static bool still_waits(struct run *r)
{
	bool waits;

	pthread_mutex_lock(&r->lock);
	waits = r->hold.waits && !r->quit;
	pthread_mutex_unlock(&r->lock);
	return waits;
}

static int hold_end(struct run *r, bool stopped, struct err *e)
{
	pthread_mutex_lock(&r->lock);
	stopped = stopped || r->quit;
	r->hold.waits = false;
	pthread_mutex_unlock(&r->lock);
	/* 1: no secret that is still to be put in */
	return stopped ? err_set(e, -EINTR, "stopped before the launch was ended") : 1;
}

/* In vm_boot(), between LAUNCH_MEASURE and LAUNCH_FINISH. */
int run_hold(void *ctx, const uint8_t *measurement, struct vm_secret *out, struct err *e)
{
	struct run *r = ctx;
	auto_fd int sig = run_signals_open();
	struct pollfd p[P_N] = { [P_SIGNAL] = { .fd = sig, .events = POLLIN },
				 [P_WAKE] = { .fd = r->wake_fd, .events = POLLIN } };
	bool stopped = false;
	uint64_t n;

	(void)measurement;
	(void)out;
	if (sig < 0)
		return err_set(e, -errno, "signals: %m");
	run_sev_refresh(r);
	pthread_mutex_lock(&r->lock);
	r->hold.waits = true;
	pthread_mutex_unlock(&r->lock);
	log_info("run", "%s is measured and waits for its owner", r->cfg->name);
	while (!stopped && still_waits(r)) {
		if (poll(p, P_N, -1) < 0 && errno != EINTR)
			return err_set(e, -errno, "poll: %m");
		stopped = p[P_SIGNAL].revents; /* left for whoever looks next */
		(void)!read(r->wake_fd, &n, sizeof(n));
	}
	return hold_end(r, stopped, e);
}

bool run_hold_release(struct run *r)
{
	bool waited;

	pthread_mutex_lock(&r->lock);
	waited = r->hold.waits;
	r->hold.waits = false;
	pthread_mutex_unlock(&r->lock);
	if (waited)
		run_wake(r);
	return waited;
}

static int packet_get(const struct control_args *a, struct vm_secret *s, struct buf *packet,
		      struct err *e)
{
	size_t len = 0, n = strlen(a->secret);
	int ret = owner_base64_get(a->packet_header, strlen(a->packet_header), s->hdr,
				   sizeof(s->hdr), &len, e);

	if (ret == 0 && len != sizeof(s->hdr))
		ret = err_set(e, -EINVAL, "%zu bytes, not %zu", len, sizeof(s->hdr));
	if (ret < 0)
		return err_wrap(e, ret, "packet-header");
	ret = buf_reserve(packet, n + 1, e);
	if (ret == 0)
		ret = owner_base64_get(a->secret, n, packet->p, packet->cap, &packet->len, e);
	s->packet = packet->p;
	s->len = packet->len;
	return ret < 0 ? err_wrap(e, ret, "secret") : 0;
}

int run_hold_secret(struct run *r, const struct control_args *a, struct err *e)
{
	auto_buf struct buf packet = { 0 };
	struct vm_secret s = { .at = gpa(a->gpa.given ? a->gpa.v : r->hold.secret_at) };
	int ret = packet_get(a, &s, &packet, e);

	if (ret == 0 && !a->gpa.given && !r->hold.secret_at)
		ret = err_set(e, -EINVAL, "gpa is needed: no firmware says where secrets go");
	if (ret < 0)
		return ret;
	/* Held, so that the launch does not end meanwhile; the command does not wait. */
	pthread_mutex_lock(&r->lock);
	ret = r->hold.waits ? vm_launch_secret(r->vm, &s, e)
			    : err_set(e, -EINVAL, "no launch waits for a secret: give --hold");
	pthread_mutex_unlock(&r->lock);
	return ret;
}
