/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the subcommands share. Only this folder prints, picks backends and ends the program. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/opt.h"
#include "control/client.h"
#include "sev/sev.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_STAYED = 3,  /* the migration failed, the guest stayed where it was */
	CLI_UNKNOWN = 4, /* it cannot be known from here where the guest is */
	CLI_RESET = 5,   /* an SEV-ES guest asked for a reset, which it cannot have */
};

/* First member of every command's config. */
struct cli_common {
	bool json;
	const char *debug;
};

#define CLI_COMMON_OPTS(cfg)                                                                       \
	opt_bool(cfg, common.json, "json", "print one JSON document on stdout"),                   \
		opt_str(cfg, common.debug, "debug", "COMPONENTS",                                  \
			"log debug messages of these, comma-separated, or of all")

DEFINE_AUTO(json, json_t *, json_decref)
DEFINE_AUTO(control_client, struct control_client *, control_client_free)
DEFINE_AUTO(sev_platform, struct sev_platform *, sev_platform_free)

/* Parse; false: the command is over with *code (help was shown, or usage was wrong). cfg begins
 * with a struct cli_common. */
bool cli_parse(const struct opt_cmd *cmd, void *cfg, int argc, char **argv, struct opt_args *args,
	       int *code);
/* Say why on stderr, and on stdout as {"error": ...} with --json; returns code. */
int cli_fail(const struct cli_common *common, const struct err *e, int code);
/* Print and release. */
void cli_json_print(json_t *j);
/* Wrong use found after parsing, in the form of the parser's own messages; returns CLI_USAGE. */
int cli_usage(const struct opt_cmd *cmd, const char *fmt, ...) printf_like(2, 3);

/* A descriptor, the caller's, that is readable once a signal asks for the end; from now on none
 * ends the program by itself. */
int must_check cli_end_fd(struct err *e);

/* runtime.c: where the control sockets are. */
int must_check cli_runtime_dir(char *out, size_t len, struct err *e);
/* A listening control socket of this name, and its path to unlink at the end. -EADDRINUSE when a
 * guest of this name is there already; a socket nobody answers is replaced. */
int must_check cli_runtime_listen(const char *name, int *fd, char *path, size_t len, struct err *e);
int must_check cli_runtime_connect(const char *name, struct control_client **out, struct err *e);
bool cli_name_valid(const char *name);
#define CLI_CALL_MS 10000

/* policy.c: "nodbg,noks" or "0x1"; min_api "1.55" or NULL. */
int must_check cli_policy_get(const char *text, const char *min_api, uint32_t *out, struct err *e);
void cli_policy_print(uint32_t policy, char *out, size_t len);

/* "soft:DIR" or "kernel". */
int must_check cli_platform_open(const char *which, const char *amd_chain,
				 struct sev_platform **out, struct err *e);
#define CLI_PLATFORM_ID_LEN 65
/* The id of a platform in allow lists: CLI_PLATFORM_ID_LEN bytes. */
int must_check cli_platform_id(struct sev_platform *p, char *out, struct err *e);

/* One a subcommand; each returns an enum cli_exit. */
int cli_adopt_main(int argc, char **argv);
int cli_cancel_main(int argc, char **argv);
int cli_demo_main(int argc, char **argv);
int cli_device_main(int argc, char **argv);
int cli_doctor_main(int argc, char **argv);
int cli_list_main(int argc, char **argv);
int cli_migrate_main(int argc, char **argv);
int cli_owner_broker_main(int argc, char **argv);
int cli_owner_guest_main(int argc, char **argv);
int cli_owner_report_main(int argc, char **argv);
int cli_owner_secret_main(int argc, char **argv);
int cli_owner_session_main(int argc, char **argv);
int cli_owner_split_main(int argc, char **argv);
int cli_owner_verify_main(int argc, char **argv);
int cli_pki_init_main(int argc, char **argv);
int cli_pki_issue_main(int argc, char **argv);
int cli_platform_export_main(int argc, char **argv);
int cli_platform_init_main(int argc, char **argv);
int cli_platform_status_main(int argc, char **argv);
int cli_qmp_main(int argc, char **argv);
int cli_run_main(int argc, char **argv);
int cli_shim_main(int argc, char **argv);
int cli_status_main(int argc, char **argv);
int cli_stop_main(int argc, char **argv);
