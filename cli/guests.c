/* SPDX-License-Identifier: Apache-2.0 */

/* list, status, qmp, stop, migrate-cancel, adopt: one request to a running guest each. */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/report.h"
#include "migrate/migrate.h"

#define QMP_CALL_MS 60000 /* a digest of all memory takes its time */

struct guests_cfg {
	struct cli_common common;
	bool source_is_dead;
};

/* Ask the guest called name one thing. */
static int ask(const char *name, const char *what, json_t **answer, struct err *e)
{
	auto_of(control_client) struct control_client *c = NULL;
	int r = cli_runtime_connect(name, &c, e);

	return r < 0 ? r : control_client_call(c, what, NULL, CLI_CALL_MS, answer, e);
}

/* --- list ----------------------------------------------------------------------------------- */

static const struct opt plain_opts[] = { CLI_COMMON_OPTS(struct guests_cfg), opt_end };

static const struct opt_cmd list_cmd = {
	.name = "sevmig list",
	.args = "",
	.help = "List the guests that run here, or wait here for a migration.",
	.opts = plain_opts,
};

/* The guest whose socket this file is; NULL when it is none, or nobody answers. */
static json_t *guest_of(const char *file)
{
	size_t n = strlen(file);
	auto_mem char *name = NULL;
	struct err e = { 0 };
	json_t *answer = NULL;

	if (n < 6 || strcmp(file + n - 5, ".sock") != 0)
		return NULL;
	name = strndup(file, n - 5);
	if (!name || !cli_name_valid(name) || ask(name, "query-status", &answer, &e) < 0)
		return NULL;
	json_object_set_new(answer, "name", json_string(name));
	return answer;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int guests_collect(json_t *all, struct err *e)
{
	char dir[256];
	struct dirent **files;
	int n, r = cli_runtime_dir(dir, sizeof(dir), e);

	if (r < 0)
		return r;
	n = scandir(dir, &files, NULL, by_name);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return err_set(e, -errno, "%s: %m", dir);
	for (int i = 0; i < n; i++) {
		json_t *guest = guest_of(files[i]->d_name);

		if (guest)
			json_array_append_new(all, guest);
		free(files[i]);
	}
	free(files);
	return 0;
}

static void list_print(const json_t *all)
{
	size_t i;
	json_t *g;

	printf("%-24s %-14s %10s  %s\n", "NAME", "STATE", "MEMORY", "URI");
	json_array_foreach (all, i, g) {
		json_t *own = json_object_get(g, "x-sevmig");
		json_int_t memory = json_integer_value(json_object_get(own, "memory"));

		printf("%-24s %-14s %9" JSON_INTEGER_FORMAT "M  %s\n", report_text(g, "name"),
		       report_text(g, "status"), memory >> 20, report_text(own, "uri"));
	}
}

int cli_list_main(int argc, char **argv)
{
	auto_of(json) json_t *all = json_array();
	struct guests_cfg cfg = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	int code;

	if (!cli_parse(&list_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (guests_collect(all, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (cfg.common.json)
		cli_json_print(json_pack("{s:O}", "guests", all));
	else
		list_print(all);
	return CLI_OK;
}

/* --- status --------------------------------------------------------------------------------- */

static const struct opt_cmd status_cmd = {
	.name = "sevmig status",
	.args = "NAME",
	.help = "Show a guest's state, its SEV state and its migration.",
	.opts = plain_opts,
	.min_args = 1,
	.max_args = 1,
};

/* What query-status answers, with the answers of the others as members. */
static int status_collect(const char *name, json_t **all, struct err *e)
{
	static const char *const queries[][2] = {
		{ "sev", "query-sev" },
		{ "migration", "query-migrate" },
	};
	auto_of(control_client) struct control_client *c = NULL;
	int r = cli_runtime_connect(name, &c, e);

	if (r == 0)
		r = control_client_call(c, "query-status", NULL, CLI_CALL_MS, all, e);
	for (unsigned i = 0; i < 2 && r == 0; i++) {
		json_t *answer = NULL;

		r = control_client_call(c, queries[i][1], NULL, CLI_CALL_MS, &answer, e);
		if (r == 0)
			json_object_set_new(*all, queries[i][0], answer);
	}
	return r;
}

/* Who agrees to a migration, and why not. */
static void consent_print(const json_t *all)
{
	for (unsigned who = 0; who < MIG_PARTY_N; who++) {
		const char *name = mig_party_name((enum mig_party)who);
		const json_t *one = json_object_get(all, name);

		printf("%-8s says  %s%s\n", name,
		       json_is_true(json_object_get(one, "ready")) ? "yes" : "no: ",
		       report_text(one, "reason"));
	}
}

static void status_print(const char *name, const json_t *st)
{
	const json_t *own = json_object_get(st, "x-sevmig"), *sev = json_object_get(st, "sev");
	const json_t *mig = json_object_get(st, "migration");
	char policy[128];

	cli_policy_print((uint32_t)report_num(sev, "policy"), policy, sizeof(policy));
	printf("name           %s\nstate          %s\nmemory         %" PRIu64 " MiB\n"
	       "vcpus          %" PRIu64 "\nplatform       %s, API %" PRIu64 ".%" PRIu64 ".%" PRIu64
	       "\nSEV            %s, handle %" PRIu64 "\npolicy         %s\n"
	       "shared pages   %" PRIu64 "\n",
	       name, report_text(st, "status"), report_num(own, "memory") >> 20,
	       report_num(own, "vcpus"), report_text(own, "platform"), report_num(sev, "api-major"),
	       report_num(sev, "api-minor"), report_num(sev, "build-id"), report_text(sev, "state"),
	       report_num(sev, "handle"), policy, report_num(own, "shared-pages"));
	consent_print(json_object_get(own, "negotiation"));
	if (*report_text(own, "end"))
		printf("ended          %s\n", report_text(own, "end"));
	if (*report_text(own, "uri"))
		printf("uri            %s\n", report_text(own, "uri"));
	if (json_object_size(mig))
		report_print(mig, stdout);
}

int cli_status_main(int argc, char **argv)
{
	auto_of(json) json_t *all = NULL;
	struct guests_cfg cfg = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	int code;

	if (!cli_parse(&status_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (status_collect(args.v[0], &all, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (cfg.common.json)
		cli_json_print(json_incref(all));
	else
		status_print(args.v[0], all);
	return CLI_OK;
}

/* --- qmp ------------------------------------------------------------------------------------ */

static const struct opt_cmd qmp_cmd = {
	.name = "sevmig qmp",
	.args = "NAME COMMAND [KEY=VALUE...]",
	.help = "Send one request to a guest's control socket and print the answer.",
	.opts = plain_opts,
	.min_args = 2,
	.max_args = OPT_ARGS_MAX,
};

/* "key=value": a number, true or false by itself, else a string. */
static int pair_put(json_t *args, const char *pair, struct err *e)
{
	size_t n = strcspn(pair, "=");
	auto_mem char *key = strndup(pair, n);
	const char *text = pair + n + 1;
	json_t *value;

	if (!pair[n] || !n || !key)
		return err_set(e, -EINVAL, "%s: not KEY=VALUE", pair);
	value = json_loads(text, JSON_DECODE_ANY, NULL);
	if (!json_is_integer(value) && !json_is_boolean(value)) {
		json_decref(value);
		value = json_string(text);
	}
	if (json_object_set_new(args, key, value) < 0)
		return err_set(e, -EINVAL, "%s: not UTF-8", pair);
	return 0;
}

int cli_qmp_main(int argc, char **argv)
{
	auto_of(control_client) struct control_client *c = NULL;
	auto_of(json) json_t *request = json_object();
	struct guests_cfg cfg = { 0 };
	json_t *answer = NULL;
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&qmp_cmd, &cfg, argc, argv, &args, &code))
		return code;
	for (unsigned i = 2; i < args.n; i++)
		if (pair_put(request, args.v[i], &e) < 0)
			return cli_usage(&qmp_cmd, "%s", e.msg);
	r = cli_runtime_connect(args.v[0], &c, &e);
	if (r == 0)
		r = control_client_call(c, args.v[1], steal_ptr(&request), QMP_CALL_MS, &answer,
					&e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	cli_json_print(answer);
	return CLI_OK;
}

/* --- stop, migrate-cancel, adopt ------------------------------------------------------------ */

/* A command that is one request without arguments, and says nothing when it worked. */
static int request_send(const struct guests_cfg *cfg, const char *name, const char *what)
{
	auto_of(json) json_t *answer = NULL;
	struct err e = { 0 };

	if (ask(name, what, &answer, &e) < 0)
		return cli_fail(&cfg->common, &e, CLI_FAILED);
	if (cfg->common.json)
		cli_json_print(json_object());
	return CLI_OK;
}

static const struct opt_cmd stop_cmd = {
	.name = "sevmig stop",
	.args = "NAME",
	.help = "End a guest and its process, as if its power were cut.",
	.opts = plain_opts,
	.min_args = 1,
	.max_args = 1,
};

int cli_stop_main(int argc, char **argv)
{
	struct guests_cfg cfg = { 0 };
	struct opt_args args;
	int code;

	if (!cli_parse(&stop_cmd, &cfg, argc, argv, &args, &code))
		return code;
	return request_send(&cfg, args.v[0], "quit");
}

static const struct opt_cmd cancel_cmd = {
	.name = "sevmig migrate-cancel",
	.args = "NAME",
	.help = "Break a guest's migration off; it goes on running where it is.",
	.opts = plain_opts,
	.min_args = 1,
	.max_args = 1,
};

int cli_cancel_main(int argc, char **argv)
{
	struct guests_cfg cfg = { 0 };
	struct opt_args args;
	int code;

	if (!cli_parse(&cancel_cmd, &cfg, argc, argv, &args, &code))
		return code;
	return request_send(&cfg, args.v[0], "migrate_cancel");
}

static const struct opt adopt_opts[] = {
	CLI_COMMON_OPTS(struct guests_cfg),
	opt_bool(struct guests_cfg, source_is_dead, "source-is-dead",
		 "you made sure that the source host does not run the guest"),
	opt_end,
};

static const struct opt_cmd adopt_cmd = {
	.name = "sevmig adopt",
	.args = "NAME",
	.help = "Run a guest that arrived completely but whose source was lost before it said to.",
	.opts = adopt_opts,
	.min_args = 1,
	.max_args = 1,
};

int cli_adopt_main(int argc, char **argv)
{
	struct guests_cfg cfg = { 0 };
	struct opt_args args;
	int code;

	if (!cli_parse(&adopt_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (!cfg.source_is_dead)
		return cli_usage(
			&adopt_cmd,
			"if the source still has the guest, it would run twice, with no way "
			"back. Make sure that the source's process is gone for good, then "
			"say --source-is-dead");
	return request_send(&cfg, args.v[0], "x-adopt");
}
