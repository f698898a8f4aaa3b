/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/owner.h"
#include "owner/report.h"
#include "owner/text.h"

struct report_cfg {
	struct cli_common common;
	struct cli_owner_chain chain;
	const char *pek, *digest, *mnonce;
};

static const struct opt report_opts[] = {
	CLI_COMMON_OPTS(struct report_cfg),
	CLI_OWNER_CHAIN_OPTS(struct report_cfg),
	opt_str(struct report_cfg, pek, "pek", "FILE",
		"a PEK certificate to trust as it is, instead of --chain and a root"),
	opt_str(struct report_cfg, digest, "digest", "FILE|HEX", "the launch digest to expect"),
	opt_str(struct report_cfg, mnonce, "mnonce", "HEX",
		"the 16 bytes sent along when the report was asked for"),
	opt_end,
};

static const struct opt_cmd report_cmd = {
	.name = "sevmig owner report",
	.args = "FILE",
	.help = "Verify an attestation report and show what it says.",
	.opts = report_opts,
	.min_args = 1,
	.max_args = 1,
};

static int signature_check(const struct report_cfg *cfg, const struct owner_report *r,
			   struct cli_owner_platform *p, struct err *e)
{
	const struct opt_list only = { { cfg->pek }, 1 };
	const uint8_t *raw;
	struct sevcert pek;
	size_t len = 0;
	struct rd in;
	int ret = cfg->pek ? cli_owner_set_read(&only, &p->set, e)
			   : cli_owner_platform_get(&cfg->chain, p, e);

	if (ret < 0)
		return ret;
	raw = owner_set_find(&p->set, SEVCERT_PEK, &len);
	if (!raw)
		return err_set(e, -ENOENT, "%s: no PEK in it", cfg->pek);
	in = rd_of(raw, len);
	ret = sevcert_get(&in, &pek, e);
	return ret < 0 ? ret : owner_report_verify(r, &pek, e);
}

static int content_check(const struct report_cfg *cfg, const struct owner_report *r, struct err *e)
{
	uint8_t digest[PSP_DIGEST_LEN], mnonce[PSP_NONCE_LEN];
	int ret = 0;

	if (cfg->digest)
		ret = cli_owner_digest_get(cfg->digest, digest, e);
	if (ret == 0 && cfg->digest && !crypto_equal(digest, r->digest, sizeof(digest)))
		return err_set(e, -EKEYREJECTED, "report is of another launch digest");
	if (ret == 0 && cfg->mnonce)
		ret = owner_hex_get(cfg->mnonce, mnonce, sizeof(mnonce), e);
	if (ret == 0 && cfg->mnonce && !crypto_equal(mnonce, r->mnonce, sizeof(mnonce)))
		return err_set(e, -EKEYREJECTED, "report answers another mnonce");
	return ret;
}

static void report_show(const struct report_cfg *cfg, const struct owner_report *r,
			const struct cli_owner_platform *p)
{
	char mnonce[2 * PSP_NONCE_LEN + 1], digest[2 * PSP_DIGEST_LEN + 1], policy[128];
	json_t *j;

	owner_hex_put(r->mnonce, PSP_NONCE_LEN, mnonce);
	owner_hex_put(r->digest, PSP_DIGEST_LEN, digest);
	cli_policy_print(r->policy, policy, sizeof(policy));
	if (!cfg->common.json) {
		if (!cfg->pek)
			cli_owner_platform_print(p);
		printf("signature    holds\nmnonce       %s\ndigest       %s\npolicy       %s\n",
		       mnonce, digest, policy);
		return;
	}
	j = json_pack("{s:s, s:s, s:I}", "mnonce", mnonce, "digest", digest, "policy",
		      (json_int_t)r->policy);
	if (!cfg->pek)
		cli_owner_platform_json(p, j);
	cli_json_print(j);
}

/* NULL, or what is wrong with the options. */
static const char *cfg_usage(const struct report_cfg *cfg)
{
	const struct cli_owner_chain *c = &cfg->chain;

	if (!cfg->pek)
		return cli_owner_chain_usage(c);
	return c->files.n || c->root || c->print
		       ? "--pek stands for itself, without a chain or root"
		       : NULL;
}

int cli_owner_report_main(int argc, char **argv)
{
	static struct cli_owner_platform platform;
	struct report_cfg cfg = { 0 };
	uint8_t raw[PSP_REPORT_LEN];
	struct owner_report report;
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&report_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (cfg_usage(&cfg))
		return cli_usage(&report_cmd, "%s", cfg_usage(&cfg));
	r = cli_owner_bytes_get(args.v[0], raw, sizeof(raw), &e);
	if (r == 0)
		r = owner_report_get(raw, sizeof(raw), &report, &e);
	if (r == 0)
		r = signature_check(&cfg, &report, &platform, &e);
	if (r == 0)
		r = content_check(&cfg, &report, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	report_show(&cfg, &report, &platform);
	return CLI_OK;
}
