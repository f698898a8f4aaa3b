/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/report.h"

#define NOT_GIVEN UINT_MAX /* the guest's process has the defaults */

struct migrate_cfg {
	struct cli_common common;
	const char *root, *allow, *tls_dir, *tls_peer, *force;
	unsigned max_downtime, max_passes, commit_wait, path;
	uint64_t max_bandwidth;
	bool progress, dry_run;
};

static const char *const paths[] = { "auto", "psp", "handler", NULL };

static const struct opt migrate_opts[] = {
	CLI_COMMON_OPTS(struct migrate_cfg),
	opt_enum(struct migrate_cfg, path, "path", "WAY", paths,
		 "how private pages go: auto, psp or handler; default auto"),
	opt_uint(struct migrate_cfg, max_downtime, "max-downtime", "MS",
		 "longest stop aimed at, in milliseconds; default 300"),
	opt_uint(struct migrate_cfg, max_passes, "max-passes", "N",
		 "give up when it does not converge in so many passes; default 30"),
	opt_size(struct migrate_cfg, max_bandwidth, "max-bandwidth", "SIZE",
		 "bytes per second; default no limit"),
	opt_uint(struct migrate_cfg, commit_wait, "commit-wait", "MS",
		 "how long to go on asking a target that was cut off; default 30000"),
	opt_bool(struct migrate_cfg, progress, "progress", "show progress on stderr"),
	opt_bool(struct migrate_cfg, dry_run, "dry-run",
		 "only ask whether the target could take it; nothing moves"),
	opt_str(struct migrate_cfg, root, "root", "FILE",
		"root (ARK certificate) the target must descend from; default this platform's own"),
	opt_str(struct migrate_cfg, allow, "allow", "FILE",
		"ids of the platforms it may go to, one a line; default any under the root"),
	opt_str(struct migrate_cfg, tls_dir, "tls-dir", "DIR",
		"ca-cert.pem, cert.pem and key.pem; default those given to run"),
	opt_str(struct migrate_cfg, tls_peer, "tls-peer", "NAME",
		"name the target's certificate must carry; default the host in URI"),
	opt_str(struct migrate_cfg, force, "force", "WHO",
		"although these say no: host, firmware, guest, comma-separated"),
	opt_end,
};

static const struct opt_cmd migrate_cmd = {
	.name = "sevmig migrate",
	.args = "NAME URI",
	.help = "Move the running guest NAME to the host that waits at URI, and follow it.",
	.opts = migrate_opts,
	.min_args = 2,
	.max_args = 2,
};

static int text_put(json_t *args, const char *name, const char *value, struct err *e)
{
	if (value && json_object_set_new(args, name, json_string(value)) < 0)
		return err_set(e, -EINVAL, "%s: not UTF-8", value);
	return 0;
}

/* The guest's process has another working directory, perhaps. */
static int path_put(json_t *args, const char *name, const char *value, struct err *e)
{
	char full[PATH_MAX];

	if (!value)
		return 0;
	if (!realpath(value, full))
		return err_set(e, -errno, "%s: %m", value);
	return text_put(args, name, full, e);
}

static void num_put(json_t *args, const char *name, unsigned value)
{
	if (value != NOT_GIVEN)
		json_object_set_new(args, name, json_integer(value));
}

static int args_make(const struct migrate_cfg *cfg, const char *uri, json_t *args, struct err *e)
{
	int r = text_put(args, "uri", uri, e);

	if (r == 0)
		r = text_put(args, "x-tls-peer", cfg->tls_peer, e);
	if (r == 0)
		r = text_put(args, "x-force", cfg->force, e);
	if (r == 0)
		r = text_put(args, "x-path", paths[cfg->path], e);
	if (r == 0)
		r = path_put(args, "x-root", cfg->root, e);
	if (r == 0)
		r = path_put(args, "x-allow", cfg->allow, e);
	if (r == 0)
		r = path_put(args, "x-tls-dir", cfg->tls_dir, e);
	if (r < 0)
		return r;
	num_put(args, "x-max-downtime", cfg->max_downtime);
	num_put(args, "x-max-passes", cfg->max_passes);
	num_put(args, "x-commit-wait", cfg->commit_wait);
	if (cfg->max_bandwidth)
		json_object_set_new(args, "x-max-bandwidth",
				    json_integer((json_int_t)cfg->max_bandwidth));
	if (cfg->dry_run)
		json_object_set_new(args, "x-dry-run", json_true());
	return 0;
}

/* Does the guest that was not moved go on? */
static bool goes_on(struct control_client *c)
{
	auto_of(json) json_t *st = NULL;
	struct err ignored;

	if (control_client_call(c, "query-status", NULL, CLI_CALL_MS, &st, &ignored) < 0)
		return false; /* its process is gone */
	return strcmp(report_text(st, "status"), "shutdown") != 0 &&
	       strcmp(report_text(st, "status"), "internal-error") != 0;
}

/* Of a dry run. */
static int answer_print(const struct migrate_cfg *cfg, const struct opt_args *args, json_t *mig)
{
	size_t n = report_differences(mig, NULL);

	if (cfg->common.json)
		cli_json_print(json_incref(mig));
	else
		printf("%s %s be moved to %s%s\n", args->v[0], n ? "cannot" : "could", args->v[1],
		       n ? ":" : "");
	if (!cfg->common.json)
		report_differences(mig, stdout);
	return n ? CLI_STAYED : CLI_OK;
}

static void result_print(const struct migrate_cfg *cfg, struct control_client *c, const char *name,
			 json_t *mig, int code)
{
	const char *reason = report_text(json_object_get(mig, "x-sevmig"), "reason");

	if (cfg->common.json)
		cli_json_print(json_incref(mig));
	else
		report_print(mig, stdout);
	if (code == CLI_STAYED) {
		fprintf(stderr, "sevmig: %s was not moved%s: %s\n", name,
			goes_on(c) ? " and goes on here" : "", reason);
		report_differences(mig, stderr);
	}
	if (code == CLI_UNKNOWN)
		fprintf(stderr, "sevmig: where %s runs cannot be known from here: %s\n", name,
			reason);
}

int cli_migrate_main(int argc, char **argv)
{
	auto_of(control_client) struct control_client *c = NULL;
	auto_of(json) json_t *args_json = json_object(), *started = NULL, *mig = NULL;
	struct migrate_cfg cfg = { .max_downtime = NOT_GIVEN,
				   .max_passes = NOT_GIVEN,
				   .commit_wait = NOT_GIVEN };
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&migrate_cmd, &cfg, argc, argv, &args, &code))
		return code;
	r = args_make(&cfg, args.v[1], args_json, &e);
	if (r == 0)
		r = cli_runtime_connect(args.v[0], &c, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	r = control_client_call(c, "migrate", steal_ptr(&args_json), CLI_CALL_MS, &started, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, r == -EREMOTEIO ? CLI_STAYED : CLI_FAILED);
	if (report_follow(c, cfg.progress, &mig, &code, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_UNKNOWN);
	if (code == CLI_OK && cfg.dry_run)
		return answer_print(&cfg, &args, mig);
	result_print(&cfg, c, args.v[0], mig, code);
	return code;
}
