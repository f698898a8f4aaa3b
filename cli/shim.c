/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/shim_cpuid.h"
#include "cli/shim_program.h"
#include "shim/env.h"

/* Where EPYC 7003 and later have it. */
#define CBIT_DEFAULT 51

struct shim_cfg {
	struct cli_common common;
	const char *state, *library;
	uint32_t cbit;
	bool host_cpuid, check;
};

static const struct opt shim_opts[] = {
	CLI_COMMON_OPTS(struct shim_cfg),
	opt_str(struct shim_cfg, state, "state", "DIR",
		"the platform; made if it is not there; default: one a user"),
	opt_u32(struct shim_cfg, cbit, "cbit", "N", "position of the C-bit, 32 to 62; default: 51"),
	opt_bool(struct shim_cfg, host_cpuid, "host-cpuid",
		 "leave the CPUID instruction alone, as on hosts where it cannot fault"),
	opt_str(struct shim_cfg, library, "library", "FILE", "the library to preload"),
	opt_bool(struct shim_cfg, check, "check", "say whether it would work, run nothing"),
	opt_end,
};

static const struct opt_cmd shim_cmd = {
	.name = "sevmig shim",
	.args = "-- COMMAND [ARGUMENT...]",
	.help = "Run an unmodified program that sees a machine with SEV: a /dev/sev, KVM's SEV "
		"calls, CPUID.",
	.opts = shim_opts,
	.max_args = OPT_ARGS_MAX, /* to say what is wrong with them */
};

/* --- the platform ---------------------------------------------------------------------------- */

static int default_state(char out[SHIM_PATH_LEN], struct err *e)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char dir[SHIM_PATH_LEN - 32];
	int n;

	if (state && state[0] == '/')
		n = snprintf(dir, sizeof(dir), "%s/sevmig", state);
	else if (home && home[0] == '/')
		n = snprintf(dir, sizeof(dir), "%s/.local/state/sevmig", home);
	else
		return err_set(e, -ENOENT, "HOME is not set: name a platform with --state");
	if (n < 0 || (size_t)n >= sizeof(dir))
		return err_set(e, -ENAMETOOLONG, "the home directory's name is too long");
	for (char *at = dir + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		mkdir(dir, 0755); /* what fails here makes the last one fail */
		*at = '/';
	}
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %m", dir);
	snprintf(out, SHIM_PATH_LEN, "%s/platform", dir);
	return 0;
}

static void spare_remove(const char *dir)
{
	static const char *const files[] = { "state", "ark.cert", "ask.cert" };
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (unsigned i = 0; fd >= 0 && i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(fd, files[i], 0);
	rmdir(dir);
}

/* Under another name first, so that of several who find nothing there one makes it and none sees
 * half of it. */
static int state_make(const char *dir, struct err *e)
{
	const struct sev_soft_init opt = { 0 };
	char made[SHIM_PATH_LEN + 16];
	int r;

	snprintf(made, sizeof(made), "%s.%d", dir, getpid());
	fprintf(stderr, "sevmig shim: making a platform in %s (some seconds, once)\n", dir);
	r = sev_soft_init(made, &opt, e);
	if (r < 0)
		return r;
	if (rename(made, dir) == 0)
		return 0;
	r = errno;
	spare_remove(made);
	return r == EEXIST || r == ENOTEMPTY ? 0
					     : err_set(e, -r, "%s: %s", dir, strerrordesc_np(r));
}

/* Its absolute path, after a look that it works. */
static int state_ready(const char *dir, char out[SHIM_PATH_LEN], struct err *e)
{
	auto_of(sev_platform) struct sev_platform *p = NULL;
	struct stat st;
	int r = stat(dir, &st) == 0 ? 0 : state_make(dir, e);

	if (r == 0)
		r = sev_soft_open(dir, &p, e);
	if (r < 0)
		return r;
	return realpath(dir, out) ? 0 : err_set(e, -errno, "%s: %m", dir);
}

/* --- the library ----------------------------------------------------------------------------- */

/* Beside the program in a build, or where it is installed. */
static int library_find(const char *given, char out[SHIM_PATH_LEN], struct err *e)
{
	static const char *const places[] = { "shim/" SHIM_LIBRARY, "../lib/sevmig/" SHIM_LIBRARY };
	char self[SHIM_PATH_LEN - 64] = "", path[SHIM_PATH_LEN];
	ssize_t n;

	if (given)
		return realpath(given, out) ? 0 : err_set(e, -errno, "%s: %m", given);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return err_set(e, -errno, "/proc/self/exe: %m");
	*(strrchr(self, '/') + 1) = '\0';
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", self, places[i]);
		if (realpath(path, out))
			return 0;
	}
	return err_set(e, -ENOENT, SHIM_LIBRARY ": not beside %s; name it with --library", self);
}

/* --- CPUID ----------------------------------------------------------------------------------- */

/* Which position the program will see, and by which means. */
static bool cpuid_choose(struct shim_cfg *cfg)
{
	struct shim_cpuid c = shim_cpuid_choose(shim_cpuid_faults(), cfg->host_cpuid, cfg->cbit,
						shim_cpuid_host_ebx());

	cfg->cbit = c.cbit;
	if (!c.fault)
		fprintf(stderr,
			"sevmig shim: %s: the program sees the host's CPUID.\nFor QEMU that means "
			"cbitpos=%u.\n",
			cfg->host_cpuid ? "as asked" : "this processor cannot make CPUID fault",
			c.cbit);
	return c.fault;
}

/* --- the command ----------------------------------------------------------------------------- */

struct shim_plan {
	char state[SHIM_PATH_LEN], library[SHIM_PATH_LEN], program[SHIM_PATH_LEN];
	bool cpuid_fault;
};

static int plan_make(struct shim_cfg *cfg, const char *command, struct shim_plan *plan,
		     struct err *e)
{
	char dir[SHIM_PATH_LEN];
	int r = shim_program_find(command, plan->program, e);

	if (r == 0)
		r = shim_program_check(plan->program, e);
	if (r == 0)
		r = library_find(cfg->library, plan->library, e);
	if (r == 0)
		r = shim_program_try(plan->program, plan->library, e);
	if (r == 0 && !cfg->state)
		r = default_state(dir, e);
	if (r == 0)
		r = state_ready(cfg->state ? cfg->state : dir, plan->state, e);
	return r;
}

static void environment_set(const struct shim_cfg *cfg, const struct shim_plan *plan)
{
	const char *before = getenv("LD_PRELOAD");
	char text[2 * SHIM_PATH_LEN];

	/* Behind what is there already: a sanitizer's library insists on being first. */
	snprintf(text, sizeof(text), "%s%s%s", before ? before : "", before ? ":" : "",
		 plan->library);
	setenv("LD_PRELOAD", text, 1);
	setenv(SHIM_ENV_STATE, plan->state, 1);
	snprintf(text, sizeof(text), "%u", cfg->cbit);
	setenv(SHIM_ENV_CBIT, text, 1);
	setenv(SHIM_ENV_CPUID, plan->cpuid_fault ? "fault" : "host", 1);
}

static int plan_tell(const struct shim_cfg *cfg, const struct shim_plan *plan)
{
	if (cfg->common.json)
		cli_json_print(json_pack("{s:s, s:s, s:s, s:i, s:s}", "state", plan->state,
					 "library", plan->library, "program", plan->program, "cbit",
					 (int)cfg->cbit, "cpuid",
					 plan->cpuid_fault ? "fault" : "host"));
	else
		printf("state    %s\nlibrary  %s\nprogram  %s\ncbit     %u\ncpuid    %s\n",
		       plan->state, plan->library, plan->program, cfg->cbit,
		       plan->cpuid_fault ? "answered" : "the host's own");
	return CLI_OK;
}

/* Where the command's own words begin: behind "--". */
static int command_find(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return i + 1;
	}
	return argc;
}

int cli_shim_main(int argc, char **argv)
{
	struct shim_cfg cfg = { .cbit = CBIT_DEFAULT };
	int at = command_find(argc, argv), code;
	struct shim_plan plan = { 0 };
	struct opt_args args;
	struct err e = { 0 };

	if (!cli_parse(&shim_cmd, &cfg, at < argc ? at - 1 : argc, argv, &args, &code))
		return code;
	if (at >= argc)
		return cli_usage(&shim_cmd, "no command; write -- before it");
	if (cfg.cbit < 32 || cfg.cbit > 62)
		return cli_usage(&shim_cmd, "--cbit %u: not from 32 to 62", cfg.cbit);
	if (plan_make(&cfg, argv[at], &plan, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	plan.cpuid_fault = cpuid_choose(&cfg);
	if (cfg.check)
		return plan_tell(&cfg, &plan);
	environment_set(&cfg, &plan);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[at], argv + at);
	err_set(&e, -errno, "%s: %m", argv[at]);
	return cli_fail(&cfg.common, &e, CLI_FAILED);
}
