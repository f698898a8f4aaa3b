/* SPDX-License-Identifier: Apache-2.0 */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "control/conn.h"

struct control_client {
	struct conn conn;
};

DEFINE_AUTO(client, struct control_client *, control_client_free)
DEFINE_AUTO(json, json_t *, json_decref)

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until something can be read or the time is over. */
static int wait_in(struct control_client *c, int64_t end, struct err *e)
{
	struct pollfd p = { c->conn.fd, POLLIN, 0 };
	int64_t left = end - now_ms();
	int n = poll(&p, 1, left > 0 ? (int)left : 0);

	if (n < 0 && errno != EINTR)
		return err_set(e, -errno, "poll: %m");
	if (n == 0)
		return err_set(e, -ETIMEDOUT, "no answer in time");
	return 0;
}

/* The next document, or NULL with *e set. */
static json_t *document_read(struct control_client *c, int64_t end, struct err *e)
{
	json_error_t why;
	const char *line;
	size_t len;
	json_t *j;

	while (!conn_line(&c->conn, &line, &len)) {
		if (c->conn.ended || conn_overlong(&c->conn)) {
			err_set(e, -ECONNRESET, "the connection ended without an answer");
			return NULL;
		}
		if (wait_in(c, end, e) < 0 || conn_fill(&c->conn, e) < 0)
			return NULL;
	}
	j = json_loadb(line, len, 0, &why);
	if (!j)
		err_set(e, -EPROTO, "an answer that is not JSON: %s", why.text);
	return j;
}

/* The answer to the request just made; events on the way are dropped. */
static int answer_read(struct control_client *c, int64_t end, json_t **value, struct err *e)
{
	for (;;) {
		auto_of(json) json_t *j = document_read(c, end, e);
		const char *desc;

		if (!j)
			return e->code;
		if (json_object_get(j, "return")) {
			*value = json_incref(json_object_get(j, "return"));
			return 0;
		}
		if (json_unpack(j, "{s:{s:s}}", "error", "desc", &desc) == 0)
			return err_set(e, -EREMOTEIO, "%s", desc);
		if (!json_object_get(j, "event"))
			return err_set(e, -EPROTO, "an answer that is not QMP's");
	}
}

int control_client_call(struct control_client *c, const char *cmd, json_t *args, int timeout_ms,
			json_t **value, struct err *e)
{
	auto_of(json) json_t *request = json_pack("{s:s}", "execute", cmd);
	int64_t end = now_ms() + timeout_ms;
	int r;

	if (args && json_object_set_new(request, "arguments", args) < 0)
		return err_set(e, -EINVAL, "%s: an argument that is not UTF-8", cmd);
	r = conn_say(&c->conn, request, e);
	if (r == 0)
		r = conn_flush(&c->conn, e);
	if (r == 0 && conn_queued(&c->conn))
		r = err_set(e, -ETIMEDOUT, "the other side does not read");
	if (r == 0)
		r = answer_read(c, end, value, e);
	return r < 0 ? err_wrap(e, r, "%s", cmd) : 0;
}

static int socket_connect(const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(e, -errno, "socket: %m");
	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG, "%s: too long for a socket", path);
	memcpy(at.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_set(e, -errno, "%s: %m", path);
	return steal_fd(&fd);
}

static int client_greet(struct control_client *c, int timeout_ms, struct err *e)
{
	auto_of(json) json_t *greeting = document_read(c, now_ms() + timeout_ms, e);
	auto_of(json) json_t *nothing = NULL;

	if (!greeting)
		return e->code;
	if (!json_object_get(greeting, "QMP"))
		return err_set(e, -EPROTO, "greeting is not QMP's");
	return control_client_call(c, "qmp_capabilities", NULL, timeout_ms, &nothing, e);
}

int control_client_open(const char *path, int timeout_ms, struct control_client **out,
			struct err *e)
{
	auto_of(client) struct control_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "no memory");
	c->conn.fd = -1;
	r = socket_connect(path, e);
	if (r < 0)
		return r;
	r = conn_open(&c->conn, r, e);
	if (r == 0)
		r = client_greet(c, timeout_ms, e);
	if (r < 0)
		return err_wrap(e, r, "%s", path);
	*out = steal_ptr(&c);
	return 0;
}

void control_client_free(struct control_client *c)
{
	if (!c)
		return;
	conn_close(&c->conn);
	free(c);
}
