/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How fast one channel moves memory, one thread a side: messages of 1 MiB, of which a part is body
 * (sealed by its maker: the channel only carries it) and the rest head (sealed by the channel).
 *
 *	chan_bench [MIB]
 *
 * Receiver and sender are one process on loopback, buffers are touched before the clock starts;
 * CPU seconds are of both together, for each GiB.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/auto.h"
#include "chan/chan.h"
#include "chan/pki.h"

#define MESSAGE (1u << 20)
#define WARM_UP 64 /* messages: buffers grow, windows open */

struct side {
	struct chan_listener *l;
	struct chan *c;
	unsigned messages;
	int r;
	struct err e;
};

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *accept_one(void *arg)
{
	struct side *s = arg;

	s->r = chan_accept(s->l, -1, &s->c, &s->e);
	return NULL;
}

static void *recv_all(void *arg)
{
	struct side *s = arg;
	struct chan_msg m;

	for (unsigned i = 0; i < s->messages && s->r == 0; i++)
		s->r = chan_recv(s->c, &m, -1, &s->e);
	return NULL;
}

static int connect_both(const char *uri, const struct chan_tls_config *cfg, struct side *in,
			struct chan **out, struct err *e)
{
	pthread_t t;
	int r = chan_listen(uri, cfg, &in->l, e);

	if (r < 0)
		return r;
	if (pthread_create(&t, NULL, accept_one, in))
		return err_set(e, -EAGAIN, "no thread");
	r = chan_connect(chan_listener_uri(in->l), cfg, 10000, out, e);
	if (r < 0)
		chan_listener_abort(in->l);
	pthread_join(t, NULL);
	return r;
}

static int send_all(struct chan *c, unsigned messages, const struct chan_msg *m, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < messages && r == 0; i++)
		r = chan_send(c, m, e);
	return r;
}

/* Sends and receives so many; the receiver's end of it is the end. */
static int move(struct chan *c, struct side *in, unsigned messages, const struct chan_msg *m,
		struct err *e)
{
	pthread_t t;
	int r;

	in->messages = messages;
	if (pthread_create(&t, NULL, recv_all, in))
		return err_set(e, -EAGAIN, "no thread");
	r = send_all(c, messages, m, e);
	if (r < 0)
		chan_abort(in->c);
	pthread_join(t, NULL);
	if (r == 0 && in->r < 0)
		*e = in->e;
	return r < 0 ? r : in->r;
}

static int measure(const char *uri, const struct chan_tls_config *cfg, unsigned percent,
		   unsigned messages, const uint8_t *data, struct err *e)
{
	size_t body = (size_t)MESSAGE / 100 * percent;
	struct chan_msg m = { 4, data, MESSAGE - body, data + MESSAGE - body, body };
	struct side in = { 0 };
	struct chan *c = NULL;
	double wall = 0, cpu = 0, gib = (double)messages * MESSAGE / (1u << 30);
	int r = connect_both(uri, cfg, &in, &c, e);

	if (r == 0)
		r = move(c, &in, WARM_UP, &m, e);
	if (r == 0) {
		wall = now(CLOCK_MONOTONIC);
		cpu = now(CLOCK_PROCESS_CPUTIME_ID);
		r = move(c, &in, messages, &m, e);
		wall = now(CLOCK_MONOTONIC) - wall;
		cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	}
	if (r == 0)
		printf("%-4.4s %4u%% %8.2f %12.2f   %s\n", uri, percent,
		       gib * (1u << 30) / 1e9 / wall, cpu / gib, c->peer);
	chan_free(c);
	chan_free(in.c);
	chan_listener_free(in.l);
	return r;
}

static int measure_all(const char *dir, unsigned messages, const uint8_t *data, struct err *e)
{
	static const unsigned percents[] = { 0, 25, 50, 75, 100 };
	char certs[80], unix_uri[80];
	struct chan_tls_config cfg = { .dir = certs };
	int r = 0;

	snprintf(certs, sizeof(certs), "%s/bench", dir);
	snprintf(unix_uri, sizeof(unix_uri), "unix:%s/socket", dir);
	printf("kind body     GB/s  CPU s / GiB   over\n");
	for (unsigned i = 0; r == 0 && i < sizeof(percents) / sizeof(*percents); i++)
		r = measure("tls://127.0.0.1:0", &cfg, percents[i], messages, data, e);
	return r < 0 ? r : measure(unix_uri, NULL, 100, messages, data, e);
}

static int run(const char *dir, unsigned messages, struct err *e)
{
	static const struct pki_opts local = { .local = true };
	auto_mem uint8_t *data = malloc(MESSAGE);
	int r = pki_init(dir, e);

	if (r == 0)
		r = pki_issue(dir, "bench", &local, e);
	if (r == 0 && !data)
		r = err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		return r;
	for (size_t i = 0; i < MESSAGE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	return measure_all(dir, messages, data, e);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/sevmig-bench-XXXXXX", cmd[64];
	int mib = argc > 1 ? atoi(argv[1]) : 2048;
	struct err e = { 0 };
	int r;

	if (argc > 2 || mib <= 0 || !mkdtemp(dir)) {
		fprintf(stderr, "chan_bench: usage: chan_bench [MIB]\n");
		return 2;
	}
	r = run(dir, (unsigned)mib, &e);
	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", dir);
	if (system(cmd) != 0 && r == 0)
		r = err_set(&e, -EIO, "%s stays behind", dir);
	if (r < 0)
		fprintf(stderr, "chan_bench: %s\n", e.msg);
	return r < 0;
}
