/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/run.h"

enum { P_SIGNAL, P_WAKE, P_VM, P_INPUT, P_N };

void run_wake(struct run *r)
{
	uint64_t one = 1;

	if (write(r->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("run", "wake-up: %m");
}

void run_sev_refresh(struct run *r)
{
	struct sev_guest_status st;
	struct err e = { 0 };

	if (sev_guest_status(vm_migratable(r->vm)->sev, &st, &e) < 0) {
		log_debug("run", "%s", e.msg);
		return;
	}
	pthread_mutex_lock(&r->lock);
	r->sev = st;
	pthread_mutex_unlock(&r->lock);
}

/* The signals were blocked before the first thread was made, so only this sees them. */
int run_signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool signal_taken(int fd)
{
	struct signalfd_siginfo s;

	return read(fd, &s, sizeof(s)) == sizeof(s);
}

/* What was typed goes to the guest, up to the escape. false: no more of it, or the escape. */
static bool input_take(struct run *r, bool *escaped)
{
	char typed[256];
	ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));
	struct err e = { 0 };
	const char *escape;

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	escape = memchr(typed, TTY_ESCAPE, (size_t)n);
	if (escape) {
		n = escape - typed;
		*escaped = true;
	}
	if (n && vm_console_write(r->vm, typed, (size_t)n, &e) < 0)
		log_debug("run", "console: %s", e.msg);
	return !*escaped;
}

/* Is it over, as far as the migrations and the guest say? */
static enum run_end end_find(struct run *r)
{
	enum run_end end = RUN_GOES_ON;

	pthread_mutex_lock(&r->lock);
	if (!r->src.active && r->src.joinable && r->src.last.outcome == MIG_OUTCOME_MOVED)
		end = RUN_MOVED;
	else if (!r->src.active && r->src.joinable && r->src.last.outcome == MIG_OUTCOME_UNKNOWN)
		end = RUN_UNKNOWN;
	else if (r->quit)
		end = RUN_STOPPED;
	else if (!r->dst.active && r->dst.result < 0)
		end = RUN_FAILED;
	else if (vm_state(r->vm) == VM_ENDED && !r->src.active)
		end = RUN_ENDED;
	pthread_mutex_unlock(&r->lock);
	return end;
}

/* The guest ended by itself: whoever looks on learns it, a migration of it is in vain. */
static void vm_event_handle(struct run *r, struct pollfd *p)
{
	struct err e = { 0 };

	if (vm_state(r->vm) != VM_ENDED) {
		uint64_t n;

		if (read(p->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
			p->fd = -1; /* nothing to clear: do not come back for the same event */
		return;
	}
	p->fd = -1;
	if (run_source_cancel(r, &e) == 0)
		log_warn("run", "the guest ended while it was being moved");
	control_server_kick(r->server);
}

static void wake_clear(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warn("run", "wake-up: %m");
}

enum run_end run_loop(struct run *r)
{
	bool typing =
		r->cfg->console && strcmp(r->cfg->console, "stdio") == 0 && isatty(STDIN_FILENO);
	auto_fd int signals = run_signals_open();
	struct pollfd p[P_N] = {
		[P_SIGNAL] = { signals, POLLIN, 0 },
		[P_WAKE] = { r->wake_fd, POLLIN, 0 },
		[P_VM] = { vm_event_fd(r->vm), POLLIN, 0 },
		[P_INPUT] = { typing ? STDIN_FILENO : -1, POLLIN, 0 },
	};
	enum run_end end;

	while ((end = end_find(r)) == RUN_GOES_ON || (end == RUN_ENDED && run_restarts(r))) {
		bool escaped = false;

		if (end == RUN_ENDED && run_restart(r, &r->reset_err) < 0)
			return RUN_LOST;
		if (end == RUN_ENDED)
			p[P_VM].fd = vm_event_fd(r->vm);

		if (poll(p, P_N, -1) < 0)
			continue;
		if (p[P_WAKE].revents)
			wake_clear(r->wake_fd);
		if (p[P_VM].revents)
			vm_event_handle(r, &p[P_VM]);
		if (p[P_INPUT].revents && !input_take(r, &escaped))
			p[P_INPUT].fd = -1;
		if (escaped || (p[P_SIGNAL].revents && signal_taken(signals)))
			return RUN_STOPPED;
	}
	return end;
}
