/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli.h"
#include "cuse/device.h"

struct device_cfg {
	struct cli_common common;
	const char *state, *name;
};

static const struct opt device_opts[] = {
	CLI_COMMON_OPTS(struct device_cfg),
	opt_str(struct device_cfg, state, "state", "DIR", "the platform; needed"),
	opt_str(struct device_cfg, name, "name", "NAME", "of the device below /dev; default: sev"),
	opt_end,
};

static const struct opt_cmd device_cmd = {
	.name = "sevmig device",
	.args = "",
	.help = "Be the driver of a /dev/sev that every program on this machine sees, until told "
		"to "
		"end. Needs root and a kernel with CUSE.",
	.opts = device_opts,
};

DEFINE_AUTO(cuse_device, struct cuse_device *, cuse_device_free)

static bool as_json;

static void ready(const char *path)
{
	if (as_json)
		cli_json_print(json_pack("{s:s}", "device", path));
	else
		printf("%s\n", path);
	fflush(stdout);
}

static int device_serve(const struct device_cfg *cfg, struct err *e)
{
	auto_of(sev_platform) struct sev_platform *p = NULL;
	auto_of(cuse_device) struct cuse_device *d = NULL;
	auto_fd int end = cli_end_fd(e);
	int r = end < 0 ? end : sev_soft_open(cfg->state, &p, e);

	if (r == 0)
		r = cuse_device_new(cfg->name ? cfg->name : "sev", p, &d, e);
	return r < 0 ? r : cuse_device_run(d, end, ready, e);
}

int cli_device_main(int argc, char **argv)
{
	struct device_cfg cfg = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	int code;

	if (!cli_parse(&device_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (!cfg.state)
		return cli_usage(&device_cmd, "no --state: the platform's directory");
	as_json = cfg.common.json;
	return device_serve(&cfg, &e) < 0 ? cli_fail(&cfg.common, &e, CLI_FAILED) : CLI_OK;
}
