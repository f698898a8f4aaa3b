/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "cli/cli.h"
#include "owner/peer.h"

struct platform_cfg {
	struct cli_common common;
	const char *ca, *oca, *api, *out, *platform, *amd_chain;
	unsigned root_bits;
};

int cli_platform_open(const char *which, const char *amd_chain, struct sev_platform **out,
		      struct err *e)
{
	if (strncmp(which, "soft:", 5) == 0 && which[5])
		return sev_soft_open(which + 5, out, e);
	if (strcmp(which, "kernel") == 0)
		return sev_kernel_open(amd_chain, out, e);
	return err_set(e, -EINVAL, "platform: %s: neither soft:DIR nor kernel", which);
}

static int certs_get(struct sev_platform *p, struct sev_peer_certs *certs, char *id, struct err *e)
{
	struct owner_certs seen = { certs->pdh, certs->plat, certs->amd, 0 };
	int r = sev_certs_export(p, certs, e);

	seen.amd_len = certs->amd_len;
	return r < 0 ? r : owner_platform_id(&seen, id, e);
}

int cli_platform_id(struct sev_platform *p, char *out, struct err *e)
{
	struct sev_peer_certs certs;

	return certs_get(p, &certs, out, e);
}

/* --- init ----------------------------------------------------------------------------------- */

static const struct opt init_opts[] = {
	CLI_COMMON_OPTS(struct platform_cfg),
	opt_str(struct platform_cfg, ca, "ca", "DIR",
		"platform whose root signs this one too; default: a root of its own"),
	opt_str(struct platform_cfg, oca, "oca", "DIR",
		"platform whose owner (OCA) owns this one too; default: an own one"),
	opt_str(struct platform_cfg, api, "api", "M.m.b",
		"firmware version to play, major.minor.build"),
	opt_uint(struct platform_cfg, root_bits, "root-bits", "BITS",
		 "size of its own root's keys: 4096 (default) or 2048, as Naples has"),
	opt_end,
};

static const struct opt_cmd init_cmd = {
	.name = "sevmig platform init",
	.args = "DIR",
	.help = "Make a software SEV platform: keys and certificates in a new directory DIR.",
	.opts = init_opts,
	.min_args = 1,
	.max_args = 1,
};

static bool api_get(const char *text, struct sev_soft_init *opt)
{
	char end;

	return !text || (sscanf(text, "%3u.%3u.%3u%c", &opt->api_major, &opt->api_minor,
				&opt->build, &end) == 3 &&
			 opt->api_major < 256 && opt->api_minor < 256 && opt->build < 256);
}

/* "soft:DIR", which the caller frees. */
static char *soft_name(const char *dir)
{
	char *name = NULL;

	return asprintf(&name, "soft:%s", dir) < 0 ? NULL : name;
}

static int init_do(const char *dir, const struct sev_soft_init *opt, char *id, struct err *e)
{
	auto_of(sev_platform) struct sev_platform *p = NULL;
	int r = sev_soft_init(dir, opt, e);

	if (r == 0)
		r = sev_soft_open(dir, &p, e);
	return r < 0 ? r : cli_platform_id(p, id, e);
}

int cli_platform_init_main(int argc, char **argv)
{
	struct platform_cfg cfg = { 0 };
	struct sev_soft_init opt = { 0 };
	char id[OWNER_PLATFORM_ID_LEN];
	struct opt_args args;
	struct err e = { 0 };
	int code;

	if (!cli_parse(&init_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (!api_get(cfg.api, &opt))
		return cli_usage(&init_cmd, "--api %s: not a version (example: 1.55.21)", cfg.api);
	if (cfg.root_bits && cfg.root_bits != 2048 && cfg.root_bits != 4096)
		return cli_usage(&init_cmd, "--root-bits %u: 2048 or 4096", cfg.root_bits);
	if (cfg.root_bits && cfg.ca)
		return cli_usage(&init_cmd, "--root-bits: with --ca there is no root of its own");
	opt.root_bits = cfg.root_bits;
	opt.ca_dir = cfg.ca;
	opt.oca_dir = cfg.oca;
	if (init_do(args.v[0], &opt, id, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (cfg.common.json)
		cli_json_print(json_pack("{s:s, s:s}", "directory", args.v[0], "platform-id", id));
	else
		printf("platform %s\nin %s\n", id, args.v[0]);
	return CLI_OK;
}

/* --- status --------------------------------------------------------------------------------- */

static const struct opt status_opts[] = {
	CLI_COMMON_OPTS(struct platform_cfg),
	opt_str(struct platform_cfg, platform, "platform", "WHICH",
		"soft:DIR or kernel, instead of DIR"),
	opt_str(struct platform_cfg, amd_chain, "amd-chain", "FILE",
		"AMD's ASK and ARK certificates of this machine, for kernel"),
	opt_end,
};

static const struct opt_cmd status_cmd = {
	.name = "sevmig platform status",
	.args = "[DIR]",
	.help = "Show a platform's firmware version, state, owner, guests and id.",
	.opts = status_opts,
	.max_args = 1,
};

/* Exactly one of DIR and --platform must be given. */
static bool which_given(const struct platform_cfg *cfg, const struct opt_args *args)
{
	return !args->n != !cfg->platform;
}

#define WHICH_USAGE "name one platform, by DIR or by --platform"

static int which_open(const struct platform_cfg *cfg, const struct opt_args *args,
		      struct sev_platform **out, struct err *e)
{
	auto_mem char *soft = args->n ? soft_name(args->v[0]) : NULL;

	if (!cfg->platform && !soft)
		return err_set(e, -ENOMEM, "no memory");
	return cli_platform_open(soft ? soft : cfg->platform, cfg->amd_chain, out, e);
}

static void status_print(const struct cli_common *common, const struct sev_user_data_status *st,
			 const char *id)
{
	static const char *const states[] = { "uninitialised", "initialised", "working" };
	const char *state = st->state < 3 ? states[st->state] : "unknown";
	/* SEV API, PLATFORM_STATUS: bit 0 of the flags is the owner, bit 8 SEV-ES's INIT. */
	const char *owner = st->flags & 1 ? "external" : "self";
	char version[32];

	snprintf(version, sizeof(version), "%u.%u.%u", st->api_major, st->api_minor, st->build);
	if (common->json) {
		cli_json_print(json_pack(
			"{s:s, s:s, s:s, s:i, s:b, s:s}", "version", version, "state", state,
			"owner", owner, "guests", (int)st->guest_count, "es",
			(st->flags & SEV_STATUS_FLAGS_CONFIG_ES) != 0, "platform-id", id));
		return;
	}
	printf("version  %s\nstate    %s\nowner    %s\nguests   %u\nid       %s\n", version, state,
	       owner, st->guest_count, id);
}

int cli_platform_status_main(int argc, char **argv)
{
	auto_of(sev_platform) struct sev_platform *p = NULL;
	struct sev_user_data_status st = { 0 };
	struct platform_cfg cfg = { 0 };
	char id[OWNER_PLATFORM_ID_LEN];
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&status_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (!which_given(&cfg, &args))
		return cli_usage(&status_cmd, WHICH_USAGE);
	r = which_open(&cfg, &args, &p, &e);
	if (r == 0)
		r = sev_platform_status(p, &st, &e);
	if (r == 0)
		r = cli_platform_id(p, id, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	status_print(&cfg.common, &st, id);
	return CLI_OK;
}

/* --- export --------------------------------------------------------------------------------- */

static const struct opt export_opts[] = {
	CLI_COMMON_OPTS(struct platform_cfg),
	opt_str(struct platform_cfg, platform, "platform", "WHICH",
		"soft:DIR or kernel, instead of DIR"),
	opt_str(struct platform_cfg, amd_chain, "amd-chain", "FILE",
		"AMD's ASK and ARK certificates of this machine, for kernel"),
	opt_str(struct platform_cfg, out, "out", "DIR", "where the files go; default: here"),
	opt_end,
};

static const struct opt_cmd export_cmd = {
	.name = "sevmig platform export",
	.args = "[DIR]",
	.help = "Write a platform's certificates to files, in AMD's own formats.",
	.opts = export_opts,
	.max_args = 1,
};

struct cert_file {
	const char *name;
	const uint8_t *p;
	size_t len;
};

#define CERT_FILES 9
/* PDH, PEK, OCA, CEK lie side by side, as sevctl joins them. */
#define SEV_CHAIN_LEN (SEV_CERT_LEN + SEV_PLAT_CHAIN_LEN)
_Static_assert(offsetof(struct sev_peer_certs, plat) == SEV_CERT_LEN, "PDH, then the chain");

static void files_list(const struct sev_peer_certs *c, struct cert_file out[CERT_FILES])
{
	size_t half = c->amd_len / 2;
	const struct cert_file files[CERT_FILES] = {
		{ "pdh.cert", c->pdh, SEV_CERT_LEN },
		{ "pek.cert", c->plat, SEV_CERT_LEN },
		{ "oca.cert", c->plat + SEV_CERT_LEN, SEV_CERT_LEN },
		{ "cek.cert", c->plat + 2 * SEV_CERT_LEN, SEV_CERT_LEN },
		{ "ask.cert", c->amd, half },
		{ "ark.cert", c->amd + half, half },
		{ "cert_chain", c->plat, SEV_PLAT_CHAIN_LEN },
		{ "ask_ark", c->amd, c->amd_len },
		{ "sev_chain", (const uint8_t *)c, SEV_CHAIN_LEN },
	};

	memcpy(out, files, sizeof(files));
}

static int files_write(const char *dir, const struct sev_peer_certs *c, struct err *e)
{
	struct cert_file files[CERT_FILES];
	int r = 0;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %m", dir);
	files_list(c, files);
	for (unsigned i = 0; i < CERT_FILES && r == 0; i++) {
		auto_mem char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, files[i].name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = fd_file_replace(path, files[i].p, files[i].len, 0644, e);
	}
	return r;
}

static void export_print(const struct cli_common *common, const char *dir, const char *id)
{
	struct sev_peer_certs none = { 0 };
	struct cert_file files[CERT_FILES];
	json_t *names = json_array();

	files_list(&none, files);
	for (unsigned i = 0; i < CERT_FILES; i++)
		json_array_append_new(names, json_string(files[i].name));
	if (common->json) {
		cli_json_print(json_pack("{s:s, s:s, s:o}", "platform-id", id, "directory", dir,
					 "files", names));
		return;
	}
	json_decref(names);
	printf("platform %s\n", id);
	for (unsigned i = 0; i < CERT_FILES; i++)
		printf("%s/%s\n", dir, files[i].name);
}

int cli_platform_export_main(int argc, char **argv)
{
	auto_of(sev_platform) struct sev_platform *p = NULL;
	struct platform_cfg cfg = { .out = "." };
	char id[OWNER_PLATFORM_ID_LEN];
	struct sev_peer_certs certs;
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&export_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (!which_given(&cfg, &args))
		return cli_usage(&export_cmd, WHICH_USAGE);
	r = which_open(&cfg, &args, &p, &e);
	if (r == 0)
		r = certs_get(p, &certs, id, &e);
	if (r == 0)
		r = files_write(cfg.out, &certs, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	export_print(&cfg.common, cfg.out, id);
	return CLI_OK;
}
