/* SPDX-License-Identifier: Apache-2.0 */
#include "control/request.h"

#include <errno.h>
#include <string.h>

enum arg_kind { ARG_END, ARG_TEXT, ARG_NUM, ARG_BOOL, ARG_NO_LIST };

struct arg {
	enum arg_kind kind;
	const char *name;
	size_t offset; /* in struct control_args */
	bool required;
};

#define arg_text(member, name, required)                                                           \
	{                                                                                          \
		ARG_TEXT, name, offsetof(struct control_args, member), required                    \
	}
#define arg_num(member, name)                                                                      \
	{                                                                                          \
		ARG_NUM, name, offsetof(struct control_args, member), false                        \
	}

static const struct arg no_args[] = { { ARG_END } };
/* No capability is offered, so the list of those to enable can only be empty. */
static const struct arg capabilities_args[] = { { ARG_NO_LIST, "enable", 0, false }, { ARG_END } };
static const struct arg migrate_args[] = {
	arg_text(uri, "uri", true),
	arg_text(root, "x-root", false),
	arg_text(allow, "x-allow", false),
	arg_text(tls_dir, "x-tls-dir", false),
	arg_text(tls_peer, "x-tls-peer", false),
	arg_num(max_downtime, "x-max-downtime"),
	arg_num(max_passes, "x-max-passes"),
	arg_num(commit_wait, "x-commit-wait"),
	arg_num(max_bandwidth, "x-max-bandwidth"),
	arg_text(force, "x-force", false),
	arg_text(way, "x-path", false),
	{ ARG_BOOL, "x-dry-run", offsetof(struct control_args, dry_run), false },
	{ ARG_END },
};
static const struct arg parameters_args[] = {
	arg_num(downtime_limit, "downtime-limit"),
	arg_num(max_bandwidth, "max-bandwidth"),
	{ ARG_END },
};
static const struct arg path_args[] = { arg_text(path, "path", true), { ARG_END } };
static const struct arg secret_args[] = {
	arg_text(packet_header, "packet-header", true),
	arg_text(secret, "secret", true),
	arg_num(gpa, "gpa"),
	{ ARG_END },
};
static const struct arg data_args[] = { arg_text(data, "data", true), { ARG_END } };

static const struct {
	const char *name;
	const struct arg *args;
} commands[CONTROL_CMD_N] = {
	[CONTROL_CAPABILITIES] = { "qmp_capabilities", capabilities_args },
	[CONTROL_QUERY_VERSION] = { "query-version", no_args },
	[CONTROL_QUERY_COMMANDS] = { "query-commands", no_args },
	[CONTROL_QUERY_NAME] = { "query-name", no_args },
	[CONTROL_QUERY_STATUS] = { "query-status", no_args },
	[CONTROL_QUERY_MIGRATE] = { "query-migrate", no_args },
	[CONTROL_QUERY_SEV] = { "query-sev", no_args },
	[CONTROL_QUERY_MEASURE] = { "query-sev-launch-measure", no_args },
	[CONTROL_MIGRATE] = { "migrate", migrate_args },
	[CONTROL_MIGRATE_CANCEL] = { "migrate_cancel", no_args },
	[CONTROL_MIGRATE_PARAMETERS] = { "migrate-set-parameters", parameters_args },
	[CONTROL_STOP] = { "stop", no_args },
	[CONTROL_CONT] = { "cont", no_args },
	[CONTROL_QUIT] = { "quit", no_args },
	[CONTROL_ADOPT] = { "x-adopt", no_args },
	[CONTROL_INJECT_SECRET] = { "sev-inject-launch-secret", secret_args },
	[CONTROL_QUERY_SHARED] = { "x-query-shared", no_args },
	[CONTROL_DEBUG_DIGEST] = { "x-debug-digest", no_args },
	[CONTROL_DEBUG_DUMP_SHARED] = { "x-debug-dump-shared", path_args },
	[CONTROL_CONSOLE_WRITE] = { "x-console-write", data_args },
};

const char *control_cmd_name(enum control_cmd cmd)
{
	return commands[cmd].name;
}

static int arg_mismatch(const struct arg *a, const char *wanted, struct err *e)
{
	return err_set(e, -EINVAL, "Invalid parameter type for '%s', expected: %s", a->name,
		       wanted);
}

static int arg_set(const struct arg *a, struct control_args *args, json_t *v, struct err *e)
{
	void *member = (char *)args + a->offset;

	switch (a->kind) {
	case ARG_TEXT:
		if (!json_is_string(v))
			return arg_mismatch(a, "string", e);
		if (json_string_length(v) > CONTROL_TEXT_MAX)
			return err_set(e, -EINVAL, "Parameter '%s' is too long", a->name);
		*(const char **)member = json_string_value(v);
		return 0;
	case ARG_NUM:
		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return arg_mismatch(a, "integer", e);
		*(struct control_num *)member =
			(struct control_num){ true, (uint64_t)json_integer_value(v) };
		return 0;
	case ARG_BOOL:
		if (!json_is_boolean(v))
			return arg_mismatch(a, "boolean", e);
		*(bool *)member = json_is_true(v);
		return 0;
	case ARG_NO_LIST:
		if (!json_is_array(v) || json_array_size(v))
			return arg_mismatch(a, "empty array", e);
		return 0;
	case ARG_END:
		break;
	}
	return err_set(e, -EINVAL, "Parameter '%s' is unexpected", a->name);
}

static const struct arg *arg_find(const struct arg *a, const char *name)
{
	while (a->kind != ARG_END && strcmp(a->name, name) != 0)
		a++;
	return a->kind == ARG_END ? NULL : a;
}

static int args_get(enum control_cmd cmd, json_t *given, struct control_args *out, struct err *e)
{
	const struct arg *known = commands[cmd].args;
	const char *name;
	json_t *v;

	json_object_foreach (given, name, v) {
		const struct arg *a = arg_find(known, name);
		int r;

		if (!a)
			return err_set(e, -EINVAL, "Parameter '%.64s' is unexpected", name);
		r = arg_set(a, out, v, e);
		if (r < 0)
			return r;
	}
	for (; known->kind != ARG_END; known++)
		if (known->required && !json_object_get(given, known->name))
			return err_set(e, -EINVAL, "Parameter '%s' is missing", known->name);
	return 0;
}

static int cmd_get(json_t *name, enum control_cmd *out, struct err *e)
{
	if (!json_is_string(name))
		return err_set(e, -EINVAL, "QMP input lacks member 'execute'");
	for (unsigned i = 0; i < CONTROL_CMD_N; i++) {
		if (strcmp(commands[i].name, json_string_value(name)) == 0) {
			*out = (enum control_cmd)i;
			return 0;
		}
	}
	return err_set(e, -ENOSYS, "The command %.64s has not been found", json_string_value(name));
}

static int members_check(json_t *tree, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach (tree, name, v) {
		if (strcmp(name, "execute") != 0 && strcmp(name, "arguments") != 0 &&
		    strcmp(name, "id") != 0)
			return err_set(e, -EINVAL, "QMP input member '%.64s' is unexpected", name);
	}
	return 0;
}

static int tree_get(struct control_request *out, struct err *e)
{
	json_t *args = json_object_get(out->tree, "arguments");
	int r = members_check(out->tree, e);

	if (r == 0)
		r = cmd_get(json_object_get(out->tree, "execute"), &out->cmd, e);
	if (r < 0)
		return r;
	if (args && !json_is_object(args))
		return err_set(e, -EINVAL, "QMP input member 'arguments' must be an object");
	return args_get(out->cmd, args, &out->args, e);
}

int control_request_get(const char *line, size_t len, struct control_request *out, struct err *e)
{
	json_error_t why;

	memset(out, 0, sizeof(*out));
	if (len > CONTROL_LINE_MAX)
		return err_set(e, -EINVAL, "request longer than %u bytes", CONTROL_LINE_MAX);
	out->tree = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!out->tree)
		return err_set(e, -EINVAL, "JSON parse error: %s", why.text);
	if (!json_is_object(out->tree))
		return err_set(e, -EINVAL, "QMP input must be a JSON object");
	out->id = json_object_get(out->tree, "id");
	return tree_get(out, e);
}

void control_request_fini(struct control_request *r)
{
	json_decref(r->tree);
	memset(r, 0, sizeof(*r));
}
