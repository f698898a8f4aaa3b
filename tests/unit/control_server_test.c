/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "control/client.h"
#include "control/control.h"

#define WAIT_MS 10000

DEFINE_AUTO(json, json_t *, json_decref)

/* A guest without a guest: what the ops were asked, and the state they show. */
struct fake {
	pthread_mutex_t lock;
	struct control_state state;
	char asked[64];
	unsigned quits;
	struct control_server *server;
	int client; /* the far end of the first client */
};

static void asked_set(struct fake *f, const char *what)
{
	pthread_mutex_lock(&f->lock);
	snprintf(f->asked, sizeof(f->asked), "%s", what);
	pthread_mutex_unlock(&f->lock);
}

static void fake_state(void *ctx, struct control_state *out)
{
	struct fake *f = ctx;

	pthread_mutex_lock(&f->lock);
	*out = f->state;
	pthread_mutex_unlock(&f->lock);
}

static int fake_run(void *ctx, bool on, struct err *e)
{
	struct fake *f = ctx;

	(void)e;
	pthread_mutex_lock(&f->lock);
	f->state.vm = on ? VM_RUNNING : VM_PAUSED;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int fake_migrate(void *ctx, const struct control_args *a, struct err *e)
{
	if (strcmp(a->uri, "bad") == 0)
		return err_set(e, -EINVAL, "bad: not a URI \xff");
	asked_set(ctx, a->uri);
	return 0;
}

static int fake_cancel(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, -ENOENT, "no migration is under way");
}

static int fake_parameters(void *ctx, const struct control_args *a, struct err *e)
{
	char text[64];

	(void)e;
	snprintf(text, sizeof(text), "limit %llu", (unsigned long long)a->downtime_limit.v);
	asked_set(ctx, text);
	return 0;
}

static int fake_adopt(void *ctx, struct err *e)
{
	(void)e;
	asked_set(ctx, "adopt");
	return 0;
}

static int fake_guest(void *ctx, enum control_cmd cmd, const struct control_args *a,
		      json_t **answer, struct err *e)
{
	struct fake *f = ctx;

	if (cmd == CONTROL_DEBUG_DIGEST && f->state.vm == VM_RUNNING)
		return err_set(e, -EBUSY, "the guest is running");
	if (cmd == CONTROL_DEBUG_DIGEST)
		*answer = json_pack("{s:s}", "digest", "abcd");
	else
		asked_set(f, a->path ? a->path : a->data);
	return 0;
}

static void fake_quit(void *ctx)
{
	struct fake *f = ctx;

	pthread_mutex_lock(&f->lock);
	f->quits++;
	pthread_mutex_unlock(&f->lock);
}

static const struct control_ops fake_ops = {
	.state = fake_state,
	.run = fake_run,
	.migrate = fake_migrate,
	.migrate_cancel = fake_cancel,
	.parameters = fake_parameters,
	.adopt = fake_adopt,
	.guest = fake_guest,
	.quit = fake_quit,
};

static int client_new(struct fake *f)
{
	struct err e = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(control_server_add(f->server, fd[0], &e), 0);
	return fd[1];
}

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct err e = { 0 };

	assert_non_null(f);
	pthread_mutex_init(&f->lock, NULL);
	snprintf(f->state.name, sizeof(f->state.name), "probe");
	f->state.vm = VM_PAUSED;
	f->state.vcpus = 1;
	f->state.memory = 64u << 20;
	assert_int_equal(control_server_new(-1, &fake_ops, f, &f->server, &e), 0);
	f->client = client_new(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	if (f->client >= 0)
		close(f->client);
	control_server_free(f->server);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

static void start(struct fake *f)
{
	struct err e = { 0 };

	assert_int_equal(control_server_start(f->server, &e), 0);
}

/* The next document, or NULL at the end of the connection. */
static json_t *hear(int fd)
{
	static char line[CONTROL_QUEUE_MAX];
	size_t n = 0;

	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		if (recv(fd, line + n, 1, 0) != 1)
			return NULL;
		if (line[n++] == '\n')
			return json_loadb(line, n, 0, NULL);
		assert_true(n < sizeof(line));
	}
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Says text; the answer must have this value (its JSON, keys sorted). */
static void answers(int fd, const char *text, const char *wanted)
{
	auto_of(json) json_t *j = NULL;
	auto_mem char *got = NULL;

	say(fd, text);
	j = hear(fd);
	assert_non_null(j);
	got = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(got, wanted);
}

static void fails(int fd, const char *text, const char *class, const char *desc)
{
	auto_of(json) json_t *j = NULL;
	json_t *error;

	say(fd, text);
	j = hear(fd);
	assert_non_null(j);
	error = json_object_get(j, "error");
	assert_non_null(error);
	assert_string_equal(json_string_value(json_object_get(error, "class")), class);
	assert_string_equal(json_string_value(json_object_get(error, "desc")), desc);
}

static void greet(int fd)
{
	auto_of(json) json_t *j = hear(fd);

	assert_non_null(json_object_get(j, "QMP"));
	answers(fd, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]}}\n",
		"{\"return\":{}}");
}

static void greets_and_negotiates_once(void **state)
{
	struct fake *f = *state;
	auto_of(json) json_t *greeting = NULL;

	start(f);
	greeting = hear(f->client);
	assert_non_null(json_object_get(json_object_get(greeting, "QMP"), "capabilities"));
	fails(f->client, "{\"execute\":\"query-name\"}\n", "CommandNotFound",
	      "Expecting capabilities negotiation with 'qmp_capabilities'");
	answers(f->client, "{\"execute\":\"qmp_capabilities\"}\n", "{\"return\":{}}");
	fails(f->client, "{\"execute\":\"qmp_capabilities\"}\n", "CommandNotFound",
	      "Capabilities negotiation is already complete, command ignored");
	answers(f->client, " \r\n{\"execute\":\"query-name\",\"id\":{\"a\":1}}\r\n",
		"{\"id\":{\"a\":1},\"return\":{\"name\":\"probe\"}}");
}

static void requests_reach_the_ops(void **state)
{
	struct fake *f = *state;

	start(f);
	greet(f->client);
	answers(f->client, "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:/x\"}}\n",
		"{\"return\":{}}");
	assert_string_equal(f->asked, "unix:/x");
	answers(f->client,
		"{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"downtime-limit\":9}}\n",
		"{\"return\":{}}");
	assert_string_equal(f->asked, "limit 9");
	answers(f->client, "{\"execute\":\"x-adopt\"}\n", "{\"return\":{}}");
	assert_string_equal(f->asked, "adopt");
	answers(f->client,
		"{\"execute\":\"x-debug-dump-shared\",\"arguments\":{\"path\":\"/p\"}}\n",
		"{\"return\":{}}");
	assert_string_equal(f->asked, "/p");
	answers(f->client, "{\"execute\":\"x-console-write\",\"arguments\":{\"data\":\"ls\"}}\n",
		"{\"return\":{}}");
	assert_string_equal(f->asked, "ls");
	answers(f->client, "{\"execute\":\"x-debug-digest\"}\n",
		"{\"return\":{\"digest\":\"abcd\"}}");
	answers(f->client, "{\"execute\":\"quit\"}\n", "{\"return\":{}}");
	assert_int_equal(f->quits, 1);
}

static void refusals_name_the_reason(void **state)
{
	struct fake *f = *state;

	f->state.vm = VM_RUNNING;
	start(f);
	greet(f->client);
	fails(f->client, "{\"execute\":\"migrate_cancel\"}\n", "GenericError",
	      "no migration is under way");
	fails(f->client, "{\"execute\":\"x-debug-digest\"}\n", "GenericError",
	      "the guest is running");
	fails(f->client, "{\"execute\":\"query-sev-launch-measure\"}\n", "GenericError",
	      "this guest was not launched here: there is no launch measurement");
	fails(f->client, "{\"execute\":\"fly\"}\n", "CommandNotFound",
	      "The command fly has not been found");
	/* What is not UTF-8 in an error is made fit for JSON. */
	fails(f->client, "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"bad\"}}\n",
	      "GenericError", "bad: not a URI ?");
	fails(f->client, "garbage\n", "GenericError",
	      "JSON parse error: invalid token near 'garbage'");
	answers(f->client, "{\"execute\":\"query-name\"}\n", "{\"return\":{\"name\":\"probe\"}}");
}

static void queries_use_the_words_of_qemu(void **state)
{
	struct fake *f = *state;
	auto_of(json) json_t *j = NULL;
	const char *status, *error;
	int downtime, pass;

	f->state.role = CONTROL_ROLE_SOURCE;
	f->state.mig.outcome = MIG_OUTCOME_STAYED;
	f->state.mig.pass = 3;
	f->state.mig.downtime_ns = 7000000;
	snprintf(f->state.mig.reason, sizeof(f->state.mig.reason), "cut");
	f->state.measured = true;
	memset(f->state.measurement, 0xff, sizeof(f->state.measurement));
	start(f);
	greet(f->client);
	say(f->client, "{\"execute\":\"query-migrate\"}\n");
	j = hear(f->client);
	assert_int_equal(json_unpack(j, "{s:{s:s, s:i, s:s, s:{s:i}}}", "return", "status", &status,
				     "downtime", &downtime, "error-desc", &error, "ram",
				     "dirty-sync-count", &pass),
			 0);
	assert_string_equal(status, "failed");
	assert_string_equal(error, "cut");
	assert_int_equal(downtime, 7);
	assert_int_equal(pass, 3);
	answers(f->client, "{\"execute\":\"query-sev-launch-measure\"}\n",
		"{\"return\":{\"data\":\"//////////////////////////////////////////"
		"//////////////////////\"}}");
	answers(f->client, "{\"execute\":\"query-sev\"}\n",
		"{\"return\":{\"api-major\":0,\"api-minor\":0,\"build-id\":0,\"enabled\":true,"
		"\"handle\":0,\"policy\":0,\"sev-type\":\"sev\",\"state\":\"uninit\"}}");
}

static void event_is(int fd, const char *name)
{
	auto_of(json) json_t *j = hear(fd);

	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "event")), name);
	assert_non_null(json_object_get(j, "timestamp"));
}

static void changes_become_events_for_every_client(void **state)
{
	struct fake *f = *state;
	auto_fd int second = client_new(f);

	start(f);
	greet(f->client);
	greet(second);
	answers(f->client, "{\"execute\":\"cont\"}\n", "{\"return\":{}}");
	event_is(f->client, "RESUME");
	event_is(second, "RESUME");
	answers(second, "{\"execute\":\"stop\"}\n", "{\"return\":{}}");
	event_is(f->client, "STOP");
	event_is(second, "STOP");
	pthread_mutex_lock(&f->lock);
	f->state.role = CONTROL_ROLE_SOURCE;
	f->state.mig.phase = MIG_PHASE_PASSES;
	f->state.mig.pass = 1;
	pthread_mutex_unlock(&f->lock);
	control_server_kick(f->server);
	event_is(second, "MIGRATION_PASS");
	event_is(second, "MIGRATION");
	pthread_mutex_lock(&f->lock);
	f->state.vm = VM_ENDED;
	f->state.end = VM_END_POWEROFF;
	f->state.why = "power-off port";
	pthread_mutex_unlock(&f->lock);
	event_is(second, "SHUTDOWN"); /* by the tick of a migration under way */
}

static void overlong_request_ends_the_connection(void **state)
{
	struct fake *f = *state;
	size_t sent = 0;
	char block[4096];
	json_t *j;

	memset(block, 'x', sizeof(block));
	start(f);
	greet(f->client);
	while (sent < CONTROL_LINE_MAX + 2 * sizeof(block)) {
		ssize_t n = send(f->client, block, sizeof(block), MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	assert_true(sent > CONTROL_LINE_MAX);
	j = hear(f->client);
	assert_non_null(json_object_get(j, "error"));
	json_decref(j);
	assert_null(hear(f->client));
}

static void client_that_never_reads_is_dropped_and_blocks_nobody(void **state)
{
	static const char ask[] = "{\"execute\":\"query-commands\"}\n";
	struct fake *f = *state;
	auto_fd int slow = client_new(f);
	bool dropped = false;

	start(f);
	greet(f->client);
	greet(slow);
	/* It asks until nothing more goes in, and never reads... */
	while (send(slow, ask, sizeof(ask) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		continue;
	answers(f->client, "{\"execute\":\"query-name\"}\n", "{\"return\":{\"name\":\"probe\"}}");
	/* ...until the events it is due pass the bound. */
	for (unsigned i = 0; i < 40000 && !dropped; i++) {
		json_decref((say(f->client,
				 i % 2 ? "{\"execute\":\"stop\"}\n" : "{\"execute\":\"cont\"}\n"),
			     hear(f->client)));
		event_is(f->client, i % 2 ? "STOP" : "RESUME");
		dropped = send(slow, " ", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE;
	}
	assert_true(dropped);
	answers(f->client, "{\"execute\":\"query-name\"}\n", "{\"return\":{\"name\":\"probe\"}}");
}

static void client_that_pipelines_and_reads_late_gets_all_answers(void **state)
{
	static const char ask[] = "{\"execute\":\"query-commands\"}\n";
	struct fake *f = *state;
	unsigned asked = 0;

	start(f);
	greet(f->client);
	while (asked < 5000 && send(f->client, ask, sizeof(ask) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) ==
				       (ssize_t)sizeof(ask) - 1)
		asked++;
	assert_true(asked > 100);
	shutdown(f->client, SHUT_WR);
	for (unsigned i = 0; i < asked; i++) {
		json_t *j = hear(f->client);

		assert_non_null(json_object_get(j, "return"));
		json_decref(j);
	}
	assert_null(hear(f->client));
}

static void one_client_too_many_is_turned_away(void **state)
{
	struct fake *f = *state;
	int fds[CONTROL_CLIENTS_MAX], pair[2];
	struct err e = { 0 };

	for (unsigned i = 1; i < CONTROL_CLIENTS_MAX; i++)
		fds[i] = client_new(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(control_server_add(f->server, pair[0], &e), -EMFILE);
	assert_null(hear(pair[1]));
	close(pair[1]);
	for (unsigned i = 1; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
}

static void stop_serves_until_the_last_client_leaves(void **state)
{
	struct fake *f = *state;

	start(f);
	greet(f->client);
	say(f->client, "{\"execute\":\"query-name\"}\n");
	shutdown(f->client, SHUT_WR);
	control_server_stop(f->server, WAIT_MS); /* would time out if the client were kept */
	json_decref(hear(f->client));
	assert_null(hear(f->client));
}

/* The tree's own client, through a listening socket as "sevmig run" makes it. */
static void own_client_calls_and_gets_errors_as_such(void **state)
{
	struct fake *f = *state;
	char dir[] = "/tmp/sevmig-test-XXXXXX";
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct control_client *c = NULL;
	struct control_server *s = NULL;
	struct err e = { 0 };
	json_t *v = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_non_null(mkdtemp(dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", dir);
	assert_int_equal(control_client_open(at.sun_path, WAIT_MS, &c, &e), -ENOENT);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(control_server_new(fd, &fake_ops, f, &s, &e), 0);
	assert_int_equal(control_server_start(s, &e), 0);
	assert_int_equal(control_client_open(at.sun_path, WAIT_MS, &c, &e), 0);
	assert_int_equal(control_client_call(c, "cont", NULL, WAIT_MS, &v, &e), 0);
	json_decref(v);
	assert_int_equal(control_client_call(c, "query-name", NULL, WAIT_MS, &v, &e), 0);
	assert_string_equal(json_string_value(json_object_get(v, "name")), "probe");
	json_decref(v);
	assert_int_equal(control_client_call(c, "migrate_cancel", NULL, WAIT_MS, &v, &e),
			 -EREMOTEIO);
	assert_string_equal(e.msg, "migrate_cancel: no migration is under way");
	control_server_free(s);
	assert_int_equal(control_client_call(c, "query-name", NULL, WAIT_MS, &v, &e), -EPIPE);
	control_client_free(c);
	unlink(at.sun_path);
	rmdir(dir);
}

#define server_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(greets_and_negotiates_once),
		server_test(requests_reach_the_ops),
		server_test(refusals_name_the_reason),
		server_test(queries_use_the_words_of_qemu),
		server_test(changes_become_events_for_every_client),
		server_test(overlong_request_ends_the_connection),
		server_test(client_that_never_reads_is_dropped_and_blocks_nobody),
		server_test(client_that_pipelines_and_reads_late_gets_all_answers),
		server_test(one_client_too_many_is_turned_away),
		server_test(stop_serves_until_the_last_client_leaves),
		server_test(own_client_calls_and_gets_errors_as_such),
	};

	return cmocka_run_group_tests_name("control_server", tests, NULL, NULL);
}
