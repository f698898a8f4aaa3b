/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request of the control socket: {"execute": NAME, "arguments": {...}, "id": ANY}, one line of
 * JSON, as QMP has it. What comes in is hostile; this decoder is pure: bytes in, struct out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

#define CONTROL_LINE_MAX (1u << 20) /* bytes of one request */
#define CONTROL_TEXT_MAX 4096u      /* bytes of one string argument */

enum control_cmd {
	CONTROL_CAPABILITIES,
	CONTROL_QUERY_VERSION,
	CONTROL_QUERY_COMMANDS,
	CONTROL_QUERY_NAME,
	CONTROL_QUERY_STATUS,
	CONTROL_QUERY_MIGRATE,
	CONTROL_QUERY_SEV,
	CONTROL_QUERY_MEASURE,
	CONTROL_MIGRATE,
	CONTROL_MIGRATE_CANCEL,
	CONTROL_MIGRATE_PARAMETERS,
	CONTROL_STOP,
	CONTROL_CONT,
	CONTROL_QUIT,
	CONTROL_ADOPT,
	CONTROL_INJECT_SECRET,
	CONTROL_QUERY_SHARED,
	CONTROL_DEBUG_DIGEST,
	CONTROL_DEBUG_DUMP_SHARED,
	CONTROL_CONSOLE_WRITE,
	CONTROL_CMD_N,
};

struct control_num {
	bool given;
	uint64_t v;
};

/* The arguments of all commands; those a command does not take are NULL, false, not given. The
 * strings belong to the request. */
struct control_args {
	const char *uri, *root, *allow, *tls_dir, *tls_peer, *path, *data, *force, *way,
		*packet_header, *secret;
	struct control_num max_downtime, max_passes, max_bandwidth, downtime_limit, commit_wait,
		gpa;
	bool dry_run;
};

struct control_request {
	enum control_cmd cmd;
	struct control_args args;
	json_t *id;   /* borrowed from tree; NULL: none */
	json_t *tree; /* owned */
};

/* -EINVAL, or -ENOSYS for a command that does not exist. Also when it fails out->id is set if the
 * request had one, for the answer; call control_request_fini() in any case. */
int must_check control_request_get(const char *line, size_t len, struct control_request *out,
				   struct err *e);
void control_request_fini(struct control_request *r);
const char *control_cmd_name(enum control_cmd cmd);
