/* SPDX-License-Identifier: Apache-2.0 */

/* Listening, accepting and connecting: what a URI's kind means. */

#include "chan/chan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "chan/sock.h"
#include "chan/tls.h"
#include "chan/uri.h"
#include "chan/wire.h"
#include "crypto/secret.h"

/* A peer that connects and says nothing holds up a listener for this long, and for the shorter time
 * when somebody else waits: that may be a source which asks for its guest. */
#define HANDSHAKE_MS 10000
#define HANDSHAKE_YIELD_MS 1000

struct chan_listener {
	struct chan_io io;
	struct chan_uri uri;
	struct chan_tls *tls; /* owned; NULL unless tls */
	struct stat made;     /* unix: the socket file; st_ino 0: none */
	char text[CHAN_PATH_MAX + 8];
};

DEFINE_AUTO(listener, struct chan_listener *, chan_listener_free)
DEFINE_AUTO(creds, struct chan_tls *, chan_tls_free)

/* --- from a connected descriptor to a channel ----------------------------------------------- */

static void handshake_end(struct chan_keys *keys, struct chan_io *io, int r)
{
	crypto_wipe(keys, sizeof(*keys));
	if (r == 0)
		return;
	chan_io_linger(io); /* the alert with our reason should arrive */
	chan_io_fini(io);
}

/* Takes *io. host: NULL on the server. */
static int tls_finish(struct chan_tls *tls, struct chan_io *io, const char *host, int64_t deadline,
		      struct chan **out, struct err *e)
{
	char peer[192], addr[CHAN_ADDR_TEXT], cc[16], cn[CHAN_CN_TEXT];
	struct chan_keys keys = { 0 };
	struct chan_wire_config cfg = { .tcp = true, .keys = &keys, .peer = peer };
	int64_t limit = chan_io_deadline(HANDSHAKE_MS);
	int r;

	chan_tcp_tune(io->fd);
	chan_tcp_addr(io->fd, true, addr);
	chan_tcp_congestion(io->fd, cc);
	r = chan_tls_handshake(tls, io, host, limit < deadline ? limit : deadline, &keys, cn, e);
	if (r < 0)
		err_wrap(e, r, "tls %s", addr);
	else
		snprintf(peer, sizeof(peer), "tls CN=%s (%s)%s%s", cn, addr, *cc ? " " : "", cc);
	if (r == 0)
		r = chan_wire_new(io, &cfg, out, e);
	handshake_end(&keys, io, r);
	return r;
}

static int unix_finish(struct chan_io *io, const char *path, struct chan **out, struct err *e)
{
	struct chan_wire_config cfg = { .mode = CHAN_WIRE_BOTH };
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	char peer[160];

	chan_unix_tune(io->fd);
	if (getsockopt(io->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		snprintf(peer, sizeof(peer), "unix %.110s", path);
	else
		snprintf(peer, sizeof(peer), "unix %.110s (pid %d uid %u)", path, cred.pid,
			 cred.uid);
	cfg.peer = peer;
	return chan_wire_new(io, &cfg, out, e);
}

static int file_finish(struct chan_io *io, const char *path, enum chan_wire_mode mode,
		       struct chan **out, struct err *e)
{
	char peer[160];
	struct chan_wire_config cfg = { .mode = mode, .peer = peer };

	snprintf(peer, sizeof(peer), "file %.150s", path);
	return chan_wire_new(io, &cfg, out, e);
}

/* --- listening ------------------------------------------------------------------------------ */

static int file_open(const char *path, int *out, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not hold us before we see that it is one. */
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s: %m", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: not a regular file", path);
	*out = steal_fd(&fd);
	return 0;
}

static int listener_open(struct chan_listener *l, int *fd, struct err *e)
{
	switch (l->uri.kind) {
	case CHAN_KIND_TLS:
		return chan_tcp_listen(&l->uri, fd, e);
	case CHAN_KIND_UNIX:
		return chan_unix_listen(l->uri.path, fd, &l->made, e);
	case CHAN_KIND_FILE:
		return file_open(l->uri.path, fd, e);
	}
	return err_set(e, -EINVAL, "unknown kind of channel");
}

static void text_make(struct chan_listener *l, const char *uri)
{
	const struct chan_uri *u = &l->uri;
	bool v6 = strchr(u->host, ':');

	if (u->kind == CHAN_KIND_TLS)
		snprintf(l->text, sizeof(l->text), "tls://%s%s%s:%d", v6 ? "[" : "", u->host,
			 v6 ? "]" : "", chan_tcp_port(l->io.fd));
	else
		snprintf(l->text, sizeof(l->text), "%s", uri);
}

int chan_listen(const char *uri, const struct chan_tls_config *tls, struct chan_listener **out,
		struct err *e)
{
	auto_of(listener) struct chan_listener *l = calloc(1, sizeof(*l));
	int fd = -1, r;

	if (!l)
		return err_set(e, -ENOMEM, "no memory for a listener");
	l->io = CHAN_IO_NONE;
	r = chan_uri_parse(uri, &l->uri, e);
	if (r == 0 && l->uri.kind == CHAN_KIND_TLS)
		r = chan_tls_new(tls, true, &l->tls, e);
	if (r == 0)
		r = listener_open(l, &fd, e);
	if (r < 0)
		return err_wrap(e, r, "listen");
	r = chan_io_init(&l->io, fd, l->uri.kind == CHAN_KIND_FILE, e);
	if (r < 0)
		return r;
	text_make(l, uri);
	*out = steal_ptr(&l);
	return 0;
}

const char *chan_listener_uri(const struct chan_listener *l)
{
	return l->text;
}

int chan_listener_fd(const struct chan_listener *l)
{
	return l->io.fd;
}

void chan_listener_abort(struct chan_listener *l)
{
	chan_io_abort(&l->io);
}

void chan_listener_free(struct chan_listener *l)
{
	if (!l)
		return;
	if (l->made.st_ino)
		chan_unix_unlink(l->uri.path, &l->made);
	chan_io_fini(&l->io);
	chan_tls_free(l->tls);
	free(l);
}

/* --- accepting ------------------------------------------------------------------------------ */

static int accept_fd(struct chan_listener *l, int64_t deadline, int *out, struct err *e)
{
	for (;;) {
		int r = chan_io_wait(&l->io, POLLIN, deadline, e);

		if (r < 0)
			return r;
		*out = accept4(l->io.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (*out >= 0)
			return 0;
		/* Gone again before we came to it: accept(2), "Error handling". */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			return err_set(e, -errno, "accept: %m");
	}
}

/* The listener's abort also breaks off a handshake: it waits on the listener's own eventfd. */
static int accept_tls(struct chan_listener *l, int fd, struct chan **out, struct err *e)
{
	struct chan_io io = CHAN_IO_NONE;
	int r = chan_io_init(&io, fd, false, e);

	if (r < 0)
		return r;
	io.parent = &l->io;
	io.yield_at = chan_io_deadline(HANDSHAKE_YIELD_MS);
	return tls_finish(l->tls, &io, NULL, CHAN_IO_FOREVER, out, e);
}

static int accept_unix(struct chan_listener *l, int fd, struct chan **out, struct err *e)
{
	struct chan_io io = CHAN_IO_NONE;
	int r = chan_io_init(&io, fd, false, e);

	return r < 0 ? r : unix_finish(&io, l->uri.path, out, e);
}

/* Each accept reads the file from its beginning. */
static int accept_file(struct chan_listener *l, struct chan **out, struct err *e)
{
	struct chan_io io = CHAN_IO_NONE;
	int fd = -1, r = file_open(l->uri.path, &fd, e);

	if (r == 0)
		r = chan_io_init(&io, fd, true, e);
	return r < 0 ? r : file_finish(&io, l->uri.path, CHAN_WIRE_READ, out, e);
}

int chan_accept(struct chan_listener *l, int timeout_ms, struct chan **out, struct err *e)
{
	int fd = -1, r;

	if (l->uri.kind == CHAN_KIND_FILE) {
		r = chan_io_wait(&l->io, POLLIN, CHAN_IO_FOREVER, e); /* ready, unless aborted */
		return r < 0 ? r : accept_file(l, out, e);
	}
	r = accept_fd(l, chan_io_deadline(timeout_ms), &fd, e);
	if (r < 0)
		return err_wrap(e, r, "%s", l->text);
	return l->tls ? accept_tls(l, fd, out, e) : accept_unix(l, fd, out, e);
}

/* --- connecting ----------------------------------------------------------------------------- */

static int connect_tls(const struct chan_uri *u, const struct chan_tls_config *cfg,
		       int64_t deadline, struct chan **out, struct err *e)
{
	auto_of(creds) struct chan_tls *tls = NULL;
	struct chan_io io = CHAN_IO_NONE;
	int fd = -1, r = chan_tls_new(cfg, false, &tls, e);

	if (r == 0)
		r = chan_tcp_connect(u, deadline, &fd, e);
	if (r == 0)
		r = chan_io_init(&io, fd, false, e);
	return r < 0 ? r : tls_finish(tls, &io, u->host, deadline, out, e);
}

static int connect_unix(const struct chan_uri *u, struct chan **out, struct err *e)
{
	struct chan_io io = CHAN_IO_NONE;
	int fd = -1, r = chan_unix_connect(u->path, &fd, e);

	if (r == 0)
		r = chan_io_init(&io, fd, false, e);
	return r < 0 ? r : unix_finish(&io, u->path, out, e);
}

static int connect_file(const struct chan_uri *u, struct chan **out, struct err *e)
{
	struct chan_io io = CHAN_IO_NONE;
	int r, fd = open(u->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(e, -errno, "%s: %m%s", u->path,
			       errno == EEXIST ? "; not overwritten" : "");
	r = chan_io_init(&io, fd, true, e);
	return r < 0 ? r : file_finish(&io, u->path, CHAN_WIRE_WRITE, out, e);
}

static int connect_any(const struct chan_uri *u, const struct chan_tls_config *tls, int timeout_ms,
		       struct chan **out, struct err *e)
{
	switch (u->kind) {
	case CHAN_KIND_TLS:
		return connect_tls(u, tls, chan_io_deadline(timeout_ms), out, e);
	case CHAN_KIND_UNIX:
		return connect_unix(u, out, e);
	case CHAN_KIND_FILE:
		return connect_file(u, out, e);
	}
	return err_set(e, -EINVAL, "unknown kind of channel");
}

int chan_connect(const char *uri, const struct chan_tls_config *tls, int timeout_ms,
		 struct chan **out, struct err *e)
{
	auto_mem struct chan_uri *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return err_set(e, -ENOMEM, "no memory for a URI");
	r = chan_uri_parse(uri, u, e);
	if (r == 0)
		r = connect_any(u, tls, timeout_ms, out, e);
	return r < 0 ? err_wrap(e, r, "connect to %.200s", uri) : 0;
}
