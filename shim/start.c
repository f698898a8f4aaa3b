/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/shim.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "shim/env.h"

struct shim_config shim_config;

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct sev_platform *) platform;

static struct sev_platform *platform_open(void)
{
	struct sev_platform *p = platform;
	struct err e = { 0 };

	if (p)
		return p;
	if (sev_soft_open(shim_config.state, &p, &e) < 0) {
		log_err("shim", "%s", e.msg); /* ioctl(2) has no words for it */
		return NULL;
	}
	platform = p;
	return p;
}

struct sev_platform *shim_platform(void)
{
	struct sev_platform *p = platform;

	if (p)
		return p;
	pthread_mutex_lock(&opening);
	p = platform_open();
	pthread_mutex_unlock(&opening);
	return p;
}

int shim_return(int r)
{
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

/* --- fork ------------------------------------------------------------------------------------ */

static void fork_hold(void)
{
	pthread_mutex_lock(&opening);
	if (platform)
		sev_soft_fork_hold(platform);
	shim_fds_fork_hold();
}

static void fork_parent(void)
{
	shim_fds_fork_parent();
	if (platform)
		sev_soft_fork_release(platform);
	pthread_mutex_unlock(&opening);
}

static void fork_child(void)
{
	shim_fds_fork_child();
	if (platform)
		sev_soft_fork_release(platform);
	pthread_mutex_unlock(&opening);
}

/* --- start ----------------------------------------------------------------------------------- */

static void start_cpuid(void)
{
	const char *how = getenv(SHIM_ENV_CPUID);

	if (!how || strcmp(how, "fault") != 0)
		return;
	/* The handler first: this very thread's next CPUID may fault. */
	shim_config.cpuid_fault = shim_signal_start() && shim_cpuid_start();
	if (!shim_config.cpuid_fault)
		log_warn("shim", "this processor does not let CPUID fault: the program sees the "
				 "host's own answers");
}

/* The one thing that happens without being called: a preloaded library has no other beginning. */
__attribute__((constructor)) static void start(void)
{
	const char *cbit = getenv(SHIM_ENV_CBIT);

	shim_fds_start();
	shim_config.state = getenv(SHIM_ENV_STATE);
	if (!shim_config.state) {
		log_warn("shim", SHIM_ENV_STATE " is not set: there is no SEV here");
		return;
	}
	/* The environment is the client's to change from now on. */
	shim_config.state = strdup(shim_config.state);
	shim_config.cbit = cbit ? (unsigned)strtoul(cbit, NULL, 10) & 63 : 51;
	pthread_atfork(fork_hold, fork_parent, fork_child);
	start_cpuid();
	setenv(SHIM_ENV_LOADED, "1", 1);
}
