/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo.h"
#include "cli/place.h"

static const char *const places[] = { "kvm", "lab", NULL };

struct demo_cfg {
	struct cli_common common;
	unsigned place;
	const char *guest, *initrd, *append;
	uint64_t memory;
};

#define PLACE_BY_DOCTOR 2u

static const struct opt demo_opts[] = {
	CLI_COMMON_OPTS(struct demo_cfg),
	opt_enum(struct demo_cfg, place, "place", "PLACE", places,
		 "kvm or lab; default what sevmig doctor finds"),
	opt_str(struct demo_cfg, guest, "guest", "FILE",
		"on kvm: another kernel, whose console counts \"tick N\""),
	opt_str(struct demo_cfg, initrd, "initrd", "FILE", "its initial RAM disk"),
	opt_str(struct demo_cfg, append, "append", "STRING", "its command line"),
	opt_size(struct demo_cfg, memory, "memory", "SIZE", "its memory; default 64M"),
	opt_end,
};

static const struct opt_cmd demo_cmd = {
	.name = "sevmig demo",
	.args = "",
	.help = "Move a guest that counts, between two platforms, and check that it missed "
		"nothing.",
	.opts = demo_opts,
};

/* The lab's runner does all of it, this program included. */
static int lab_run(const struct demo_cfg *cfg, struct err *e)
{
	char run[PATH_MAX], self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int r = place_lab_ready(e);

	if (r == 0)
		r = place_file("lab/run", run, sizeof(run), e);
	if (r < 0)
		return err_wrap(e, r, "the lab");
	if (n < 0)
		return err_set(e, -errno, "/proc/self/exe: %m");
	self[n] = '\0';
	fflush(NULL);
	execl(run, run, "--sevmig", self, cfg->common.json ? "--json" : NULL, (char *)NULL);
	return err_set(e, -errno, "%s: %m", run);
}

/* On a KVM that runs Linux the guest is the lab's, Debian's kernel; else the small one. */
static int guest_choose(const struct demo_cfg *cfg, struct demo_guest *g, struct err *e)
{
	char why[160];

	if (cfg->guest) {
		*g = (struct demo_guest){ .memory = "64M", .end = "poweroff\n" };
		snprintf(g->kernel, sizeof(g->kernel), "%s", cfg->guest);
		snprintf(g->initrd, sizeof(g->initrd), "%s", cfg->initrd ? cfg->initrd : "");
		g->append = cfg->append ? cfg->append : "";
	} else if (vm_probe_kvm(why, sizeof(why)) != VM_PROBE_LINUX || demo_guest_linux(g) < 0) {
		int r = demo_guest_small(g, e);

		if (r < 0)
			return r;
	}
	if (cfg->memory)
		snprintf(g->memory, sizeof(g->memory), "%lluK",
			 (unsigned long long)cfg->memory >> 10);
	return 0;
}

static int kvm_run(const struct demo_cfg *cfg, struct err *e)
{
	struct demo_result result = { 0 };
	struct demo_guest guest = { 0 };
	int r = guest_choose(cfg, &guest, e);

	if (r == 0)
		r = demo_move(&guest, !cfg->common.json, &result, e);
	if (r == 0 && cfg->common.json)
		cli_json_print(demo_json(&result));
	else if (r == 0)
		demo_print(&result);
	if (r == 0 && !demo_holds(&result))
		r = err_set(e, -EBADMSG, "the guest that arrived is not the guest that left");
	demo_result_fini(&result);
	return r;
}

int cli_demo_main(int argc, char **argv)
{
	struct demo_cfg cfg = { .place = PLACE_BY_DOCTOR };
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&demo_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if ((cfg.initrd || cfg.append) && !cfg.guest)
		return cli_usage(&demo_cmd, "--initrd and --append go with --guest");
	if (cfg.place == PLACE_BY_DOCTOR)
		cfg.place = cfg.guest ? PLACE_KVM : place_choose();
	r = cfg.place == PLACE_LAB ? lab_run(&cfg, &e) : kvm_run(&cfg, &e);
	return r < 0 ? cli_fail(&cfg.common, &e, CLI_FAILED) : CLI_OK;
}
