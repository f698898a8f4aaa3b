/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kick.h"

#include <signal.h>

static pthread_once_t kick_once = PTHREAD_ONCE_INIT;

int vmm_kick_signal(void)
{
	return SIGRTMIN;
}

static void kick_handler(int sig)
{
	(void)sig;
}

static void kick_install(void)
{
	/* No SA_RESTART: the call it interrupts must return. */
	struct sigaction sa = { .sa_handler = kick_handler };

	sigemptyset(&sa.sa_mask);
	sigaction(vmm_kick_signal(), &sa, NULL);
}

void vmm_kick_accept(void)
{
	sigset_t set;

	pthread_once(&kick_once, kick_install);
	sigemptyset(&set);
	sigaddset(&set, vmm_kick_signal());
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void vmm_kick_send(pthread_t thread)
{
	/* Blocked until the thread accepts it, so the handler is there by then; a thread that was
	 * joined is never kicked. */
	pthread_kill(thread, vmm_kick_signal());
}
