/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "chan/pki.h"
#include "cli/demo.h"
#include "cli/report.h"
#include "cli/scratch.h"

#define STEP_MS 20
#define BOOT_MS 120000
#define END_MS 30000
#define TICKS_BEFORE 40u
#define TICKS_AFTER 40u
#define CONSOLE_MAX (16u << 20)

extern char **environ;

struct demo {
	const struct demo_guest *guest;
	bool talk;
	struct scratch dir;
	pid_t source, target; /* 0: none */
	int source_status, target_status;
	struct demo_result *out;
};

static void step_say(const struct demo *d, const char *what)
{
	if (d->talk)
		fprintf(stderr, "demo: %s\n", what);
}

/* A name in the scratch directory; good until the next call but three. */
static const char *in_dir(const struct demo *d, const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", d->dir.path, name);
	return p;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- processes ------------------------------------------------------------------------------ */

/* Has it ended? Then *pid is 0 from now on. */
static bool process_ended(pid_t *pid, int *status)
{
	if (*pid && waitpid(*pid, status, WNOHANG) == *pid)
		*pid = 0;
	return *pid == 0;
}

/* A step's wait, unless somebody wants the end of all this, or a process ended before its time. */
static int step_wait(struct demo *d, int64_t end, const char *what, struct err *e)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigtimedwait(&set, NULL, &step) > 0)
		return err_set(e, -EINTR, "interrupted");
	if (process_ended(&d->target, &d->target_status))
		return err_set(e, -ECHILD, "%s: the target's process ended: %s", what,
			       "its messages are above");
	if (now_ms() > end)
		return err_set(e, -ETIMEDOUT, "%s: not in time", what);
	return 0;
}

static int process_start(char *const *argv, pid_t *pid, struct err *e)
{
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	r = posix_spawn(pid, "/proc/self/exe", NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (r) {
		*pid = 0;
		return err_set(e, -r, "cannot start sevmig run: %s", strerrorname_np(r));
	}
	return 0;
}

static void process_end(pid_t *pid, int *status)
{
	if (!*pid)
		return;
	kill(*pid, SIGTERM);
	waitpid(*pid, status, 0);
	*pid = 0;
}

/* "sevmig run" for one side; what follows the common options is side's own. */
static int side_start(struct demo *d, const char *side, char *const *own, pid_t *pid, struct err *e)
{
	char name[32], platform[300], tls[300], console[300];
	const char *fixed[] = { "sevmig",         "run",        "--name", name,        "--memory",
				d->guest->memory, "--platform", platform, "--tls-dir", tls,
				"--console",      console };
	char *argv[32];
	unsigned n = 0;

	snprintf(name, sizeof(name), "demo-%s", side);
	snprintf(platform, sizeof(platform), "soft:%s/%s", d->dir.path, side);
	snprintf(tls, sizeof(tls), "%s/pki/%s", d->dir.path, side);
	snprintf(console, sizeof(console), "%s/%s.log", d->dir.path, side);
	/* posix_spawn() does not write to what argv points at, whatever its type says. */
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		memcpy(&argv[n++], &fixed[i], sizeof(argv[0]));
	while (*own)
		argv[n++] = *own++;
	argv[n] = NULL;
	return process_start(argv, pid, e);
}

static int source_start(struct demo *d, struct err *e)
{
	const struct demo_guest *g = d->guest;
	const char *own[] = { "--kernel", g->kernel, "--append", g->append, "--initrd", g->initrd };
	char *argv[8] = { 0 };

	memcpy(argv, own, sizeof(own));
	if (!g->initrd[0])
		argv[4] = NULL;
	return side_start(d, "source", argv, &d->source, e);
}

static int target_start(struct demo *d, struct err *e)
{
	const char *own[] = { "--incoming", "tls://127.0.0.1:0", NULL };
	char *argv[3];

	memcpy(argv, own, sizeof(own));
	return side_start(d, "target", argv, &d->target, e);
}

/* --- steps ---------------------------------------------------------------------------------- */

static int identities_make(struct demo *d, struct err *e)
{
	const struct pki_opts local = { .local = true };
	struct sev_soft_init opt = { 0 };
	int r = sev_soft_init(in_dir(d, "source"), &opt, e);

	opt.ca_dir = in_dir(d, "source");
	if (r == 0)
		r = sev_soft_init(in_dir(d, "target"), &opt, e);
	if (r == 0)
		r = pki_init(in_dir(d, "pki"), e);
	if (r == 0)
		r = pki_issue(in_dir(d, "pki"), "source", &local, e);
	if (r == 0)
		r = pki_issue(in_dir(d, "pki"), "target", &local, e);
	if (r == 0 && setenv("SEVMIG_RUNTIME_DIR", in_dir(d, "run"), 1) < 0)
		r = err_set(e, -errno, "environment: %m");
	return r;
}

/* The control socket of a process just started. */
static int side_connect(struct demo *d, const char *name, struct control_client **out,
			struct err *e)
{
	int64_t end = now_ms() + BOOT_MS;
	struct err why = { 0 };
	int r;

	while (cli_runtime_connect(name, out, &why) < 0) {
		r = step_wait(d, end, name, e);
		if (r < 0)
			return r;
		if (strcmp(name, "demo-source") == 0 &&
		    process_ended(&d->source, &d->source_status))
			return err_set(e, -ECHILD, "the source's process ended");
	}
	return 0;
}

static int console_load(struct demo *d, const char *file, struct buf *out, struct err *e)
{
	int r;

	buf_reset(out);
	r = fd_file_read(in_dir(d, file), CONSOLE_MAX, out, e);
	return r == -ENOENT ? 0 : r;
}

/* The console's state until its last tick is at least this, and (verified) it said so. */
static int ticks_wait(struct demo *d, const char *file, struct buf *text, uint64_t last,
		      bool verified, struct err *e)
{
	int64_t end = now_ms() + BOOT_MS;
	struct ticks t = { 0 };
	int r = 0;

	for (; r == 0; r = step_wait(d, end, "the guest's count", e)) {
		r = console_load(d, file, text, e);
		if (r < 0)
			return r;
		ticks_read((const char *)text->p, text->len, &t);
		if (t.broken)
			return err_set(e, -EBADMSG, "the guest says that its memory is corrupt");
		if (t.last >= last && (t.verified || !verified))
			return 0;
	}
	return r;
}

static int uri_get(struct control_client *c, char *out, size_t len, struct err *e)
{
	auto_of(json) json_t *st = NULL;
	int r = control_client_call(c, "query-status", NULL, CLI_CALL_MS, &st, e);

	if (r == 0)
		snprintf(out, len, "%s", report_text(json_object_get(st, "x-sevmig"), "uri"));
	return r;
}

static int guest_move(struct demo *d, struct control_client *source, const char *uri, struct err *e)
{
	auto_of(json) json_t *started = NULL;
	int code = CLI_FAILED;
	int r = control_client_call(source, "migrate", json_pack("{s:s}", "uri", uri), CLI_CALL_MS,
				    &started, e);

	if (r == 0)
		r = report_follow(source, d->talk, &d->out->migration, &code, e);
	if (r == 0 && code != CLI_OK)
		return err_set(
			e, -EIO, "the migration failed: %s",
			report_text(json_object_get(d->out->migration, "x-sevmig"), "reason"));
	return r;
}

/* Tell the guest to power off; its process must end by that, well. */
static int guest_end(struct demo *d, struct control_client *target, struct err *e)
{
	auto_of(json) json_t *done = NULL;
	int64_t end = now_ms() + END_MS;
	struct err why = { 0 };
	int r = control_client_call(target, "x-console-write",
				    json_pack("{s:s}", "data", d->guest->end), CLI_CALL_MS, &done,
				    e);

	if (r < 0)
		return r;
	do
		r = step_wait(d, end, "the guest's end", &why);
	while (r == 0);
	d->out->ended = !d->target && WIFEXITED(d->target_status) &&
			WEXITSTATUS(d->target_status) == CLI_OK;
	return d->out->ended ? 0 : err_set(e, r, "%s", why.msg);
}

/* What the source's console had when the move was over, and has now, must be the same. */
static int consoles_judge(struct demo *d, struct err *e)
{
	struct demo_result *o = d->out;
	size_t was = o->source.len;
	auto_buf struct buf joined = { 0 };
	struct ticks t;
	int r = console_load(d, "source.log", &o->source, e);

	if (r == 0)
		r = console_load(d, "target.log", &o->target, e);
	if (r == 0)
		r = buf_add(&joined, o->source.p, o->source.len, e);
	if (r == 0)
		r = buf_add(&joined, o->target.p, o->target.len, e);
	if (r < 0)
		return r;
	o->stayed_silent = o->source.len == was;
	ticks_read((const char *)joined.p, joined.len, &o->after);
	ticks_read((const char *)o->target.p, o->target.len, &t);
	o->target_verified = t.verified || !d->guest->verifies;
	return 0;
}

static int source_boot(struct demo *d, struct control_client **out, struct err *e)
{
	int r = source_start(d, e);

	if (r == 0)
		r = side_connect(d, "demo-source", out, e);
	if (r == 0)
		r = ticks_wait(d, "source.log", &d->out->source, TICKS_BEFORE, false, e);
	return r;
}

static int move_do(struct demo *d, struct err *e)
{
	auto_of(control_client) struct control_client *source = NULL, *target = NULL;
	struct demo_result *o = d->out;
	char uri[256];
	int r;

	step_say(d, "two platforms under one root, a certificate for each side");
	r = identities_make(d, e);
	if (r == 0)
		r = target_start(d, e);
	if (r == 0)
		r = side_connect(d, "demo-target", &target, e);
	if (r == 0)
		r = uri_get(target, uri, sizeof(uri), e);
	step_say(d, "a guest on the source");
	if (r == 0)
		r = source_boot(d, &source, e);
	if (r < 0)
		return r;
	step_say(d, "it counts; moving it");
	r = guest_move(d, source, uri, e);
	if (r == 0)
		r = console_load(d, "source.log", &o->source, e);
	if (r < 0)
		return r;
	ticks_read((const char *)o->source.p, o->source.len, &o->before);
	step_say(d, "it has moved; waiting for it to count on");
	r = ticks_wait(d, "target.log", &o->target, o->before.last + TICKS_AFTER,
		       d->guest->verifies, e);
	if (r == 0)
		r = guest_end(d, target, e);
	return r < 0 ? r : consoles_judge(d, e);
}

int demo_move(const struct demo_guest *g, bool talk, struct demo_result *out, struct err *e)
{
	struct demo d = { .guest = g, .talk = talk, .out = out };
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL); /* step_wait() takes them */
	r = scratch_make(&d.dir, e);
	if (r == 0)
		r = move_do(&d, e);
	process_end(&d.source, &d.source_status);
	process_end(&d.target, &d.target_status);
	scratch_remove(&d.dir);
	return r;
}

void demo_result_fini(struct demo_result *r)
{
	buf_fini(&r->source);
	buf_fini(&r->target);
	json_decref(r->migration);
}
