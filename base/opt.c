/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 30

static int number_get(const char *text, int base, uint64_t max, uint64_t *out, const char **end)
{
	unsigned long long v;
	char *stop;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL; /* strtoull would take "-1" and " 1" */
	errno = 0;
	v = strtoull(text, &stop, base);
	if (errno || v > max)
		return -EINVAL;
	*end = stop;
	*out = v;
	return 0;
}

int opt_size_get(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *end, *unit;
	unsigned shift;
	uint64_t v;

	if (number_get(text, 10, UINT64_MAX, &v, &end) < 0)
		return -EINVAL;
	if (*end == '\0') {
		*out = v;
		return 0;
	}
	unit = strchr(units, toupper((unsigned char)*end));
	if (!unit || end[1] != '\0')
		return -EINVAL;
	shift = 10 * (unsigned)(unit - units + 1);
	if (v > UINT64_MAX >> shift)
		return -EINVAL;
	*out = v << shift;
	return 0;
}

int opt_u32_get(const char *text, uint32_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *end;
	uint64_t v;

	if (number_get(text, hex ? 16 : 10, UINT32_MAX, &v, &end) < 0 || *end)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

static int uint_set(const struct opt *o, void *member, const char *v, struct err *e)
{
	const char *end;
	uint64_t n;

	if (number_get(v, 10, UINT_MAX, &n, &end) < 0 || *end)
		return err_set(e, -EINVAL, "--%s %s: not a number", o->name, v);
	*(unsigned *)member = (unsigned)n;
	return 0;
}

static int int_set(const struct opt *o, void *member, const char *v, struct err *e)
{
	bool minus = v[0] == '-';
	const char *end;
	uint64_t n;

	if (number_get(v + minus, 10, INT_MAX, &n, &end) < 0 || *end)
		return err_set(e, -EINVAL, "--%s %s: not a number", o->name, v);
	*(int *)member = minus ? -(int)n : (int)n;
	return 0;
}

static int enum_set(const struct opt *o, void *member, const char *v, struct err *e)
{
	char all[128] = "";
	size_t len = 0;

	for (unsigned i = 0; o->names[i]; i++) {
		if (strcmp(o->names[i], v) == 0) {
			*(unsigned *)member = i;
			return 0;
		}
		if (len < sizeof(all))
			len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "",
						o->names[i]);
	}
	return err_set(e, -EINVAL, "--%s %s: not one of %s", o->name, v, all);
}

static int list_add(const struct opt *o, struct opt_list *list, const char *v, struct err *e)
{
	if (list->n == OPT_LIST_MAX)
		return err_set(e, -EINVAL, "--%s: more than %d times", o->name, OPT_LIST_MAX);
	list->v[list->n++] = v;
	return 0;
}

static int value_set(const struct opt *o, void *cfg, const char *v, struct err *e)
{
	void *member = (char *)cfg + o->offset;

	switch (o->kind) {
	case OPT_STR:
		*(const char **)member = v;
		return 0;
	case OPT_LIST:
		return list_add(o, member, v, e);
	case OPT_SIZE:
		if (opt_size_get(v, member) < 0)
			return err_set(e, -EINVAL, "--%s %s: not a size (examples: 512M, 2G)",
				       o->name, v);
		return 0;
	case OPT_UINT:
		return uint_set(o, member, v, e);
	case OPT_INT:
		return int_set(o, member, v, e);
	case OPT_U32:
		if (opt_u32_get(v, member) < 0)
			return err_set(e, -EINVAL, "--%s %s: not a number (examples: 1, 0x10001)",
				       o->name, v);
		return 0;
	case OPT_ENUM:
		return enum_set(o, member, v, e);
	case OPT_BOOL:
		*(bool *)member = true;
		return 0;
	case OPT_END:
		break;
	}
	return err_set(e, -EINVAL, "--%s: no such kind of option", o->name);
}

static const struct opt *opt_find(const struct opt_cmd *cmd, const char *name, size_t len)
{
	for (const struct opt *o = cmd->opts; o->kind != OPT_END; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

/* argv[*i] is "--something"; moves *i over a value that stands apart. */
static int option_take(const struct opt_cmd *cmd, void *cfg, int argc, char *const *argv, int *i,
		       struct err *e)
{
	const char *name = argv[*i] + 2;
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct opt *o = opt_find(cmd, name, len);

	if (!o)
		return err_set(e, -EINVAL, "--%.*s: no such option", (int)len, name);
	if (o->kind == OPT_BOOL && value)
		return err_set(e, -EINVAL, "--%s takes no value", o->name);
	if (o->kind != OPT_BOOL && !value) {
		if (*i + 1 >= argc)
			return err_set(e, -EINVAL, "--%s needs a value: %s", o->name, o->arg);
		value = argv[++*i];
	}
	return value_set(o, cfg, value, e);
}

static int arg_take(struct opt_args *rest, const char *arg, struct err *e)
{
	if (rest->n == OPT_ARGS_MAX)
		return err_set(e, -EINVAL, "too many arguments");
	rest->v[rest->n++] = arg;
	return 0;
}

static int all_take(const struct opt_cmd *cmd, void *cfg, int argc, char *const *argv,
		    struct opt_args *rest, struct err *e)
{
	bool plain = false;
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++) {
		if (plain || argv[i][0] != '-' || argv[i][1] == '\0')
			r = arg_take(rest, argv[i], e);
		else if (strcmp(argv[i], "--") == 0)
			plain = true;
		else if (strcmp(argv[i], "--help") == 0)
			return OPT_HELP;
		else if (strcmp(argv[i], "--list-options") == 0)
			return OPT_NAMES;
		else if (argv[i][1] != '-')
			r = err_set(e, -EINVAL, "%s: options are long, like --help", argv[i]);
		else
			r = option_take(cmd, cfg, argc, argv, &i, e);
	}
	return r;
}

int opt_parse(const struct opt_cmd *cmd, void *cfg, int argc, char *const *argv,
	      struct opt_args *rest, struct err *e)
{
	int r;

	rest->n = 0;
	r = all_take(cmd, cfg, argc, argv, rest, e);
	if (r == 0 && rest->n < cmd->min_args)
		r = err_set(e, -EINVAL, "arguments missing: %s", cmd->args);
	if (r == 0 && rest->n > cmd->max_args)
		r = err_set(e, -EINVAL, "one argument too many: %s", rest->v[cmd->max_args]);
	return r < 0 ? err_wrap(e, r, "%s", cmd->name) : r;
}

static void help_line(FILE *to, const char *name, const char *arg, const char *help)
{
	int n = fprintf(to, "  --%s%s%s", name, arg ? " " : "", arg ? arg : "");

	if (n >= HELP_COLUMN - 1) {
		fputc('\n', to);
		n = 0;
	}
	fprintf(to, "%*s%s\n", HELP_COLUMN - n, "", help);
}

void opt_help_print(const struct opt_cmd *cmd, FILE *to)
{
	fprintf(to, "Usage: %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", cmd->name, *cmd->args ? " " : "",
		cmd->args, cmd->help);
	for (const struct opt *o = cmd->opts; o->kind != OPT_END; o++)
		help_line(to, o->name, o->arg, o->help);
	help_line(to, "help", NULL, "show this and end");
}

void opt_names_print(const struct opt_cmd *cmd, FILE *to)
{
	for (const struct opt *o = cmd->opts; o->kind != OPT_END; o++)
		fprintf(to, "--%s\n", o->name);
	fputs("--help\n", to);
}
