/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "vmm/vm.h"

/* Relative to the folder the program is in: a build folder in the source tree, the build folder
 * itself, an installation. */
static const char *const roots[] = { "..", ".", "../share/sevmig" };
#define ROOTS (sizeof(roots) / sizeof(roots[0]))

int place_file(const char *rel, char *out, size_t len, struct err *e)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return err_set(e, -errno, "/proc/self/exe: %m");
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (unsigned i = 0; i < ROOTS; i++) {
		int used = snprintf(out, len, "%s/%s/%s", self, roots[i], rel);

		if (used > 0 && (size_t)used < len && access(out, R_OK) == 0)
			return 0;
	}
	return err_set(e, -ENOENT, "%s: neither in %s/.. nor beside it nor installed", rel, self);
}

static bool program_there(const char *name)
{
	const char *path = getenv("PATH");
	char full[PATH_MAX];

	for (const char *p = path ? path : ""; *p; p += *p == ':') {
		size_t n = strcspn(p, ":");

		snprintf(full, sizeof(full), "%.*s/%s", (int)n, p, name);
		if (access(full, X_OK) == 0)
			return true;
		p += n;
	}
	return false;
}

int place_lab_ready(struct err *e)
{
	static const char *const programs[] = { "qemu-system-x86_64", "cpio", "jq", "apt-get",
						"dpkg-deb",           "bash" };
	char run[PATH_MAX];

	for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!program_there(programs[i]))
			return err_set(e, -ENOENT, "%s is not installed", programs[i]);
	return place_file("lab/run", run, sizeof(run), e);
}

enum place place_choose(void)
{
	struct err e = { 0 };
	char why[160];

	if (vm_probe_kvm(why, sizeof(why)) == VM_PROBE_LINUX)
		return PLACE_KVM;
	return place_lab_ready(&e) == 0 ? PLACE_LAB : PLACE_KVM;
}

const char *place_name(enum place p)
{
	return p == PLACE_KVM ? "kvm" : "lab";
}
