/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A software platform of a fuzz target, in a directory that goes with the process. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sev/sev.h"

static struct sev_platform *platform;
static struct sev_peer_certs certs;
static char dir[] = "/dev/shm/sevmig-fuzz.XXXXXX";

static inline void must(bool ok)
{
	if (!ok)
		abort();
}

static inline void remove_dir(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	(void)!system(cmd);
}

static inline void platform_new(void)
{
	struct sev_soft_init opt = { .root_bits = 2048 };
	char path[64];
	struct err e = { 0 };

	must(mkdtemp(dir) != NULL);
	atexit(remove_dir);
	snprintf(path, sizeof(path), "%s/p", dir);
	must(sev_soft_init(path, &opt, &e) == 0 && sev_soft_open(path, &platform, &e) == 0);
	must(sev_certs_export(platform, &certs, &e) == 0);
}
