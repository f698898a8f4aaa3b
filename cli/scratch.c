/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int scratch_make(struct scratch *s, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(s->path, sizeof(s->path), "%s/sevmig-XXXXXX", tmp && *tmp ? tmp : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(s->path)) {
		s->path[0] = '\0';
		return err_set(e, -ENAMETOOLONG, "TMPDIR: too long");
	}
	if (!mkdtemp(s->path)) {
		int r = err_set(e, -errno, "%s: %m", s->path);

		s->path[0] = '\0';
		return r;
	}
	return 0;
}

static int one_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	remove(path);
	return 0;
}

void scratch_remove(struct scratch *s)
{
	if (s->path[0])
		nftw(s->path, one_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	s->path[0] = '\0';
}
