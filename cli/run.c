/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "abi/handler.h"
#include "abi/psp.h"
#include "base/log.h"
#include "cli/report.h"
#include "cli/run.h"
#include "control/reply.h"

/* How long the clients have to learn how a migration ended. */
#define LINGER_MS 2000

DEFINE_AUTO(tty, struct tty *, tty_restore)

static const char *const console_devices[] = {
	[RUN_CONSOLE_SERIAL] = "serial", [RUN_CONSOLE_VIRTIO] = "virtio", NULL
};

static const char *const on_resets[] = {
	[RUN_ON_RESET_EXIT] = "exit", [RUN_ON_RESET_RESTART] = "restart", NULL
};

static const struct opt run_opts[] = {
	CLI_COMMON_OPTS(struct run_cfg),
	opt_str(struct run_cfg, name, "name", "NAME", "what the other commands call this guest"),
	opt_size(struct run_cfg, memory, "memory", "SIZE",
		 "guest memory, a multiple of 2M; default 512M"),
	opt_uint(struct run_cfg, vcpus, "vcpus", "N", "virtual processors; default 1"),
	opt_str(struct run_cfg, platform, "platform", "WHICH", "soft:DIR or kernel"),
	opt_str(struct run_cfg, amd_chain, "amd-chain", "FILE",
		"AMD's ASK and ARK certificates of this machine, for kernel"),
	opt_str(struct run_cfg, firmware, "firmware", "FILE",
		"boot through this firmware image, or default; also where a guest that did "
		"arrives"),
	opt_str(struct run_cfg, kernel, "kernel", "FILE", "bzImage or ELF kernel"),
	opt_str(struct run_cfg, initrd, "initrd", "FILE", "initial RAM disk"),
	opt_str(struct run_cfg, append, "append", "STRING", "kernel command line"),
	opt_str(struct run_cfg, policy, "policy", "POLICY",
		"number, or names from nodbg,noks,nosend,domain,sev; default nodbg"),
	opt_str(struct run_cfg, min_api, "min-api", "M.m",
		"least firmware version this guest may run on or go to"),
	opt_str(struct run_cfg, dh, "dh", "FILE", "guest owner's DH certificate, with --session"),
	opt_str(struct run_cfg, session, "session", "FILE", "guest owner's launch session"),
	opt_str(struct run_cfg, broker, "broker", "URI",
		"guest owner's broker, which gives session and key; with --tls-dir"),
	opt_str(struct run_cfg, broker_guest, "broker-guest", "NAME",
		"what the broker calls this guest; default its --name"),
	opt_bool(struct run_cfg, hold, "hold",
		 "measure, then wait for the owner: sev-inject-launch-secret, and cont to run"),
	opt_str(struct run_cfg, handler, "handler", "FILE",
		"image of a migration handler, launched with the guest; with --incoming: "
		"launched to be filled by it"),
	opt_uint(struct run_cfg, handler_vcpus, "handler-vcpus", "N",
		 "vCPUs of the handler's mirror, 1 to 4; default 1"),
	opt_str(struct run_cfg, launch_secret, "launch-secret", "HEADER,PAYLOAD",
		"files with the owner's secret: the launch waits for them when it is measured"),
	opt_str(struct run_cfg, measurement, "measurement", "FILE",
		"where to write the launch measurement, 48 bytes"),
	opt_uint(struct run_cfg, cbit, "cbit", "N",
		 "C-bit position on a software platform; default what the host can do"),
	opt_str(struct run_cfg, console, "console", "FILE",
		"file for the guest's console, or stdio; default none"),
	opt_enum(struct run_cfg, console_device, "console-device", "KIND", console_devices,
		 "serial or virtio: which of them takes the console's input; default serial"),
	opt_list(struct run_cfg, disks, "disk", "FILE[,readonly]",
		 "raw image or block device as a disk; repeatable"),
	opt_list(struct run_cfg, nets, "net", "NET",
		 "network card: user[,hostfwd=tcp:ADDR:PORT-:PORT]... or tap,ifname=NAME; "
		 "repeatable"),
	opt_bool(struct run_cfg, rng, "rng", "a source of random numbers for the guest"),
	opt_str(struct run_cfg, incoming, "incoming", "URI",
		"wait here for a guest to arrive, e.g. tls://0.0.0.0:4433"),
	opt_str(struct run_cfg, tls_dir, "tls-dir", "DIR",
		"ca-cert.pem, cert.pem and key.pem, for migrations both ways"),
	opt_enum(struct run_cfg, on_reset, "on-reset", "WHAT", on_resets,
		 "when the guest resets: exit, or restart (launch it anew); default exit"),
	opt_bool(struct run_cfg, no_migration, "no-migration",
		 "do not offer migration to the guest, and refuse to move it"),
	opt_bool(struct run_cfg, debug_digest, "debug-digest",
		 "log a digest of guest memory at the stop and on arrival, for tests"),
	opt_end,
};

static const struct opt_cmd run_cmd = {
	.name = "sevmig run",
	.args = "",
	.help = "Run a guest in the foreground, or wait for one to arrive.",
	.opts = run_opts,
};

/* CLI_OK, or what usage is wrong. */
static int cfg_check(struct run_cfg *cfg)
{
	struct err e = { 0 };

	if (!cfg->name || !cfg->platform)
		return cli_usage(&run_cmd, "--name and --platform must be given");
	if (!cfg->kernel && !cfg->incoming)
		return cli_usage(&run_cmd, "--kernel or --incoming must be given");
	if (cfg->hold && (cfg->incoming || cfg->broker))
		return cli_usage(&run_cmd, "--hold is for a launch without a broker");
	if (!cfg->dh != !cfg->session)
		return cli_usage(&run_cmd, "--dh and --session belong together");
	if (cfg->broker && cfg->session)
		return cli_usage(&run_cmd, "--broker and --session are two ways of the same");
	if (cfg->broker && !cfg->tls_dir)
		return cli_usage(&run_cmd, "--broker needs --tls-dir");
	if (cfg->handler && (!cfg->kernel || cfg->firmware))
		return cli_usage(&run_cmd, "--handler needs --kernel, and goes without --firmware");
	if (cfg->handler_vcpus > HANDLER_VCPUS_MAX)
		return cli_usage(&run_cmd, "--handler-vcpus %u: 1 to %u", cfg->handler_vcpus,
				 HANDLER_VCPUS_MAX);
	if (cfg->broker && cfg->launch_secret)
		return cli_usage(&run_cmd, "--broker and --launch-secret are two ways of the same");
	if (cfg->hold && cfg->on_reset == RUN_ON_RESET_RESTART)
		return cli_usage(&run_cmd, "--hold and --on-reset restart do not go together");
	if (cfg->vcpus == 0)
		return cli_usage(&run_cmd, "--vcpus 0: a guest needs one at least");
	if (cfg->common.json && cfg->console && strcmp(cfg->console, "stdio") == 0)
		return cli_usage(&run_cmd, "--json and --console stdio both want stdout");
	if (cli_policy_get(cfg->policy, cfg->min_api, &cfg->policy_bits, &e) < 0)
		return cli_usage(&run_cmd, "%s", e.msg);
	return CLI_OK;
}

/* And a console file that reaches a limit of the shell's takes no more; the guest goes on. */
static void signals_set(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGXFSZ, SIG_IGN);
}

static const struct {
	const char *word;
	int code;
} ends[] = {
	[RUN_STOPPED] = { "stopped", CLI_OK },   [RUN_ENDED] = { "ended", CLI_OK },
	[RUN_MOVED] = { "moved", CLI_OK },       [RUN_UNKNOWN] = { "unknown", CLI_UNKNOWN },
	[RUN_FAILED] = { "failed", CLI_FAILED }, [RUN_LOST] = { "reset", CLI_FAILED },
};

/* Whatever ended it, a migration under way then is brought to its own end first; that may show that
 * the guest has moved after all. */
static enum run_end end_settle(struct run *r, enum run_end end)
{
	bool was_source;

	pthread_mutex_lock(&r->lock);
	was_source = r->src.active || (r->src.joinable && r->role == CONTROL_ROLE_SOURCE);
	pthread_mutex_unlock(&r->lock);
	run_source_end(r);
	if (was_source && r->src.last.outcome == MIG_OUTCOME_MOVED)
		end = RUN_MOVED;
	if (was_source && r->src.last.outcome == MIG_OUTCOME_UNKNOWN)
		end = RUN_UNKNOWN;
	return end;
}

static int end_tell(struct run *r, enum run_end end)
{
	static const char *const guest_ends[] = { [VM_END_NONE] = "not at all",
						  [VM_END_POWEROFF] = "powered off",
						  [VM_END_RESET] = "reset",
						  [VM_END_ERROR] = "died" };
	const char *why = NULL, *reason = "";
	enum vm_end how = r->vm ? vm_end(r->vm, &why) : VM_END_RESET;
	const char *word = ends[end].word;
	int code = ends[end].code;

	switch (end) {
	case RUN_MOVED:
		log_info("run", "moved to %s", r->src.uri);
		break;
	case RUN_UNKNOWN:
		reason = r->src.last.reason;
		log_err("run", "where the guest runs cannot be known from here: %s", reason);
		break;
	case RUN_FAILED:
		reason = r->dst.err.msg;
		log_err("run", "the guest did not arrive: %s", reason);
		break;
	case RUN_LOST:
		reason = r->reset_err.msg;
		log_err("run", "the guest was reset and could not be launched anew: %s", reason);
		break;
	case RUN_ENDED:
		word = guest_ends[how];
		reason = why ? why : "";
		code = how == VM_END_ERROR ? CLI_FAILED : CLI_OK;
		if (how == VM_END_RESET && (r->cfg->policy_bits & PSP_POLICY_ES))
			code = CLI_RESET;
		if (how == VM_END_RESET && r->cfg->on_reset == RUN_ON_RESET_RESTART)
			log_warn("run",
				 "%s was reset and cannot be launched here: no --kernel "
				 "was given",
				 r->cfg->name);
		log_msg(code ? LOG_ERR : LOG_INFO, "run", "the guest %s%s%s", word,
			*reason ? ": " : "", reason);
		break;
	case RUN_STOPPED:
	case RUN_GOES_ON:
		break;
	}
	if (r->cfg->common.json)
		cli_json_print(json_pack("{s:s, s:s, s:s, s:s}", "name", r->cfg->name, "end", word,
					 "uri", end == RUN_MOVED ? r->src.uri : "", "reason",
					 reason));
	return code;
}

int cli_run_main(int argc, char **argv)
{
	struct run_cfg cfg = { .memory = 512u << 20, .vcpus = 1, .policy = "nodbg" };
	auto_of(tty) struct tty *tty = NULL;
	struct opt_args args;
	struct err e = { 0 };
	enum run_end end;
	struct run r;
	int code;

	if (!cli_parse(&run_cmd, &cfg, argc, argv, &args, &code))
		return code;
	code = cfg_check(&cfg);
	if (code != CLI_OK)
		return code;
	signals_set();
	if (run_init(&r, &cfg, &e) < 0) {
		run_fini(&r);
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	}
	if (cfg.console && strcmp(cfg.console, "stdio") == 0)
		tty = tty_raw(STDIN_FILENO);
	end = end_settle(&r, run_loop(&r));
	run_name_release(&r); /* another guest may take the name while clients still ask */
	control_server_kick(r.server);
	control_server_stop(r.server, LINGER_MS);
	code = end_tell(&r, end);
	run_fini(&r);
	return code;
}
