/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A wire tap between two ends of a unix: channel. It hands every message on, records all bytes,
 * logs one line a message, and can act at the K-th one, counted from 0 over both directions in
 * the order of their arrival:
 *
 *	tap LISTEN_PATH CONNECT_PATH LOG [record=FILE] [at=K] [do=lose|cut|half]
 *	    [kill=PID] [after] [dead]
 *
 * With a port number as CONNECT_PATH and tcp as LISTEN_PATH it passes bytes on between two TCP ends
 * of 127.0.0.1, whatever they are, and only records; its own port stands in the log.
 *
 * lose: the message is not delivered and the connection is cut; half: half of it is delivered
 * first; cut (with after): cut once it was delivered. kill sends SIGKILL instead of, or beside,
 * cutting. dead: no later connection is let through. Later connections are passed on untouched.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "chan/frame.h"

struct tap {
	const char *to;
	FILE *log;
	FILE *record;
	long at;
	long seen;
	uint16_t port; /* of the TCP end to connect to; 0: unix sockets */
	pid_t kill;
	bool after, half, dead, cut, struck;
};

static int unix_socket(const char *path, bool listening)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, path, strlen(path));
	if (listening) {
		unlink(path);
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8))
			return -1;
	} else if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		return -1;
	}
	return steal_fd(&fd);
}

/* port 0: listen on a free one, and say which. */
static int tcp_socket(struct tap *t, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t len = sizeof(a);
	auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	if (port && connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return -1;
	if (!port && (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8) ||
		      getsockname(fd, (struct sockaddr *)&a, &len)))
		return -1;
	if (!port)
		fprintf(t->log, "port %u\n", ntohs(a.sin_port));
	return steal_fd(&fd);
}

/* Strike at this message. Returns false when the connection is to be cut now. */
static bool strike(struct tap *t, int to, const uint8_t *p, size_t len)
{
	struct err e = { 0 };

	t->struck = true;
	fprintf(t->log, "strike %ld\n", t->seen);
	fflush(t->log);
	if (t->half && fd_write_all(to, p, len / 2, "tap", &e) < 0)
		fprintf(t->log, "half: %s\n", e.msg);
	if (t->after && fd_write_all(to, p, len, "tap", &e) < 0)
		fprintf(t->log, "after: %s\n", e.msg);
	if (t->kill)
		kill(t->kill, SIGKILL);
	return !t->cut;
}

/* Hand on the whole messages in b; false ends the connection. */
static bool forward(struct tap *t, struct buf *b, int to, char way)
{
	struct chan_frame f;
	struct err e = { 0 };

	while (b->len >= CHAN_FRAME_LEN) {
		size_t len;
		bool hit;

		if (chan_frame_get(b->p, &f, &e) < 0) {
			fprintf(t->log, "bad frame: %s\n", e.msg);
			return false;
		}
		len = CHAN_FRAME_LEN + f.head_len + f.body_len;
		if (b->len < len)
			return true;
		fprintf(t->log, "%ld %c type %u head %u body %u\n", t->seen, way, f.type,
			f.head_len, f.body_len);
		fflush(t->log);
		if (t->record && fwrite(b->p, 1, len, t->record) != len)
			return false;
		hit = t->seen == t->at && !t->struck;
		if (hit && !strike(t, to, b->p, len))
			return false;
		t->seen++;
		if (!hit && fd_write_all(to, b->p, len, "tap", &e) < 0)
			return false;
		memmove(b->p, b->p + len, b->len - len);
		b->len -= len;
	}
	return true;
}

/* One read from one side; false at its end. */
static bool pump(struct tap *t, int from, int to, struct buf *b, char way)
{
	struct err e = { 0 };
	ssize_t n;

	if (buf_reserve(b, 1u << 20, &e) < 0)
		return false;
	n = read(from, b->p + b->len, 1u << 20);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	b->len += (size_t)n;
	if (!t->port)
		return forward(t, b, to, way);
	b->len = 0;
	return (!t->record || fwrite(b->p, 1, (size_t)n, t->record) == (size_t)n) &&
	       fd_write_all(to, b->p, (size_t)n, "tap", &e) == 0;
}

static void serve(struct tap *t, int client)
{
	auto_fd int server = t->port ? tcp_socket(t, t->port) : unix_socket(t->to, false);
	auto_buf struct buf up = { 0 }, down = { 0 };
	struct pollfd p[2] = { { .fd = client, .events = POLLIN },
			       { .fd = server, .events = POLLIN } };

	if (server < 0) {
		fprintf(t->log, "nobody at %s: %s\n", t->to, strerrorname_np(errno));
		return;
	}
	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[0].revents && !pump(t, client, server, &up, '>'))
			return;
		if (p[1].revents && !pump(t, server, client, &down, '<'))
			return;
	}
}

static bool option(struct tap *t, const char *a)
{
	if (!strncmp(a, "at=", 3))
		t->at = atol(a + 3);
	else if (!strncmp(a, "kill=", 5))
		t->kill = (pid_t)atol(a + 5);
	else if (!strncmp(a, "record=", 7))
		return (t->record = fopen(a + 7, "we")) != NULL;
	else if (!strcmp(a, "after"))
		t->after = true;
	else if (!strcmp(a, "dead"))
		t->dead = true;
	else if (!strcmp(a, "do=half"))
		t->half = t->cut = true;
	else if (!strcmp(a, "do=lose") || !strcmp(a, "do=cut"))
		t->cut = true;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct tap t = { .at = -1 };
	int l;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 4 || !(t.log = fopen(argv[3], "we")))
		return 2;
	t.to = argv[2];
	for (int i = 4; i < argc; i++)
		if (!option(&t, argv[i]))
			return 2;
	if (!strcmp(argv[1], "tcp"))
		t.port = (uint16_t)atoi(t.to);
	l = t.port ? tcp_socket(&t, 0) : unix_socket(argv[1], true);
	if (l < 0)
		return 1;
	fprintf(t.log, "ready\n");
	fflush(t.log);
	for (;;) {
		auto_fd int c = accept(l, NULL, NULL);

		if (c >= 0 && !(t.dead && t.struck))
			serve(&t, c);
		fflush(t.log);
		if (t.record)
			fflush(t.record);
	}
}
