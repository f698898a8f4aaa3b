/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "migrate/migrate.h"

#define BAR_LEN 24u
#define POLL_MS 200

const char *report_text(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s ? s : "";
}

uint64_t report_num(const json_t *j, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(j, name));

	return v > 0 ? (uint64_t)v : 0;
}

void report_print(const json_t *mig, FILE *to)
{
	const json_t *own = json_object_get(mig, "x-sevmig"), *ram = json_object_get(mig, "ram");

	fprintf(to, "migration      %s (%s, phase %s)\n", report_text(mig, "status"),
		report_text(own, "outcome"), report_text(own, "phase"));
	if (*report_text(own, "reason"))
		fprintf(to, "reason         %s\n", report_text(own, "reason"));
	if (*report_text(own, "path-reason"))
		fprintf(to, "path           %s: %s\n", report_text(own, "path"),
			report_text(own, "path-reason"));
	fprintf(to, "total time     %" PRIu64 " ms\n", report_num(mig, "total-time"));
	if (json_object_get(mig, "downtime"))
		fprintf(to, "downtime       %" PRIu64 " ms\n", report_num(mig, "downtime"));
	fprintf(to,
		"transferred    %" PRIu64 " bytes in %" PRIu64 " passes\n"
		"private pages  %" PRIu64 "\nshared pages   %" PRIu64 "\nzero pages     %" PRIu64
		"\nnever written  %" PRIu64 " of %" PRIu64 "\n",
		report_num(ram, "transferred"), report_num(own, "pass"),
		report_num(own, "private-pages"), report_num(own, "shared-pages"),
		report_num(own, "zero-pages"), report_num(own, "never-written-pages"),
		report_num(own, "total-pages"));
}

size_t report_differences(const json_t *mig, FILE *to)
{
	const json_t *own = json_object_get(mig, "x-sevmig");
	const json_t *all = json_object_get(own, "differences"), *one;
	size_t i;

	json_array_foreach (all, i, one)
		if (to)
			fprintf(to, "  %s\n", json_string_value(one));
	return json_array_size(all);
}

static void bar_make(const json_t *own, char bar[BAR_LEN + 1])
{
	uint64_t due = report_num(own, "dirty-pages"), left = report_num(own, "left-pages");
	uint64_t done;

	if (left > due)
		due = left;
	done = due ? (due - left) * BAR_LEN / due : 0;
	memset(bar, '.', BAR_LEN);
	memset(bar, '#', done);
	bar[BAR_LEN] = '\0';
}

/* One line that replaces itself on a terminal (live), or one a call elsewhere. */
static void progress_print(const json_t *mig, FILE *to, bool live)
{
	const json_t *own = json_object_get(mig, "x-sevmig"), *ram = json_object_get(mig, "ram");
	char bar[BAR_LEN + 1];

	bar_make(own, bar);
	fprintf(to,
		"%s[%s] pass %" PRIu64 ", %" PRIu64 " pages left, %" PRIu64
		" pages/s sent, %" PRIu64 " pages/s dirtied, downtime about %" PRIu64 " ms%s",
		live ? "\r\x1b[K" : "", bar, report_num(own, "pass"), report_num(own, "left-pages"),
		report_num(ram, "pages-per-second"), report_num(ram, "dirty-pages-rate"),
		report_num(mig, "expected-downtime"), live ? "" : "\n");
	fflush(to);
}

/* Is the migration over? With what exit code? */
static bool over(const json_t *mig, int *code)
{
	static const struct {
		enum mig_outcome outcome;
		int code;
	} ends[] = { { MIG_OUTCOME_MOVED, CLI_OK },
		     { MIG_OUTCOME_STAYED, CLI_STAYED },
		     { MIG_OUTCOME_UNKNOWN, CLI_UNKNOWN },
		     { MIG_OUTCOME_ANSWERED, CLI_OK } };
	const char *outcome = report_text(json_object_get(mig, "x-sevmig"), "outcome");

	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(outcome, mig_outcome_name(ends[i].outcome)) == 0) {
			*code = ends[i].code;
			return true;
		}
	}
	return false;
}

static void interval_wait(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000 }, NULL);
}

int report_follow(struct control_client *c, bool progress, json_t **end, int *code, struct err *e)
{
	bool live = progress && isatty(STDERR_FILENO);

	for (;; interval_wait()) {
		auto_of(json) json_t *mig = NULL;
		int r = control_client_call(c, "query-migrate", NULL, CLI_CALL_MS, &mig, e);

		if (r < 0)
			return err_wrap(e, r,
					"the guest's process was lost before it said how the "
					"migration ended; ask the target");
		if (progress)
			progress_print(mig, stderr, live);
		if (!over(mig, code))
			continue;
		if (live)
			fputc('\n', stderr);
		*end = steal_ptr(&mig);
		return 0;
	}
}
