/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "broker/broker.h"
#include "chan/chan.h"
#include "cli/cli.h"

/* A host asks at once; whoever dawdles gives way to the next. */
#define ASK_MS 5000
#define REQUESTS_MAX 4

struct broker_cfg {
	struct cli_common common;
	const char *state, *listen, *tls_dir, *answer;
};

static const struct opt broker_opts[] = {
	CLI_COMMON_OPTS(struct broker_cfg),
	opt_str(struct broker_cfg, state, "state", "DIR", "the broker's folder"),
	opt_str(struct broker_cfg, listen, "listen", "URI",
		"serve hosts here, e.g. tls://0.0.0.0:4434, until told to end"),
	opt_str(struct broker_cfg, tls_dir, "tls-dir", "DIR",
		"ca-cert.pem, cert.pem and key.pem, for --listen"),
	opt_str(struct broker_cfg, answer, "answer", "FILE",
		"instead: answer the one request in this file, or - for stdin, on stdout"),
	opt_end,
};

static const struct opt_cmd broker_cmd = {
	.name = "sevmig owner broker",
	.args = "",
	.help = "Give launches of the owner's guests their sessions and keys.",
	.opts = broker_opts,
};

DEFINE_AUTO(broker, struct broker *, broker_free)
DEFINE_AUTO(chan, struct chan *, chan_free)
DEFINE_AUTO(chan_listener, struct chan_listener *, chan_listener_free)

/* --- one request from a file ------------------------------------------------------------------ */

static int answer_one(struct broker *b, const char *path, bool *granted, struct err *e)
{
	auto_buf struct buf in = { 0 };
	auto_mem char *answer = NULL;
	auto_of(json) json_t *j = NULL;
	int r = fd_file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, BROKER_TEXT_MAX, &in, e);

	if (r == 0)
		r = broker_answer(b, "offline", (const char *)in.p, in.len, &answer, e);
	if (r < 0)
		return r;
	puts(answer);
	j = json_loads(answer, 0, NULL);
	*granted = !json_object_get(j, "error");
	return 0;
}

/* --- a service -------------------------------------------------------------------------------- */

static int request_serve(struct broker *b, struct chan *c, struct err *e)
{
	auto_mem char *answer = NULL;
	struct chan_msg m;
	int r = chan_recv(c, &m, ASK_MS, e);

	if (r < 0)
		return r;
	if (m.type != BROKER_REQUEST || m.body_len)
		return err_set(e, -EPROTO, "message of type %u", m.type);
	r = broker_answer(b, c->peer, (const char *)m.head, m.head_len, &answer, e);
	if (r < 0)
		return r;
	m = (struct chan_msg){ .type = BROKER_ANSWER,
			       .head = (const uint8_t *)answer,
			       .head_len = strlen(answer) };
	return chan_send(c, &m, e);
}

static void host_serve(struct broker *b, struct chan *c)
{
	struct err e = { 0 };
	int r = 0;

	for (unsigned i = 0; i < REQUESTS_MAX && r == 0; i++)
		r = request_serve(b, c, &e);
	if (r < 0 && r != -ECONNRESET)
		log_warn("broker", "%s: %s", c->peer, e.msg);
}

static int serve(const struct broker_cfg *cfg, struct broker *b, struct err *e)
{
	const struct chan_tls_config tls = { .dir = cfg->tls_dir };
	auto_of(chan_listener) struct chan_listener *l = NULL;
	auto_fd int end = cli_end_fd(e);
	int r = end < 0 ? end : chan_listen(cfg->listen, &tls, &l, e);

	if (r < 0)
		return r;
	log_info("broker", "listening on %s", chan_listener_uri(l));
	for (;;) {
		struct pollfd p[] = { { .fd = end, .events = POLLIN },
				      { .fd = chan_listener_fd(l), .events = POLLIN } };
		auto_of(chan) struct chan *c = NULL;
		struct err why = { 0 };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_set(e, -errno, "poll: %m");
		if (p[0].revents)
			return 0;
		if (!p[1].revents)
			continue;
		if (chan_accept(l, 0, &c, &why) == 0)
			host_serve(b, c);
		else if (why.code != -ETIMEDOUT)
			log_warn("broker", "%s", why.msg);
	}
}

int cli_owner_broker_main(int argc, char **argv)
{
	struct broker_cfg cfg = { 0 };
	auto_of(broker) struct broker *b = NULL;
	struct opt_args args;
	struct err e = { 0 };
	bool granted = true;
	int code, r;

	if (!cli_parse(&broker_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (!cfg.state || !cfg.listen == !cfg.answer)
		return cli_usage(&broker_cmd, "--state and one of --listen and --answer are "
					      "needed");
	r = broker_open(cfg.state, NULL, &b, &e);
	if (r == 0)
		r = cfg.answer ? answer_one(b, cfg.answer, &granted, &e) : serve(&cfg, b, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	return granted ? CLI_OK : CLI_FAILED;
}
