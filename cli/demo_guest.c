/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo.h"
#include "cli/place.h"

int demo_guest_small(struct demo_guest *g, struct err *e)
{
	*g = (struct demo_guest){
		.append = "private=8M shared=1M dirty=2M/s",
		.memory = "32M",
		.end = "poweroff\n",
		.verifies = true,
	};
	/* Beside this program in its build folder, or installed. */
	if (place_file("build/guest/testguest.elf", g->kernel, sizeof(g->kernel), e) == 0)
		return 0;
	return place_file("guest/testguest.elf", g->kernel, sizeof(g->kernel), e);
}

/* The last line that the command prints. */
static bool command_line(const char *command, char *out, size_t len)
{
	FILE *p = popen(command, "re");
	bool any = false;

	if (!p)
		return false;
	while (fgets(out, (int)len, p))
		any = true;
	out[strcspn(out, "\n")] = '\0';
	return pclose(p) == 0 && any;
}

int demo_guest_linux(struct demo_guest *g)
{
	char prepare[PATH_MAX], command[PATH_MAX + 8], dir[PATH_MAX - 16];
	struct err e = { 0 };

	*g = (struct demo_guest){
		.append = "console=ttyS0 earlyprintk=serial panic=1 reboot=k acpi=off noapic "
			  "nolapic pci=off lpj=4000000",
		.memory = "192M",
		.end = "end\n",
	};
	/* The shell that runs it must not read anything into the path. */
	if (place_lab_ready(&e) < 0 ||
	    place_file("lab/prepare", prepare, sizeof(prepare), &e) < 0 || strchr(prepare, '\''))
		return -1;
	snprintf(command, sizeof(command), "'%s'", prepare);
	if (!command_line(command, dir, sizeof(dir)))
		return -1;
	snprintf(g->kernel, sizeof(g->kernel), "%s/vmlinuz", dir);
	snprintf(g->initrd, sizeof(g->initrd), "%s/guest.cpio", dir);
	return access(g->kernel, R_OK) < 0 || access(g->initrd, R_OK) < 0 ? -1 : 0;
}
