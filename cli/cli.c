/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "base/log.h"

bool cli_parse(const struct opt_cmd *cmd, void *cfg, int argc, char **argv, struct opt_args *args,
	       int *code)
{
	const struct cli_common *common = cfg;
	struct err e = { 0 };

	switch (opt_parse(cmd, cfg, argc, argv, args, &e)) {
	case OPT_GO:
		log_debug_enable(common->debug);
		return true;
	case OPT_HELP:
		opt_help_print(cmd, stdout);
		*code = CLI_OK;
		return false;
	case OPT_NAMES:
		opt_names_print(cmd, stdout);
		*code = CLI_OK;
		return false;
	default:
		fprintf(stderr, "%s\n%s --help lists the options\n", e.msg, cmd->name);
		*code = CLI_USAGE;
		return false;
	}
}

int cli_usage(const struct opt_cmd *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", cmd->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n%s --help lists the options\n", cmd->name);
	return CLI_USAGE;
}

int cli_fail(const struct cli_common *common, const struct err *e, int code)
{
	fprintf(stderr, "sevmig: %s\n", e->msg);
	if (common->json)
		cli_json_print(json_pack("{s:s}", "error", e->msg));
	return code;
}

void cli_json_print(json_t *j)
{
	if (!j || json_dumpf(j, stdout, JSON_INDENT(2)) < 0)
		fputs("{\"error\": \"the answer cannot be written as JSON\"}", stdout);
	fputc('\n', stdout);
	fflush(stdout);
	json_decref(j);
}

int cli_end_fd(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? err_set(e, -errno, "signalfd: %m") : fd;
}
