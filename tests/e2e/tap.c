/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A wire tap between two ends of a unix: channel. It hands every message on, records all bytes,
 * logs one line a message, and can act at the K-th one, counted from 0 over both directions in
 * the order of their arrival:
 *
 *	tap LISTEN_PATH CONNECT_PATH LOG [record=FILE] [at=K|type=T] [do=lose|cut|half]
 *	    [kill=PID] [after] [dead] [tamper=TYPE:flip|index|drop|swap|replay]
 *
 * With type it acts at the first message of that type.
 *
 * With a port number as CONNECT_PATH and tcp as LISTEN_PATH it passes bytes on between two TCP ends
 * of 127.0.0.1, whatever they are, and only records; its own port stands in the log.
 *
 * lose: the message is not delivered and the connection is cut; half: half of it is delivered
 * first; cut (with after): cut once it was delivered. kill sends SIGKILL instead of, or beside,
 * cutting. dead: no later connection is let through. Later connections are passed on untouched.
 *
 * tamper: of the first message of that type, flip a bit of the body or of the number that begins
 * the head's content, or drop it and close the gap in the numbers; swap what follows that number
 * with that of the next such message; or keep it, cut the connection, and put it in the place of
 * the first one of a later connection.
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

enum tamper { FLIP, INDEX, DROP, SWAP, REPLAY, NO_TAMPER };
static const char *const tampers[] = { "flip", "index", "drop", "swap", "replay" };
#define INDEX_AT (CHAN_FRAME_LEN + 8u) /* after the prefix all heads have */
#define INDEX_LEN 4u

struct tap {
	const char *to;
	FILE *log;
	FILE *record;
	long at, at_type; /* -1: not */
	long seen;
	uint16_t port; /* of the TCP end to connect to; 0: unix sockets */
	pid_t kill;
	bool after, half, dead, cut, struck;
	enum tamper tamper;
	unsigned tamper_type;
	bool tampered;
	struct buf kept;  /* a message for later */
	uint64_t dropped; /* in this connection, so that the others can be numbered as if not */
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

static bool pass(int to, const uint8_t *p, size_t len)
{
	struct err e = { 0 };

	return fd_write_all(to, p, len, "tap", &e) == 0;
}

static void exchange(uint8_t *a, uint8_t *b, size_t len)
{
	for (size_t i = INDEX_AT + INDEX_LEN; i < len; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

/* With a message kept from before, and one of the same length. */
static bool tamper_kept(struct tap *t, int to, uint8_t *p, size_t len)
{
	if (len != t->kept.len)
		return false;
	t->tampered = true;
	if (t->tamper == REPLAY) {
		memcpy(t->kept.p, p, CHAN_FRAME_LEN);
		return pass(to, t->kept.p, len);
	}
	exchange(t->kept.p, p, len);
	return pass(to, t->kept.p, len) && pass(to, p, len);
}

/* Hand a message on, or what is made of it; false ends the connection. */
static bool tamper(struct tap *t, int to, uint8_t *p, size_t len)
{
	struct err e = { 0 };

	fprintf(t->log, "tamper %ld\n", t->seen);
	fflush(t->log);
	if (t->kept.len)
		return tamper_kept(t, to, p, len);
	if (t->tamper == SWAP || t->tamper == REPLAY)
		return buf_add(&t->kept, p, len, &e) == 0 && t->tamper == SWAP;
	t->tampered = true;
	if (t->tamper == FLIP)
		p[len - 1] ^= 1;
	else if (t->tamper == INDEX)
		p[INDEX_AT] ^= 1;
	t->dropped += t->tamper == DROP;
	return t->tamper == DROP || pass(to, p, len);
}

static bool hand_on(struct tap *t, unsigned type, int to, uint8_t *p, size_t len)
{
	if (t->tamper != NO_TAMPER && type == t->tamper_type && !t->tampered)
		return tamper(t, to, p, len);
	return pass(to, p, len);
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
		f.seq -= way == '>' ? t->dropped : 0;
		len = CHAN_FRAME_LEN + f.head_len + f.body_len;
		if (b->len < len)
			return true;
		chan_frame_put(b->p, &f);
		fprintf(t->log, "%ld %c type %u head %u body %u\n", t->seen, way, f.type,
			f.head_len, f.body_len);
		fflush(t->log);
		if (t->record && fwrite(b->p, 1, len, t->record) != len)
			return false;
		hit = (t->seen == t->at || f.type == t->at_type) && !t->struck;
		if (hit && !strike(t, to, b->p, len))
			return false;
		t->seen++;
		if (!hit && !hand_on(t, f.type, to, b->p, len))
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

	t->dropped = 0;
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

static bool tamper_option(struct tap *t, const char *a)
{
	char *how;

	t->tamper_type = (unsigned)strtoul(a, &how, 10);
	for (unsigned i = 0; *how == ':' && i < NO_TAMPER; i++) {
		if (!strcmp(how + 1, tampers[i])) {
			t->tamper = (enum tamper)i;
			return true;
		}
	}
	return false;
}

static bool option(struct tap *t, const char *a)
{
	if (!strncmp(a, "at=", 3))
		t->at = atol(a + 3);
	else if (!strncmp(a, "type=", 5))
		t->at_type = atol(a + 5);
	else if (!strncmp(a, "kill=", 5))
		t->kill = (pid_t)atol(a + 5);
	else if (!strncmp(a, "record=", 7))
		return (t->record = fopen(a + 7, "we")) != NULL;
	else if (!strncmp(a, "tamper=", 7))
		return tamper_option(t, a + 7);
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
	struct tap t = { .at = -1, .at_type = -1, .tamper = NO_TAMPER };
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
