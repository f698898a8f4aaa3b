/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SIGSEGV is how a faulting CPUID arrives. The client's own handling of it goes on: what it
 * installs is kept here and called for every other fault, and SIGSEGV is never blocked, because the
 * kernel kills a process whose blocked thread faults.
 */

#include "shim/shim.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/next.h"

/* Declared under names that headers may hide behind macros. */
shim_public int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
shim_public sighandler_t bsd_signal(int sig, sighandler_t handler);

/* The client's action, in two copies of which `current` is valid: the handler reads it whenever it
 * comes. */
static struct sigaction client[2];
static _Atomic unsigned current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards writing both */
static _Atomic bool standing;

/* Looked up before the handler can come, which may not do that. */
static int next_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	return shim_next(sigaction)(sig, act, old);
}

static int next_mask(int how, const sigset_t *set, sigset_t *old)
{
	return shim_next(pthread_sigmask)(how, set, old);
}

static struct sigaction client_action(void)
{
	return client[current & 1];
}

static void client_set(const struct sigaction *act)
{
	client[(current + 1) & 1] = *act;
	current++;
}

/* --- the handler ----------------------------------------------------------------------------- */

/* Let the signal do what it does without any handler. A fault comes again as soon as this returns,
 * from the same instruction; one that was sent is sent again. */
static void die_of(int sig, siginfo_t *info)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	next_action(sig, &dfl, NULL);
	if (info->si_code <= 0)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sig, info);
}

static void chain(int sig, siginfo_t *info, void *context)
{
	struct sigaction act = client_action();
	bool sent = info->si_code <= 0;
	sigset_t mask = act.sa_mask;

	if (act.sa_handler == SIG_IGN && sent)
		return;
	if (act.sa_handler == SIG_DFL || act.sa_handler == SIG_IGN) {
		die_of(sig, info);
		return;
	}
	if (act.sa_flags & (int)SA_RESETHAND) {
		struct sigaction dfl = { .sa_handler = SIG_DFL };

		client_set(&dfl);
	}
	sigdelset(&mask, SIGSEGV);
	next_mask(SIG_BLOCK, &mask, NULL); /* returning undoes it */
	if (act.sa_flags & SA_SIGINFO)
		act.sa_sigaction(sig, info, context);
	else
		act.sa_handler(sig);
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	int keep = errno;

	if (shim_cpuid_answer(info, context)) {
		errno = keep;
		return;
	}
	chain(sig, info, context);
}

bool shim_signal_start(void)
{
	/* On the client's alternate stack if it has one: it may want to hear of a stack overflow.
	 */
	struct sigaction act = { .sa_sigaction = on_segv,
				 .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
	sigset_t segv;

	if (next_action(SIGSEGV, NULL, &client[0]) < 0)
		return false;
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	next_mask(SIG_UNBLOCK, &segv, NULL);
	standing = true;
	return next_action(SIGSEGV, &act, NULL) == 0;
}

/* --- what the client calls ------------------------------------------------------------------- */

static int segv_action(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before, mine;
	sigset_t all, keep;

	if (act)
		mine = *act; /* may be the same memory as *old */
	sigfillset(&all);
	next_mask(SIG_SETMASK, &all, &keep);
	pthread_mutex_lock(&lock);
	before = client_action();
	if (act)
		client_set(&mine);
	pthread_mutex_unlock(&lock);
	next_mask(SIG_SETMASK, &keep, NULL);
	if (old)
		*old = before;
	return 0;
}

static int action_set(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction without;

	if (!standing)
		return next_action(sig, act, old);
	if (sig == SIGSEGV)
		return segv_action(act, old);
	if (!act)
		return next_action(sig, act, old);
	without = *act;
	sigdelset(&without.sa_mask, SIGSEGV);
	return next_action(sig, &without, old);
}

shim_public int sigaction(int sig, const struct sigaction *restrict act,
			  struct sigaction *restrict old)
{
	return action_set(sig, act, old);
}

shim_public int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return action_set(sig, act, old);
}

shim_public sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;

	if (sig != SIGSEGV || !standing)
		return shim_next(signal)(sig, handler);
	segv_action(&act, &old);
	return old.sa_handler;
}

shim_public sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

/* The set without SIGSEGV, where it is one to be blocked. */
static const sigset_t *unblockable(int how, const sigset_t *set, sigset_t *room)
{
	if (!set || !standing || how == SIG_UNBLOCK || sigismember(set, SIGSEGV) != 1)
		return set;
	*room = *set;
	sigdelset(room, SIGSEGV);
	return room;
}

shim_public int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	sigset_t room;

	return shim_next(sigprocmask)(how, unblockable(how, set, &room), old);
}

shim_public int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	sigset_t room;

	return next_mask(how, unblockable(how, set, &room), old);
}
