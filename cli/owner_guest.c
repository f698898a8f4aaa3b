/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/broker.h"
#include "cli/owner.h"
#include "owner/root.h"

struct guest_cfg {
	struct cli_common common;
	const char *state, *name, *policy, *min_api;
	struct opt_list digests, roots, prints, platforms;
	bool zero_visible;
	uint32_t policy_bits;
};

static const struct opt guest_opts[] = {
	CLI_COMMON_OPTS(struct guest_cfg),
	opt_str(struct guest_cfg, state, "state", "DIR", "the broker's folder; made if missing"),
	opt_str(struct guest_cfg, name, "name", "NAME", "what hosts call this guest"),
	opt_str(struct guest_cfg, policy, "policy", "POLICY",
		"number, or names from nodbg,noks,es,nosend,domain,sev"),
	opt_str(struct guest_cfg, min_api, "min-api", "M.m", "the policy's least version"),
	opt_list(struct guest_cfg, digests, "digest", "FILE|HEX",
		 "launch digest of this guest, as owner verify prints it; may be repeated"),
	opt_list(struct guest_cfg, roots, "root", "FILE",
		 "ARK certificate of platforms it may be on; may be repeated"),
	opt_list(struct guest_cfg, prints, "root-fingerprint", "HEX",
		 "SHA-256 of such a certificate instead; may be repeated"),
	opt_list(struct guest_cfg, platforms, "platform-id", "HEX",
		 "a platform it may be on; may be repeated; default all under the roots"),
	opt_bool(struct guest_cfg, zero_visible, "zero-pages-visible",
		 "a migration may show hosts which pages are all zeros, and be faster"),
	opt_end,
};

static const struct opt_cmd guest_cmd = {
	.name = "sevmig owner guest",
	.args = "",
	.help = "Tell the broker what a guest of the owner's is and where it may be.",
	.opts = guest_opts,
};

static int hashes_get(const struct opt_list *from, uint8_t v[][BROKER_DIGEST_LEN], size_t cap,
		      size_t *n, const char *what, struct err *e)
{
	for (size_t i = 0; i < from->n; i++) {
		int r = *n < cap ? cli_owner_digest_get(from->v[i], v[*n], e)
				 : err_set(e, -E2BIG, "more than %zu", cap);

		if (r < 0)
			return err_wrap(e, r, "%s", what);
		(*n)++;
	}
	return 0;
}

static int roots_get(const struct opt_list *files, struct broker_guest *g, struct err *e)
{
	for (size_t i = 0; i < files->n; i++) {
		const struct opt_list one = { { files->v[i] }, 1 };
		static struct owner_set set;
		const uint8_t *ark;
		size_t len = 0;
		int r;

		memset(&set, 0, sizeof(set));
		r = cli_owner_set_read(&one, &set, e);
		if (r < 0)
			return r;
		ark = owner_set_find(&set, SEVCERT_ARK, &len);
		if (!ark)
			return err_set(e, -EINVAL, "root %s: no ARK certificate", files->v[i]);
		if (g->nroot == BROKER_ROOTS_MAX)
			return err_set(e, -E2BIG, "more than %u roots", BROKER_ROOTS_MAX);
		r = crypto_sha256(ark, len, g->root[g->nroot++], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int guest_put(const struct guest_cfg *cfg, struct err *e)
{
	static struct broker_guest g;
	struct broker *b = NULL;
	int r;

	snprintf(g.name, sizeof(g.name), "%s", cfg->name);
	g.policy = cfg->policy_bits;
	g.zero_visible = cfg->zero_visible;
	r = hashes_get(&cfg->digests, g.digest, BROKER_DIGESTS_MAX, &g.ndigest, "digest", e);
	if (r == 0)
		r = roots_get(&cfg->roots, &g, e);
	if (r == 0)
		r = hashes_get(&cfg->prints, g.root, BROKER_ROOTS_MAX, &g.nroot, "root fingerprint",
			       e);
	if (r == 0)
		r = hashes_get(&cfg->platforms, g.platform, BROKER_PLATFORMS_MAX, &g.nplatform,
			       "platform id", e);
	if (r == 0)
		r = broker_open(cfg->state, NULL, &b, e);
	if (r == 0)
		r = broker_guest_put(b, &g, e);
	broker_free(b);
	return r;
}

static const char *cfg_usage(const struct guest_cfg *cfg)
{
	if (!cfg->state || !cfg->name || !cfg->policy)
		return "--state, --name and --policy must be given";
	if (!broker_name_valid(cfg->name))
		return "--name: letters, digits, '-', '_' and '.', 63 at most";
	if (!cfg->digests.n)
		return "--digest must be given: it is what makes a launch this guest's";
	if (!cfg->roots.n && !cfg->prints.n)
		return "say whom to trust, by --root or by --root-fingerprint";
	return NULL;
}

int cli_owner_guest_main(int argc, char **argv)
{
	struct guest_cfg cfg = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	const char *wrong;
	int code;

	if (!cli_parse(&guest_cmd, &cfg, argc, argv, &args, &code))
		return code;
	wrong = cfg_usage(&cfg);
	if (wrong)
		return cli_usage(&guest_cmd, "%s", wrong);
	if (cli_policy_get(cfg.policy, cfg.min_api, &cfg.policy_bits, &e) < 0)
		return cli_usage(&guest_cmd, "%s", e.msg);
	if (guest_put(&cfg, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (cfg.common.json)
		cli_json_print(json_pack("{s:s}", "guest", cfg.name));
	return CLI_OK;
}
