/* SPDX-License-Identifier: Apache-2.0 */
#include "control/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control.h"
#include "control/request.h"

#define READ_CHUNK 65536u

int conn_open(struct conn *c, int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	memset(c, 0, sizeof(*c));
	c->fd = fd;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		int r = err_set(e, -errno, "control socket: %m");

		conn_close(c);
		return r;
	}
	return 0;
}

void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_fini(&c->in);
	buf_fini(&c->out);
}

size_t conn_queued(const struct conn *c)
{
	return c->out.len - c->out_at;
}

/* Forget the first *at bytes. */
static void used_drop(struct buf *b, size_t *at)
{
	if (*at && *at < b->len)
		memmove(b->p, b->p + *at, b->len - *at);
	b->len -= *at;
	*at = 0;
}

int conn_say(struct conn *c, const json_t *what, struct err *e)
{
	auto_mem char *text = what ? json_dumps(what, JSON_COMPACT) : NULL;
	size_t len;
	int r;

	if (!text)
		return err_set(e, -ENOMEM, "control socket: no memory for an answer");
	len = strlen(text);
	if (conn_queued(c) + len + 2 > CONTROL_QUEUE_MAX)
		return err_set(e, -ENOBUFS, "control socket: a client does not read");
	used_drop(&c->out, &c->out_at);
	r = buf_add(&c->out, text, len, e);
	return r < 0 ? r : buf_add(&c->out, "\r\n", 2, e);
}

int conn_flush(struct conn *c, struct err *e)
{
	while (conn_queued(c)) {
		ssize_t n = send(c->fd, c->out.p + c->out_at, conn_queued(c), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return err_set(e, -errno, "control socket: %m");
		c->out_at += (size_t)n;
	}
	used_drop(&c->out, &c->out_at);
	return 0;
}

int conn_fill(struct conn *c, struct err *e)
{
	ssize_t n;
	int r;

	used_drop(&c->in, &c->in_at);
	r = buf_reserve(&c->in, READ_CHUNK, e);
	if (r < 0)
		return r;
	n = recv(c->fd, c->in.p + c->in.len, READ_CHUNK, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_set(e, -errno, "control socket: %m");
	if (n == 0)
		c->ended = true;
	c->in.len += (size_t)n;
	return 0;
}

bool conn_line(struct conn *c, const char **line, size_t *len)
{
	const char *start = (const char *)c->in.p + c->in_at;
	const char *end = c->in.len > c->in_at ? memchr(start, '\n', c->in.len - c->in_at) : NULL;

	if (!end)
		return false;
	*line = start;
	*len = (size_t)(end - start);
	c->in_at += *len + 1;
	return true;
}

bool conn_overlong(const struct conn *c)
{
	return c->in.len - c->in_at > CONTROL_LINE_MAX;
}
