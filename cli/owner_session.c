/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/owner.h"
#include "owner/session.h"

struct session_cfg {
	struct cli_common common;
	struct cli_owner_chain chain;
	const char *policy, *min_api, *out;
	uint32_t policy_bits;
	bool base64;
};

static const struct opt session_opts[] = {
	CLI_COMMON_OPTS(struct session_cfg),
	CLI_OWNER_CHAIN_OPTS(struct session_cfg),
	opt_str(struct session_cfg, policy, "policy", "POLICY",
		"number, or names from nodbg,noks,es,nosend,domain,sev"),
	opt_str(struct session_cfg, min_api, "min-api", "M.m",
		"least firmware version the guest may run on or go to"),
	opt_str(struct session_cfg, out, "out", "PREFIX",
		"what the files' names begin with; default vm"),
	opt_str(struct session_cfg, out, "name", "PREFIX", "the same, as sevctl calls it"),
	opt_bool(struct session_cfg, base64, "base64",
		 "also as base64 text, which QEMU's sev-guest object reads"),
	opt_end,
};

static const struct opt_cmd session_cmd = {
	.name = "sevmig owner session",
	.args = "",
	.help = "Make a launch session for one platform whose certificates hold, and its keys.",
	.opts = session_opts,
};

static int files_write(const struct session_cfg *cfg, const struct owner_session *s, json_t *names,
		       struct err *e)
{
	const char *out = cfg->out;
	int r = cli_owner_file_write(out, "_tik.bin", s->keys.tik.b, s->keys.tik.len, 0600, names,
				     e);

	if (r == 0)
		r = cli_owner_file_write(out, "_tek.bin", s->keys.tek.b, s->keys.tek.len, 0600,
					 names, e);
	if (r == 0)
		r = cli_owner_file_write(out, "_godh.cert", s->godh, sizeof(s->godh), 0644, names,
					 e);
	if (r == 0)
		r = cli_owner_file_write(out, "_launch_blob.bin", s->blob, sizeof(s->blob), 0644,
					 names, e);
	if (r == 0 && cfg->base64)
		r = cli_owner_text_write(out, "_godh.b64", s->godh, sizeof(s->godh), names, e);
	if (r == 0 && cfg->base64)
		r = cli_owner_text_write(out, "_session.b64", s->blob, sizeof(s->blob), names, e);
	return r;
}

static void session_print(const struct session_cfg *cfg, const struct cli_owner_platform *p,
			  json_t *names)
{
	json_t *j;

	if (!cfg->common.json) {
		char policy[128];

		cli_policy_print(cfg->policy_bits, policy, sizeof(policy));
		cli_owner_platform_print(p);
		printf("policy       %s\n", policy);
		cli_owner_names_print(names);
		json_decref(names);
		return;
	}
	j = json_pack("{s:I, s:o}", "policy", (json_int_t)cfg->policy_bits, "files", names);
	cli_owner_platform_json(p, j);
	cli_json_print(j);
}

int cli_owner_session_main(int argc, char **argv)
{
	auto_owner_session struct owner_session s = { 0 };
	struct session_cfg cfg = { .out = "vm" };
	auto_of(json) json_t *names = json_array();
	struct cli_owner_platform platform;
	struct opt_args args;
	struct err e = { 0 };
	const char *wrong;
	int code, r;

	if (!cli_parse(&session_cmd, &cfg, argc, argv, &args, &code))
		return code;
	wrong = cfg.policy ? cli_owner_chain_usage(&cfg.chain) : "--policy must be given";
	if (wrong)
		return cli_usage(&session_cmd, "%s", wrong);
	if (cli_policy_get(cfg.policy, cfg.min_api, &cfg.policy_bits, &e) < 0)
		return cli_usage(&session_cmd, "%s", e.msg);
	r = cli_owner_platform_get(&cfg.chain, &platform, &e);
	if (r == 0)
		r = owner_session_make(platform.certs.pdh, cfg.policy_bits, &s, &e);
	if (r == 0)
		r = files_write(&cfg, &s, names, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	session_print(&cfg, &platform, steal_ptr(&names));
	return CLI_OK;
}
