/* SPDX-License-Identifier: Apache-2.0 */

/* The guest owner's secret by files: what was measured goes out, and the launch waits until the
 * owner has answered. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/handler.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/run.h"

#define LOOK_MS 50

/* "HEADER,PAYLOAD" */
static int names_split(const char *both, struct run_secret *s, struct err *e)
{
	const char *comma = strchr(both, ',');
	size_t n = comma ? (size_t)(comma - both) : 0;

	if (!n || !comma[1] || strchr(comma + 1, ',') || n >= sizeof(s->header_path) ||
	    strlen(comma + 1) >= sizeof(s->packet_path))
		return err_set(e, -EINVAL, "--launch-secret %s: not HEADER,PAYLOAD", both);
	memcpy(s->header_path, both, n);
	s->header_path[n] = '\0';
	snprintf(s->packet_path, sizeof(s->packet_path), "%s", comma + 1);
	return 0;
}

/* They are blocked, and nobody takes them yet. */
static bool stop_asked(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
		sigismember(&pending, SIGHUP));
}

static int files_wait(const struct run_secret *s, struct err *e)
{
	const struct timespec pause = { 0, LOOK_MS * 1000000l };

	log_info("run", "waiting for the owner's secret in %s and %s", s->header_path,
		 s->packet_path);
	while (access(s->header_path, R_OK) < 0 || access(s->packet_path, R_OK) < 0) {
		if (stop_asked())
			return err_set(e, -EINTR, "stopped before the owner's secret came");
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int secret_read(struct run_secret *s, struct vm_secret *out, struct err *e)
{
	int r = files_wait(s, e);

	if (r == 0)
		r = fd_file_read(s->header_path, sizeof(out->hdr), &s->header, e);
	if (r == 0)
		r = fd_file_read(s->packet_path, HANDLER_SECRET_LEN, &s->packet, e);
	if (r == 0 && s->header.len != sizeof(out->hdr))
		r = err_set(e, -EINVAL, "%s: %zu bytes, a packet header has %zu", s->header_path,
			    s->header.len, sizeof(out->hdr));
	if (r < 0)
		return r;
	memcpy(out->hdr, s->header.p, sizeof(out->hdr));
	out->at = gpa(HANDLER_SECRET);
	out->packet = s->packet.p;
	out->len = s->packet.len;
	return 0;
}

static int secret_ask(void *ctx, const uint8_t measurement[SEV_MEASURE_LEN], struct vm_secret *out,
		      struct err *e)
{
	struct run_secret *s = ctx;
	int r = 0;

	if (s->measurement_path)
		r = fd_file_replace(s->measurement_path, measurement, SEV_MEASURE_LEN, 0644, e);
	if (r < 0)
		return r;
	return s->header_path[0] ? secret_read(s, out, e) : 1;
}

int run_secret_begin(struct run_secret *s, const struct run_cfg *cfg, struct vm_boot *boot,
		     struct err *e)
{
	s->measurement_path = cfg->measurement;
	boot->secret = secret_ask;
	boot->secret_ctx = s;
	return cfg->launch_secret ? names_split(cfg->launch_secret, s, e) : 0;
}

void run_secret_fini(struct run_secret *s)
{
	buf_fini(&s->header);
	buf_fini(&s->packet);
}
