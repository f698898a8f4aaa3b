/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/owner.h"
#include "owner/launch.h"
#include "owner/text.h"

#define NOT_GIVEN UINT_MAX

struct verify_cfg {
	struct cli_common common;
	struct cli_owner_chain chain;
	struct cli_owner_keys keys;
	struct cli_owner_expect expect;
	const char *measurement, *policy, *min_api, *api;
	unsigned build;
};

static const struct opt verify_opts[] = {
	CLI_COMMON_OPTS(struct verify_cfg),
	CLI_OWNER_CHAIN_OPTS(struct verify_cfg),
	opt_str(struct verify_cfg, measurement, "measurement", "FILE|BASE64",
		"what LAUNCH_MEASURE gave, 48 bytes"),
	CLI_OWNER_TIK_OPTS(struct verify_cfg),
	opt_str(struct verify_cfg, policy, "policy", "POLICY",
		"number, or names from nodbg,noks,es,nosend,domain,sev"),
	opt_str(struct verify_cfg, min_api, "min-api", "M.m", "the policy's least version"),
	opt_str(struct verify_cfg, api, "api", "M.m", "version of the platform's firmware"),
	opt_uint(struct verify_cfg, build, "build", "N", "build of the platform's firmware"),
	opt_str(struct verify_cfg, expect.digest, "digest", "FILE|HEX",
		"the launch digest to expect, SHA-256"),
	opt_str(struct verify_cfg, expect.firmware, "firmware", "FILE",
		"the digest of a QEMU guest with this firmware image, or of a --sevmig-guest"),
	opt_bool(struct verify_cfg, expect.kernel_hashes, "kernel-hashes",
		 "with QEMU's kernel-hashes=on: kernel, initrd and command line"),
	opt_str(struct verify_cfg, expect.kernel, "kernel", "FILE", "the kernel"),
	opt_str(struct verify_cfg, expect.initrd, "initrd", "FILE", "the initial RAM disk"),
	opt_str(struct verify_cfg, expect.append, "append", "STRING", "the kernel command line"),
	opt_uint(struct verify_cfg, expect.vcpus, "vcpus", "N", "virtual processors; default 1"),
	opt_str(struct verify_cfg, expect.cpu_type, "cpu-type", "NAME",
		"QEMU's CPU model, for SEV-ES: EPYC, EPYC-Rome, EPYC-Milan, EPYC-Genoa"),
	opt_u32(struct verify_cfg, expect.cpu_signature, "cpu-signature", "N",
		"CPUID 1 EAX of another CPU model, for SEV-ES"),
	opt_bool(struct verify_cfg, expect.init2, "init2",
		 "the guest was made by KVM_SEV_INIT2, for SEV-ES"),
	opt_bool(struct verify_cfg, expect.sevmig_guest, "sevmig-guest",
		 "the digest of a guest of sevmig run, from --kernel and the following"),
	opt_size(struct verify_cfg, expect.memory, "memory", "SIZE", "its memory; default 512M"),
	opt_uint(struct verify_cfg, expect.cbit, "cbit", "N", "its C-bit position"),
	opt_end,
};

static const struct opt_cmd verify_cmd = {
	.name = "sevmig owner verify",
	.args = "",
	.help = "Verify a platform's certificates, and that a guest was launched as it should be.",
	.opts = verify_opts,
};

static bool api_get(const char *text, struct session_measured *m)
{
	unsigned major, minor;
	char end;

	if (sscanf(text, "%3u.%3u%c", &major, &minor, &end) != 2 || major > 255 || minor > 255)
		return false;
	m->api_major = (uint8_t)major;
	m->api_minor = (uint8_t)minor;
	return true;
}

/* NULL, or what is wrong with the options. */
static const char *cfg_usage(const struct verify_cfg *cfg, struct session_measured *m)
{
	bool expect = cli_owner_expect_given(&cfg->expect);

	if ((cfg->chain.files.n || cfg->chain.root || cfg->chain.print) &&
	    cli_owner_chain_usage(&cfg->chain))
		return cli_owner_chain_usage(&cfg->chain);
	if (cfg->api && !api_get(cfg->api, m))
		return "--api: not a version (example: 1.55)";
	if (cfg->build != NOT_GIVEN && cfg->build > 255)
		return "--build: more than 255";
	if (cfg->measurement && (!expect || (!cfg->keys.tik && !cfg->keys.tk) || !cfg->policy ||
				 !cfg->api || cfg->build == NOT_GIVEN))
		return "--measurement needs --tik or --tk, --policy, --api, --build, and one of "
		       "--digest, --firmware and --sevmig-guest";
	if (!cfg->chain.files.n && !expect)
		return "nothing to verify: give --chain, or what a launch should have measured";
	return cli_owner_expect_usage(&cfg->expect, m->policy);
}

/* *match: whether the measurement is the expected one; a failure is that it cannot be told. */
static int measurement_check(const struct verify_cfg *cfg, struct session_measured *m, bool *match,
			     struct err *e)
{
	auto_secret struct secret tik = { 0 };
	uint8_t got[PSP_MEASURE_LEN];
	int r = cli_owner_keys_read(&cfg->keys, NULL, &tik, e);

	if (r == 0)
		r = cli_owner_bytes_get(cfg->measurement, got, sizeof(got), e);
	if (r == 0)
		r = owner_launch_check(&tik, m, got, e);
	*match = r == 0;
	return r == -EKEYREJECTED ? 0 : r;
}

static void verify_print(const struct verify_cfg *cfg, const struct cli_owner_platform *p,
			 const char *digest, bool match)
{
	const char *said = match ? "match" : "mismatch";
	json_t *j;

	if (!cfg->common.json) {
		if (p)
			cli_owner_platform_print(p);
		if (*digest)
			printf("digest       %s\n", digest);
		if (cfg->measurement)
			printf("measurement  %s\n", said);
		return;
	}
	j = json_object();
	if (p)
		cli_owner_platform_json(p, j);
	if (*digest)
		json_object_set_new(j, "digest", json_string(digest));
	if (cfg->measurement)
		json_object_set_new(j, "measurement", json_string(said));
	cli_json_print(j);
}

static int verify_do(const struct verify_cfg *cfg, struct session_measured *m, bool *match,
		     struct err *e)
{
	static struct cli_owner_platform platform;
	bool chain = cfg->chain.files.n, expect = cli_owner_expect_given(&cfg->expect);
	char digest[2 * SHA256_LEN + 1] = "";
	int r = 0;

	if (chain)
		r = cli_owner_platform_get(&cfg->chain, &platform, e);
	if (r == 0 && expect)
		r = cli_owner_expect_digest(&cfg->expect, m->policy, m->digest, e);
	if (r == 0 && cfg->measurement)
		r = measurement_check(cfg, m, match, e);
	if (r < 0)
		return r;
	if (expect)
		owner_hex_put(m->digest, sizeof(m->digest), digest);
	verify_print(cfg, chain ? &platform : NULL, digest, *match);
	return 0;
}

int cli_owner_verify_main(int argc, char **argv)
{
	struct verify_cfg cfg = { .build = NOT_GIVEN,
				  .expect = { .vcpus = 1, .memory = 512u << 20 } };
	struct session_measured m = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	const char *wrong;
	bool match = true;
	int code;

	if (!cli_parse(&verify_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (cli_policy_get(cfg.policy ? cfg.policy : "", cfg.min_api, &m.policy, &e) < 0)
		return cli_usage(&verify_cmd, "%s", e.msg);
	wrong = cfg_usage(&cfg, &m);
	if (wrong)
		return cli_usage(&verify_cmd, "%s", wrong);
	m.build = (uint8_t)cfg.build;
	if (verify_do(&cfg, &m, &match, &e) < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	if (match)
		return CLI_OK;
	fprintf(stderr, "sevmig: %s\n", e.msg);
	return CLI_FAILED;
}
