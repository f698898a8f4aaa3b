/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Command options as data. One table a subcommand gives parsing, --help, the list that shell
 * completion and the man page check read (--list-options):
 *
 *	struct send_cfg { const char *to; uint64_t max_bw; };
 *	static const struct opt send_opts[] = {
 *		opt_str(struct send_cfg, to, "to", "URI", "destination"),
 *		opt_size(struct send_cfg, max_bw, "max-bandwidth", "SIZE", "bytes per second"),
 *		opt_end,
 *	};
 *
 * A member of the wrong type does not compile. Options are long only, "--name=VALUE" or
 * "--name VALUE"; they may stand among the arguments, "--" ends them. Of a repeated option the
 * last wins, except for lists, which collect. Members of options not given are left as they are:
 * set defaults first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum opt_kind {
	OPT_END,
	OPT_STR,
	OPT_LIST,
	OPT_SIZE,
	OPT_UINT,
	OPT_INT,
	OPT_U32,
	OPT_BOOL,
	OPT_ENUM,
};

#define OPT_LIST_MAX 32

/* Values of a list option, in the order given; the strings are argv's. */
struct opt_list {
	const char *v[OPT_LIST_MAX];
	size_t n;
};

struct opt {
	enum opt_kind kind;
	const char *name; /* without dashes */
	const char *arg;  /* what the value is called in help; NULL for OPT_BOOL */
	const char *help;
	size_t offset;            /* of the member in the command's config struct */
	const char *const *names; /* OPT_ENUM: NULL-ended; the member becomes the index */
};

#define opt_offset_(cfg, member, type)                                                             \
	(offsetof(cfg, member) +                                                                   \
	 0 * sizeof(struct {                                                                       \
		 _Static_assert(                                                                   \
			 __builtin_types_compatible_p(__typeof__(((cfg *)0)->member), type),       \
			 "the member of this option is not a " #type);                             \
		 char c;                                                                           \
	 }))
#define opt_(kind, type, cfg, member, name, arg, help, names)                                      \
	{                                                                                          \
		kind, name, arg, help, opt_offset_(cfg, member, type), names                       \
	}

#define opt_str(cfg, member, name, arg, help)                                                      \
	opt_(OPT_STR, const char *, cfg, member, name, arg, help, NULL)
#define opt_list(cfg, member, name, arg, help)                                                     \
	opt_(OPT_LIST, struct opt_list, cfg, member, name, arg, help, NULL)
/* Bytes, with K, M, G or T for powers of 1024. */
#define opt_size(cfg, member, name, arg, help)                                                     \
	opt_(OPT_SIZE, uint64_t, cfg, member, name, arg, help, NULL)
#define opt_uint(cfg, member, name, arg, help)                                                     \
	opt_(OPT_UINT, unsigned, cfg, member, name, arg, help, NULL)
#define opt_int(cfg, member, name, arg, help) opt_(OPT_INT, int, cfg, member, name, arg, help, NULL)
/* A number that people write in hex as often as not: 3, 0x10001. */
#define opt_u32(cfg, member, name, arg, help)                                                      \
	opt_(OPT_U32, uint32_t, cfg, member, name, arg, help, NULL)
#define opt_bool(cfg, member, name, help) opt_(OPT_BOOL, bool, cfg, member, name, NULL, help, NULL)
#define opt_enum(cfg, member, name, arg, names, help)                                              \
	opt_(OPT_ENUM, unsigned, cfg, member, name, arg, help, names)
#define opt_end                                                                                    \
	{                                                                                          \
		OPT_END                                                                            \
	}

struct opt_cmd {
	const char *name; /* as typed: "sevmig run" */
	const char *args; /* the arguments that are not options: "NAME URI"; may be "" */
	const char *help; /* one sentence */
	const struct opt *opts;
	unsigned min_args, max_args;
};

#define OPT_ARGS_MAX 16

/* Arguments that are not options; the strings are argv's. */
struct opt_args {
	const char *v[OPT_ARGS_MAX];
	unsigned n;
};

enum opt_result { OPT_GO, OPT_HELP, OPT_NAMES };

/* argv[0] is skipped. Returns OPT_GO, or OPT_HELP or OPT_NAMES when --help or --list-options was
 * met (nothing after it was looked at), or -EINVAL with a message for the user that begins with
 * the command's name. */
int must_check opt_parse(const struct opt_cmd *cmd, void *cfg, int argc, char *const *argv,
			 struct opt_args *rest, struct err *e);
void opt_help_print(const struct opt_cmd *cmd, FILE *to);
/* "--name" a line, --help included. */
void opt_names_print(const struct opt_cmd *cmd, FILE *to);

/* The values by themselves; -EINVAL when text is not one, whole. */
int must_check opt_size_get(const char *text, uint64_t *out);
int must_check opt_u32_get(const char *text, uint32_t *out);
