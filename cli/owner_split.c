/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli/owner.h"

struct split_cfg {
	struct cli_common common;
	const char *out;
};

static const struct opt split_opts[] = {
	CLI_COMMON_OPTS(struct split_cfg),
	opt_str(struct split_cfg, out, "out", "DIR", "where the files go; default: here"),
	opt_end,
};

static const struct opt_cmd split_cmd = {
	.name = "sevmig owner split",
	.args = "CHAIN...",
	.help = "Take joined certificates apart, into a file each.",
	.opts = split_opts,
	.min_args = 1,
	.max_args = OPT_ARGS_MAX,
};

/* "/pek.cert" */
static void name_make(uint32_t usage, char *out, size_t len)
{
	snprintf(out, len, "/%s.cert", sevcert_usage_name(usage));
	for (char *p = out; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

static int set_write(const struct owner_set *set, const char *dir, json_t *names, struct err *e)
{
	static const uint32_t usages[OWNER_CERTS] = { SEVCERT_PDH, SEVCERT_PEK, SEVCERT_OCA,
						      SEVCERT_CEK, SEVCERT_ASK, SEVCERT_ARK };
	int r = 0;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %m", dir);
	for (size_t i = 0; i < OWNER_CERTS && r == 0; i++) {
		size_t len = 0;
		const uint8_t *p = owner_set_find(set, usages[i], &len);
		char name[32];

		name_make(usages[i], name, sizeof(name));
		if (p)
			r = cli_owner_file_write(dir, name, p, len, 0644, names, e);
	}
	return r;
}

int cli_owner_split_main(int argc, char **argv)
{
	static struct owner_set set;
	struct split_cfg cfg = { .out = "." };
	auto_of(json) json_t *names = json_array();
	struct opt_list files = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&split_cmd, &cfg, argc, argv, &args, &code))
		return code;
	for (; files.n < args.n; files.n++)
		files.v[files.n] = args.v[files.n];
	r = cli_owner_set_read(&files, &set, &e);
	if (r == 0)
		r = set_write(&set, cfg.out, names, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (cfg.common.json)
		cli_json_print(json_pack("{s:o}", "files", steal_ptr(&names)));
	else
		cli_owner_names_print(names);
	return CLI_OK;
}
