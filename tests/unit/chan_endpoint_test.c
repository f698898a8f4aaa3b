/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/chan_util.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

static char *dir;
static char path[64], uri_unix[160], uri_file[160];

static int set_up(void **state)
{
	(void)state;
	dir = folder_new();
	snprintf(path, sizeof(path), "%s/x", dir);
	snprintf(uri_unix, sizeof(uri_unix), "unix:%s", path);
	snprintf(uri_file, sizeof(uri_file), "file:%s", path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	folder_free(dir);
	return 0;
}

static void connected(struct chan_listener **l, struct chan **a, struct chan **b)
{
	struct err e = { 0 };

	assert_int_equal(chan_listen(uri_unix, NULL, l, &e), 0);
	assert_string_equal(chan_listener_uri(*l), uri_unix);
	assert_true(chan_listener_fd(*l) >= 0);
	assert_int_equal(chan_connect(uri_unix, NULL, WAIT_MS, a, &e), 0);
	assert_int_equal(chan_accept(*l, WAIT_MS, b, &e), 0);
}

static void unix_carries_all_sizes_both_ways(void **state)
{
	struct chan_listener *l;
	struct chan *a, *b;

	(void)state;
	connected(&l, &a, &b);
	assert_non_null(strstr(b->peer, path));
	round_trip(a, b);
	round_trip(b, a);
	chan_free(a);
	expect_fails(b, -ECONNRESET);
	chan_free(b);
	chan_listener_free(l);
	assert_int_equal(access(path, F_OK), -1); /* its own it removes */
}

static void unix_socket_is_for_its_owner_alone(void **state)
{
	struct chan_listener *l;
	struct stat st;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_listen(uri_unix, NULL, &l, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0700, 0);
	chan_listener_free(l);
}

static void unix_does_not_replace_a_file(void **state)
{
	struct chan_listener *l;
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fd_file_replace(path, "mine", 4, 0644, &e), 0);
	assert_int_equal(chan_listen(uri_unix, NULL, &l, &e), -EEXIST);
	assert_int_equal(fd_file_read(path, 100, &b, &e), 0);
	assert_memory_equal(b.p, "mine", 4);
}

static void unix_does_not_take_a_socket_in_use(void **state)
{
	struct chan_listener *l, *m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_listen(uri_unix, NULL, &l, &e), 0);
	assert_int_equal(chan_listen(uri_unix, NULL, &m, &e), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	chan_listener_free(l);
}

static void unix_replaces_a_stale_socket(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct chan_listener *l;
	struct chan *a, *b;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	connected(&l, &a, &b);
	chan_free(a);
	chan_free(b);
	chan_listener_free(l);
}

static void unix_leaves_what_another_put_in_its_place(void **state)
{
	struct chan_listener *l;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_listen(uri_unix, NULL, &l, &e), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fd_file_replace(path, "new", 3, 0644, &e), 0);
	chan_listener_free(l);
	assert_int_equal(access(path, F_OK), 0);
}

static void accept_waits_no_longer_than_told(void **state)
{
	struct chan_listener *l;
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_listen(uri_unix, NULL, &l, &e), 0);
	assert_int_equal(chan_accept(l, 0, &c, &e), -ETIMEDOUT);
	assert_int_equal(chan_accept(l, 5, &c, &e), -ETIMEDOUT);
	chan_listener_free(l);
}

struct acceptor {
	struct chan_listener *l;
	pthread_barrier_t *start;
	int r;
};

static void *accept_until_it_fails(void *arg)
{
	struct acceptor *a = arg;
	struct chan *c;
	struct err e = { 0 };

	pthread_barrier_wait(a->start);
	a->r = chan_accept(a->l, -1, &c, &e);
	return NULL;
}

static void abort_breaks_a_blocked_accept(void **state)
{
	pthread_barrier_t start;
	struct acceptor a = { .start = &start };
	struct chan *c;
	struct err e = { 0 };
	pthread_t t;

	(void)state;
	assert_int_equal(chan_listen(uri_unix, NULL, &a.l, &e), 0);
	pthread_barrier_init(&start, NULL, 2);
	assert_int_equal(pthread_create(&t, NULL, accept_until_it_fails, &a), 0);
	pthread_barrier_wait(&start);
	chan_listener_abort(a.l);
	pthread_join(t, NULL);
	assert_int_equal(a.r, -ECANCELED);
	assert_int_equal(chan_accept(a.l, -1, &c, &e), -ECANCELED);
	chan_listener_free(a.l);
	pthread_barrier_destroy(&start);
}

static void connecting_to_nobody_says_so(void **state)
{
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_connect(uri_unix, NULL, WAIT_MS, &c, &e), -ENOENT);
	assert_non_null(strstr(e.msg, path));
	assert_int_equal(chan_connect("tcp://127.0.0.1:1", NULL, WAIT_MS, &c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "tls://"));
}

static void file_holds_what_was_sent(void **state)
{
	struct chan_listener *l;
	struct sender s = { 0 };
	struct chan_msg m;
	struct stat st;
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_connect(uri_file, NULL, WAIT_MS, &s.c, &e), 0);
	send_all_sizes(&s);
	assert_int_equal(s.r, 0);
	assert_int_equal(chan_recv(s.c, &m, 0, &e), -EOPNOTSUPP);
	assert_int_equal(chan_pending(s.c, -1, &e), 0);
	chan_free(s.c);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	assert_int_equal(chan_listen(uri_file, NULL, &l, &e), 0);
	for (int i = 0; i < 2; i++) { /* and can be read again */
		assert_int_equal(chan_accept(l, WAIT_MS, &c, &e), 0);
		assert_int_equal(chan_pending(c, 0, &e), 1);
		recv_all_sizes(c);
		assert_int_equal(send_text(c, 1, "", "", &e), -EOPNOTSUPP);
		assert_int_equal(chan_pending(c, 0, &e), 1);
		expect_fails(c, -ECONNRESET);
		chan_free(c);
	}
	chan_listener_free(l);
}

static void file_is_never_overwritten(void **state)
{
	auto_buf struct buf b = { 0 };
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fd_file_replace(path, "mine", 4, 0644, &e), 0);
	assert_int_equal(chan_connect(uri_file, NULL, WAIT_MS, &c, &e), -EEXIST);
	assert_int_equal(fd_file_read(path, 100, &b, &e), 0);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.p, "mine", 4);
}

static void file_cut_at_any_byte_ends_there(void **state)
{
	struct chan_listener *l;
	struct stat st;
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_connect(uri_file, NULL, WAIT_MS, &c, &e), 0);
	assert_int_equal(send_text(c, 3, "head", "body", &e), 0);
	chan_free(c);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(chan_listen(uri_file, NULL, &l, &e), 0);
	for (off_t k = st.st_size - 1; k >= 0; k--) {
		assert_int_equal(truncate(path, k), 0);
		assert_int_equal(chan_accept(l, WAIT_MS, &c, &e), 0);
		expect_fails(c, -ECONNRESET);
		chan_free(c);
	}
	chan_listener_free(l);
}

static void refuses_a_file_that_is_none(void **state)
{
	struct chan_listener *l;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_listen(uri_file, NULL, &l, &e), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(chan_listen(uri_file, NULL, &l, &e), -EINVAL);
}

#define each(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(unix_carries_all_sizes_both_ways),
		each(unix_socket_is_for_its_owner_alone),
		each(unix_does_not_replace_a_file),
		each(unix_does_not_take_a_socket_in_use),
		each(unix_replaces_a_stale_socket),
		each(unix_leaves_what_another_put_in_its_place),
		each(accept_waits_no_longer_than_told),
		each(abort_breaks_a_blocked_accept),
		each(connecting_to_nobody_says_so),
		each(file_holds_what_was_sent),
		each(file_is_never_overwritten),
		each(file_cut_at_any_byte_ends_there),
		each(refuses_a_file_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
