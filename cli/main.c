/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* The names have one word or two. */
static const struct cli_cmd {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "doctor", cli_doctor_main,
	  "say what this machine can do, and what to do about the rest" },
	{ "demo", cli_demo_main, "move a running guest and check that it missed nothing" },
	{ "platform init", cli_platform_init_main, "make a software SEV platform" },
	{ "platform status", cli_platform_status_main, "show a platform's version, state and id" },
	{ "platform export", cli_platform_export_main, "write a platform's certificates to files" },
	{ "pki init", cli_pki_init_main, "make a small certificate authority for mutual TLS" },
	{ "pki issue", cli_pki_issue_main, "make a host's key and certificate" },
	{ "owner session", cli_owner_session_main,
	  "make a launch session for one platform, and its keys" },
	{ "owner verify", cli_owner_verify_main,
	  "verify a platform's certificates and a launch measurement" },
	{ "owner secret", cli_owner_secret_main, "encrypt secrets for a guest that was measured" },
	{ "owner guest", cli_owner_guest_main, "tell the broker what a guest of the owner's is" },
	{ "owner broker", cli_owner_broker_main,
	  "give launches of the owner's guests their sessions and keys" },
	{ "owner report", cli_owner_report_main, "verify and show an attestation report" },
	{ "owner split", cli_owner_split_main, "take a joined certificate chain apart" },
	{ "run", cli_run_main, "run a guest, or wait for one to arrive" },
	{ "migrate", cli_migrate_main, "move a running guest to another host" },
	{ "migrate-cancel", cli_cancel_main, "break a migration off; the guest stays" },
	{ "adopt", cli_adopt_main, "take a guest over whose source host is dead" },
	{ "list", cli_list_main, "list the guests running here" },
	{ "status", cli_status_main, "show a guest's state and its migration" },
	{ "qmp", cli_qmp_main, "send one request to a guest's control socket" },
	{ "shim", cli_shim_main, "run an unmodified program on a software SEV platform" },
	{ "device", cli_device_main, "be the driver of a /dev/sev that every program sees" },
	{ "stop", cli_stop_main, "end a guest's process" },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage_print(FILE *to)
{
	fputs("Usage: sevmig COMMAND [OPTIONS] [ARGUMENTS]\n\n"
	      "Run AMD SEV guests and move them, running, from one host to another.\n\nCommands:\n",
	      to);
	for (unsigned i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-18s%s\n", commands[i].name, commands[i].help);
	fputs("\nOptions:\n"
	      "  --help            show this and end; \"sevmig COMMAND --help\" for one command\n"
	      "  --version         print the version and end\n"
	      "  --list-commands   print the commands' names and end\n",
	      to);
}

/* How many words of argv[1...] name the command; 0: not this one. */
static int words_match(const struct cli_cmd *c, int argc, char **argv)
{
	const char *second = strchr(c->name, ' ');
	size_t first = second ? (size_t)(second - c->name) : strlen(c->name);

	if (strlen(argv[1]) != first || memcmp(argv[1], c->name, first) != 0)
		return 0;
	if (!second)
		return 1;
	return argc > 2 && strcmp(argv[2], second + 1) == 0 ? 2 : 0;
}

/* "sevmig platform" alone, or followed by what it does not know. */
static int group_usage(const char *word)
{
	size_t n = strlen(word);
	bool found = false;

	for (unsigned i = 0; i < COMMANDS; i++) {
		const char *name = commands[i].name;

		if (strncmp(name, word, n) != 0 || name[n] != ' ')
			continue;
		if (!found)
			fprintf(stderr, "sevmig %s: needs one of these words:\n", word);
		fprintf(stderr, "  %-18s%s\n", name + n + 1, commands[i].help);
		found = true;
	}
	if (!found)
		fprintf(stderr, "sevmig: %s: no such command (sevmig --help lists them)\n", word);
	return CLI_USAGE;
}

static int option_run(const char *option)
{
	if (strcmp(option, "--help") == 0) {
		usage_print(stdout);
	} else if (strcmp(option, "--version") == 0) {
		puts("sevmig " SEVMIG_VERSION);
	} else if (strcmp(option, "--list-commands") == 0) {
		for (unsigned i = 0; i < COMMANDS; i++)
			puts(commands[i].name);
	} else {
		fprintf(stderr, "sevmig: %s: no such option (sevmig --help lists them)\n", option);
		return CLI_USAGE;
	}
	return CLI_OK;
}

int main(int argc, char **argv)
{
	/* A peer or a reader that goes away is an error where it is written to, not our end. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		usage_print(stderr);
		return CLI_USAGE;
	}
	if (argv[1][0] == '-')
		return option_run(argv[1]);
	for (unsigned i = 0; i < COMMANDS; i++) {
		int words = words_match(&commands[i], argc, argv);

		if (words)
			return commands[i].main(argc - words, argv + words);
	}
	return group_usage(argv[1]);
}
