/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a fuzz target over every file of a corpus folder; an empty or missing one is a failure. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *dir, const char *name)
{
	char path[4096];
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (fd_file_read(path, 1u << 26, &b, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	LLVMFuzzerTestOneInput(b.p ? b.p : (const uint8_t *)"", b.len);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	struct dirent *d;
	DIR *dir;

	if (argc != 2 || !(dir = opendir(argv[1]))) {
		fprintf(stderr, "replay: need a corpus folder\n");
		return 1;
	}
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		if (replay_file(argv[1], d->d_name))
			return 1;
		n++;
	}
	closedir(dir);
	printf("%u inputs replayed\n", n);
	return n ? 0 : 1;
}
