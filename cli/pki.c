/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "chan/pki.h"
#include "cli/cli.h"

struct pki_cfg {
	struct cli_common common;
	int days;
	struct opt_list san;
	bool local;
};

static const struct opt init_opts[] = { CLI_COMMON_OPTS(struct pki_cfg), opt_end };

static const struct opt_cmd init_cmd = {
	.name = "sevmig pki init",
	.args = "DIR",
	.help = "Make a small certificate authority in DIR, for trying mutual TLS out.",
	.opts = init_opts,
	.min_args = 1,
	.max_args = 1,
};

int cli_pki_init_main(int argc, char **argv)
{
	struct pki_cfg cfg = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	int code;

	if (!cli_parse(&init_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (pki_init(args.v[0], &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (cfg.common.json)
		cli_json_print(json_pack("{s:s}", "directory", args.v[0]));
	else
		printf("%s/ca-cert.pem\n%s/ca-key.pem\n", args.v[0], args.v[0]);
	return CLI_OK;
}

static const struct opt issue_opts[] = {
	CLI_COMMON_OPTS(struct pki_cfg),
	opt_int(struct pki_cfg, days, "days", "N",
		"how long the certificate holds, default 365; negative: it has ended"),
	opt_list(struct pki_cfg, san, "san", "HOST",
		 "further host names or addresses it is for, comma-separated; may be repeated"),
	opt_bool(struct pki_cfg, local, "local", "also for localhost, 127.0.0.1 and ::1"),
	opt_end,
};

static const struct opt_cmd issue_cmd = {
	.name = "sevmig pki issue",
	.args = "DIR NAME",
	.help = "Make the key and certificate of host NAME in DIR/NAME, signed by the authority in "
		"DIR.",
	.opts = issue_opts,
	.min_args = 2,
	.max_args = 2,
};

/* The names in one value of --san; text is cut into them and must outlive them. */
static bool names_split(char *text, struct opt_list *out)
{
	const char *name;

	while ((name = strsep(&text, ","))) {
		if (!*name)
			continue;
		if (out->n == OPT_LIST_MAX)
			return false;
		out->v[out->n++] = name;
	}
	return true;
}

/* All values of --san, joined by commas; the caller frees. NULL: no memory. */
static char *names_join(const struct opt_list *given)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (size_t i = 0; i < given->n; i++)
		fprintf(f, "%s,", given->v[i]);
	fclose(f);
	return text;
}

int cli_pki_issue_main(int argc, char **argv)
{
	struct pki_cfg cfg = { .days = PKI_DAYS_DEFAULT };
	struct opt_list names = { 0 };
	auto_mem char *san = NULL;
	struct pki_opts opts = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	int code;

	if (!cli_parse(&issue_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (cfg.days == 0 || cfg.days > 36500 || cfg.days < -36500)
		return cli_usage(&issue_cmd, "--days %d: not between 1 and 36500", cfg.days);
	san = names_join(&cfg.san);
	if (!san || !names_split(san, &names))
		return cli_usage(&issue_cmd, "--san: more than %d names", OPT_LIST_MAX);
	opts.days = cfg.days;
	opts.also = names.v;
	opts.n_also = names.n;
	opts.local = cfg.local;
	if (pki_issue(args.v[0], args.v[1], &opts, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (cfg.common.json)
		cli_json_print(json_pack("{s:s++}", "directory", args.v[0], "/", args.v[1]));
	else
		printf("%s/%s/{ca-cert,cert,key}.pem\n", args.v[0], args.v[1]);
	return CLI_OK;
}
