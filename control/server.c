/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "control/conn.h"
#include "control/reply.h"

/* While a migration goes on, its state is looked at this often to make events. */
#define TICK_MS 100
/* A client that leaves more than this unread is not read from until it does. */
#define QUEUE_PAUSE 65536u

struct seen { /* what clients were told last */
	enum vm_state vm;
	const char *migration;
	unsigned pass;
	unsigned resets;
};

struct control_server {
	const struct control_ops *ops;
	void *ctx;
	int listen_fd, wake_fd; /* owned */
	pthread_t thread;
	bool started;
	atomic_bool stopping;
	uint64_t end_ms; /* set before stopping */
	struct control_state state;
	struct seen seen;
	struct conn clients[CONTROL_CLIENTS_MAX];
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void state_look(struct control_server *s)
{
	memset(&s->state, 0, sizeof(s->state));
	s->ops->state(s->ctx, &s->state);
}

/* --- what goes out -------------------------------------------------------------------------- */

/* Takes what. A client that cannot be told is dropped. */
static void client_say(struct conn *c, json_t *what)
{
	struct err e = { 0 };
	int r = conn_say(c, what, &e);

	json_decref(what);
	if (r == 0)
		r = conn_flush(c, &e);
	if (r < 0) {
		log_debug("control", "client dropped: %s", e.msg);
		conn_close(c);
	}
}

static void event_send(struct control_server *s, const char *name, json_t *data)
{
	json_t *event = control_event_json(name, data);

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].ready)
			client_say(&s->clients[i], json_incref(event));
	json_decref(event);
}

static void shutdown_event(struct control_server *s)
{
	static const char *const reasons[] = { [VM_END_NONE] = "none",
					       [VM_END_POWEROFF] = "guest-shutdown",
					       [VM_END_RESET] = "guest-reset",
					       [VM_END_ERROR] = "guest-panic" };

	event_send(s, "SHUTDOWN",
		   json_pack("{s:b, s:s, s:s}", "guest", 1, "reason", reasons[s->state.end],
			     "x-sevmig", s->state.why ? s->state.why : ""));
}

/* Compare with what clients were told last; tell them the difference. */
static void events_send(struct control_server *s)
{
	const char *migration = control_migration_status(&s->state);
	struct seen was = s->seen;

	s->seen = (struct seen){ s->state.vm, migration, s->state.mig.pass, s->state.resets };
	if (was.resets != s->state.resets)
		event_send(s, "RESET",
			   json_pack("{s:b, s:s}", "guest", 1, "reason", "guest-reset"));
	if (was.vm != VM_RUNNING && s->state.vm == VM_RUNNING)
		event_send(s, "RESUME", NULL);
	if (was.vm == VM_RUNNING && s->state.vm == VM_PAUSED)
		event_send(s, "STOP", NULL);
	if (was.vm != VM_ENDED && s->state.vm == VM_ENDED && !s->state.restarts)
		shutdown_event(s);
	if (was.pass != s->state.mig.pass && s->state.mig.pass)
		event_send(s, "MIGRATION_PASS", json_pack("{s:i}", "pass", (int)s->state.mig.pass));
	if (strcmp(was.migration, migration) != 0)
		event_send(s, "MIGRATION", json_pack("{s:s}", "status", migration));
}

/* --- what comes in -------------------------------------------------------------------------- */

static json_t *measure_query(struct control_server *s, struct err *e)
{
	if (s->state.measured)
		return control_measure_json(&s->state);
	err_set(e, -ENODATA, "this guest was not launched here: there is no launch measurement");
	return NULL;
}

static json_t *query_run(struct control_server *s, enum control_cmd cmd, struct err *e)
{
	state_look(s);
	switch ((int)cmd) {
	case CONTROL_QUERY_VERSION:
		return control_version_json();
	case CONTROL_QUERY_COMMANDS:
		return control_commands_json();
	case CONTROL_QUERY_NAME:
		return json_pack("{s:s}", "name", s->state.name);
	case CONTROL_QUERY_STATUS:
		return control_status_json(&s->state);
	case CONTROL_QUERY_MIGRATE:
		return control_migrate_json(&s->state);
	case CONTROL_QUERY_SEV:
		return control_sev_json(&s->state);
	default:
		return measure_query(s, e);
	}
}

static json_t *guest_run(struct control_server *s, const struct control_request *r, struct err *e)
{
	json_t *answer = NULL;

	if (s->ops->guest(s->ctx, r->cmd, &r->args, &answer, e) < 0)
		return NULL;
	return answer ? answer : json_object();
}

static int action_run(struct control_server *s, const struct control_request *r, struct err *e)
{
	switch ((int)r->cmd) {
	case CONTROL_MIGRATE:
		return s->ops->migrate(s->ctx, &r->args, e);
	case CONTROL_MIGRATE_CANCEL:
		return s->ops->migrate_cancel(s->ctx, e);
	case CONTROL_MIGRATE_PARAMETERS:
		return s->ops->parameters(s->ctx, &r->args, e);
	case CONTROL_STOP:
	case CONTROL_CONT:
		return s->ops->run(s->ctx, r->cmd == CONTROL_CONT, e);
	case CONTROL_ADOPT:
		return s->ops->adopt(s->ctx, e);
	default:
		s->ops->quit(s->ctx);
		return 0;
	}
}

/* The answer's value, or NULL with *e set. */
static json_t *request_run(struct control_server *s, const struct control_request *r, struct err *e)
{
	if (r->cmd >= CONTROL_QUERY_VERSION && r->cmd <= CONTROL_QUERY_MEASURE)
		return query_run(s, r->cmd, e);
	if (r->cmd >= CONTROL_INJECT_SECRET)
		return guest_run(s, r, e);
	return action_run(s, r, e) < 0 ? NULL : json_object();
}

/* QMP: the first command is qmp_capabilities, and only the first. */
static int negotiation_check(struct conn *c, enum control_cmd cmd, struct err *e)
{
	if (!c->ready && cmd != CONTROL_CAPABILITIES)
		return err_set(e, -ENOSYS,
			       "Expecting capabilities negotiation with 'qmp_capabilities'");
	if (c->ready && cmd == CONTROL_CAPABILITIES)
		return err_set(e, -ENOSYS,
			       "Capabilities negotiation is already complete, command ignored");
	return 0;
}

static bool line_blank(const char *line, size_t len)
{
	while (len && (*line == ' ' || *line == '\t' || *line == '\r')) {
		line++;
		len--;
	}
	return len == 0;
}

static void line_handle(struct control_server *s, struct conn *c, const char *line, size_t len)
{
	struct control_request req;
	struct err e = { 0 };
	json_t *value = NULL;
	int r;

	if (line_blank(line, len))
		return;
	r = control_request_get(line, len, &req, &e);
	if (r == 0)
		r = negotiation_check(c, req.cmd, &e);
	if (r == 0 && req.cmd == CONTROL_CAPABILITIES) {
		c->ready = true;
		value = json_object();
	} else if (r == 0) {
		value = request_run(s, &req, &e);
	}
	if (!value && !e.code)
		err_set(&e, -ENOMEM, "no memory for an answer");
	client_say(c, value ? control_return_json(value, req.id) : control_error_json(&e, req.id));
	control_request_fini(&req);
	state_look(s);
	events_send(s);
}

/* Lines that are there, as long as the client reads its answers. */
static void lines_handle(struct control_server *s, struct conn *c)
{
	const char *line;
	size_t len;

	while (c->fd >= 0 && !c->closing && conn_queued(c) < QUEUE_PAUSE &&
	       conn_line(c, &line, &len))
		line_handle(s, c, line, len);
	if (c->fd >= 0 && !c->closing && conn_overlong(c)) {
		struct err e = { 0 };

		err_set(&e, -EINVAL, "request longer than %u bytes", CONTROL_LINE_MAX);
		c->closing = true;
		client_say(c, control_error_json(&e, NULL));
	}
}

static bool line_waits(const struct conn *c)
{
	return c->in.len > c->in_at && memchr(c->in.p + c->in_at, '\n', c->in.len - c->in_at);
}

static void client_serve(struct control_server *s, struct conn *c, short revents)
{
	struct err e = { 0 };
	int r = 0;

	if (revents & POLLOUT)
		r = conn_flush(c, &e);
	if (r == 0 && (revents & (POLLIN | POLLHUP | POLLERR)) && !c->ended && !c->closing)
		r = conn_fill(c, &e);
	else if (r == 0 && (revents & (POLLHUP | POLLERR)))
		r = -ECONNRESET;
	if (r < 0) {
		conn_close(c);
		return;
	}
	lines_handle(s, c);
	if (c->fd >= 0 && c->ended && !line_waits(c))
		c->closing = true;
	if (c->fd >= 0 && c->closing && conn_queued(c) == 0)
		conn_close(c);
}

/* --- clients come --------------------------------------------------------------------------- */

static int client_add(struct control_server *s, int fd, struct err *e)
{
	auto_fd int owned = fd;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct conn *c = &s->clients[i];
		int r;

		if (c->fd >= 0)
			continue;
		r = conn_open(c, steal_fd(&owned), e);
		if (r == 0)
			client_say(c, control_greeting_json());
		return r;
	}
	return err_set(e, -EMFILE, "control socket: %u clients are enough", CONTROL_CLIENTS_MAX);
}

static void client_accept(struct control_server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err e = { 0 };

	if (fd < 0) {
		/* Out of descriptors, say: the connection stays in the backlog, so poll would
		 * come back at once. A client can wait that long. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		return;
	}
	if (client_add(s, fd, &e) < 0)
		log_warn("control", "%s", e.msg);
}

/* --- the loop ------------------------------------------------------------------------------- */

static short client_events(const struct conn *c)
{
	short events = 0;

	if (conn_queued(c))
		events |= POLLOUT;
	if (!c->closing && !c->ended && conn_queued(c) < QUEUE_PAUSE)
		events |= POLLIN;
	return events;
}

static unsigned clients_count(const struct control_server *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		n += s->clients[i].fd >= 0;
	return n;
}

/* Is it time to end? If not, how long may poll wait? */
static bool loop_ends(struct control_server *s, int *timeout)
{
	bool active = s->state.role != CONTROL_ROLE_NONE &&
		      s->state.mig.outcome == MIG_OUTCOME_NONE &&
		      s->state.mig.phase != MIG_PHASE_NONE;
	uint64_t now;

	*timeout = active ? TICK_MS : -1;
	if (!atomic_load(&s->stopping))
		return false;
	now = now_ms();
	if (now >= s->end_ms || clients_count(s) == 0)
		return true;
	*timeout = (int)(s->end_ms - now);
	return false;
}

static void wake_clear(struct control_server *s)
{
	uint64_t n;

	if (read(s->wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warn("control", "wake-up: %m");
}

static void *server_thread(void *arg)
{
	struct control_server *s = arg;
	struct pollfd p[2 + CONTROL_CLIENTS_MAX];
	int timeout;

	while (!loop_ends(s, &timeout)) {
		bool closed = atomic_load(&s->stopping);

		p[0] = (struct pollfd){ s->wake_fd, POLLIN, 0 };
		p[1] = (struct pollfd){ closed ? -1 : s->listen_fd, POLLIN, 0 };
		for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
			p[2 + i] = (struct pollfd){ s->clients[i].fd, client_events(&s->clients[i]),
						    0 };
		if (poll(p, 2 + CONTROL_CLIENTS_MAX, timeout) < 0)
			continue;
		if (p[0].revents)
			wake_clear(s);
		state_look(s);
		events_send(s);
		for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
			if (p[2 + i].revents && s->clients[i].fd == p[2 + i].fd)
				client_serve(s, &s->clients[i], p[2 + i].revents);
		if (p[1].revents)
			client_accept(s);
	}
	return NULL;
}

int control_server_new(int listen_fd, const struct control_ops *ops, void *ctx,
		       struct control_server **out, struct err *e)
{
	struct control_server *s = calloc(1, sizeof(*s));

	if (!s) {
		if (listen_fd >= 0)
			close(listen_fd);
		return err_set(e, -ENOMEM, "control socket: no memory");
	}
	s->listen_fd = listen_fd;
	s->ops = ops;
	s->ctx = ctx;
	s->seen.migration = "none";
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0) {
		int r = err_set(e, -errno, "control socket: eventfd: %m");

		control_server_free(s);
		return r;
	}
	*out = s;
	return 0;
}

int control_server_add(struct control_server *s, int fd, struct err *e)
{
	return client_add(s, fd, e);
}

int control_server_start(struct control_server *s, struct err *e)
{
	int r;

	state_look(s);
	s->seen = (struct seen){ s->state.vm, control_migration_status(&s->state),
				 s->state.mig.pass, s->state.resets };
	r = pthread_create(&s->thread, NULL, server_thread, s);
	if (r)
		return err_set(e, -r, "control socket: no thread");
	s->started = true;
	return 0;
}

void control_server_kick(struct control_server *s)
{
	uint64_t one = 1;

	if (write(s->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("control", "wake-up: %m");
}

void control_server_stop(struct control_server *s, unsigned linger_ms)
{
	if (!s->started)
		return;
	s->end_ms = now_ms() + linger_ms;
	atomic_store(&s->stopping, true);
	control_server_kick(s);
	pthread_join(s->thread, NULL);
	s->started = false;
}

void control_server_free(struct control_server *s)
{
	if (!s)
		return;
	control_server_stop(s, 0);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		conn_close(&s->clients[i]);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	free(s);
}
