/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/chan_util.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "chan/pki.h"
#include "chan/tls.h"

static char *dir;

/* Folders of certificates: one CA with three holders, another with one. */
static char a_dir[128], b_dir[128], old_dir[128], far_dir[128], alien_dir[128];

static int issue(const char *ca, const char *name, const struct pki_opts *o, char out[128])
{
	char at[96];
	struct err e = { 0 };

	snprintf(at, sizeof(at), "%s/%s", dir, ca);
	snprintf(out, 128, "%s/%s", at, name);
	return pki_issue(at, name, o, &e);
}

static int set_up(void **state)
{
	static const struct pki_opts local = { .local = true };
	static const struct pki_opts old = { .days = -1, .local = true };
	char at[96];
	struct err e = { 0 };
	int r;

	(void)state;
	dir = folder_new();
	snprintf(at, sizeof(at), "%s/ours", dir);
	r = pki_init(at, &e);
	snprintf(at, sizeof(at), "%s/theirs", dir);
	r = r ? r : pki_init(at, &e);
	r = r ? r : issue("ours", "host-a", &local, a_dir);
	r = r ? r : issue("ours", "host-b", &local, b_dir);
	r = r ? r : issue("ours", "old", &old, old_dir);
	r = r ? r : issue("ours", "far", NULL, far_dir);
	return r ? r : issue("theirs", "alien", &local, alien_dir);
}

static int tear_down(void **state)
{
	(void)state;
	folder_free(dir);
	return 0;
}

struct side {
	struct chan_listener *l;
	struct chan *c;
	int r;
	struct err e;
	pthread_t t;
};

static struct chan_listener *listener(const char *certs, const char *peer_name)
{
	struct chan_tls_config cfg = { .dir = certs, .peer_name = peer_name };
	struct chan_listener *l;
	struct err e = { 0 };

	if (chan_listen("tls://127.0.0.1:0", &cfg, &l, &e) < 0)
		fail_msg("%s", e.msg);
	return l;
}

static void *accept_one(void *arg)
{
	struct side *s = arg;

	s->c = NULL;
	s->r = chan_accept(s->l, WAIT_MS, &s->c, &s->e);
	return NULL;
}

static void accept_start(struct side *s)
{
	assert_int_equal(pthread_create(&s->t, NULL, accept_one, s), 0);
}

static void accept_end(struct side *s)
{
	pthread_join(s->t, NULL);
}

static int port_of(const struct chan_listener *l)
{
	return atoi(strrchr(chan_listener_uri(l), ':') + 1);
}

/* One connection to server->l; both outcomes are the caller's to look at. */
static void join(struct side *server, struct side *client, const char *certs, const char *name)
{
	struct chan_tls_config cfg = { .dir = certs, .peer_name = name };

	client->c = NULL;
	accept_start(server);
	client->r =
		chan_connect(chan_listener_uri(server->l), &cfg, WAIT_MS, &client->c, &client->e);
	accept_end(server);
}

static void both_free(struct side *server, struct side *client)
{
	chan_free(client->c);
	chan_free(server->c);
	client->c = server->c = NULL;
}

static void both_well(struct side *server, struct side *client)
{
	if (client->r < 0 || server->r < 0)
		fail_msg("client: %s; server: %s", client->e.msg, server->e.msg);
}

static void carries_all_sizes_both_ways(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) }, client = { 0 };

	(void)state;
	join(&server, &client, a_dir, NULL);
	both_well(&server, &client);
	round_trip(client.c, server.c);
	round_trip(server.c, client.c);
	assert_non_null(strstr(client.c->peer, "CN=host-b (127.0.0.1:"));
	assert_non_null(strstr(server.c->peer, "CN=host-a (127.0.0.1:"));
	chan_free(client.c);
	expect_fails(server.c, -ECONNRESET);
	chan_free(server.c);
	chan_listener_free(server.l);
}

static void names_may_be_required_of_either_side(void **state)
{
	struct side server = { .l = listener(b_dir, "host-a") }, client = { 0 };

	(void)state;
	join(&server, &client, a_dir, "host-b");
	both_well(&server, &client);
	both_free(&server, &client);
	join(&server, &client, b_dir, "host-b"); /* a good certificate, not host-a's */
	assert_int_equal(server.r, -EACCES);
	assert_non_null(strstr(server.e.msg, "not for \"host-a\""));
	assert_int_equal(client.r, -EACCES);
	assert_non_null(strstr(client.e.msg, "peer rejected our certificate"));
	chan_listener_free(server.l);
}

struct refusal {
	char *server, *client;
	const char *client_wants, *client_says, *server_says;
};

/* Each is told to both sides, in words, and the next connection to the same listener is good. */
static void refuses_certificates_and_goes_on(void **state)
{
	const struct refusal all[] = {
		{ b_dir, old_dir, NULL, "peer rejected our certificate: certificate expired",
		  "certificate has expired" },
		{ b_dir, alien_dir, "host-b", "peer's certificate: ",
		  "peer rejected our certificate: signed by a CA it does not know" },
		{ old_dir, a_dir, NULL, "certificate has expired",
		  "peer rejected our certificate: certificate expired" },
		{ far_dir, a_dir, NULL, "not for \"127.0.0.1\"", "peer rejected our certificate" },
		{ b_dir, a_dir, "host-c", "not for \"host-c\"", "peer rejected our certificate" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct side server = { .l = listener(all[i].server, NULL) }, client = { 0 };

		join(&server, &client, all[i].client, all[i].client_wants);
		assert_int_equal(client.r, -EACCES);
		assert_int_equal(server.r, -EACCES);
		if (!strstr(client.e.msg, all[i].client_says) ||
		    !strstr(server.e.msg, all[i].server_says))
			fail_msg("client: %s; server: %s", client.e.msg, server.e.msg);
		if (all[i].server == b_dir) {
			join(&server, &client, a_dir, NULL);
			both_well(&server, &client);
			both_free(&server, &client);
		}
		chan_listener_free(server.l);
	}
}

/* A client that trusts our CA but whose own certificate another one signed. */
static void refuses_a_client_of_another_ca(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) }, client = { 0 };
	char cmd[1024], mixed[128];

	(void)state;
	snprintf(mixed, sizeof(mixed), "%s/mixed", dir);
	snprintf(cmd, sizeof(cmd), "cp -r '%s' '%s' && cp '%s/ca-cert.pem' '%s/'", alien_dir, mixed,
		 a_dir, mixed);
	assert_int_equal(system(cmd), 0);
	join(&server, &client, mixed, NULL);
	assert_int_equal(client.r, -EACCES);
	assert_non_null(strstr(client.e.msg, "peer rejected our certificate: signed by a CA"));
	assert_int_equal(server.r, -EACCES);
	chan_listener_free(server.l);
}

static void says_which_file_is_missing(void **state)
{
	struct chan_tls_config cfg = { .dir = "/nonexistent" };
	struct chan_listener *l;
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_listen("tls://127.0.0.1:0", &cfg, &l, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nonexistent/ca-cert.pem"));
	assert_int_equal(chan_connect("tls://127.0.0.1:1", &cfg, WAIT_MS, &c, &e), -ENOENT);
	assert_int_equal(chan_connect("tls://127.0.0.1:1", NULL, WAIT_MS, &c, &e), -EINVAL);
}

/* --- peers that are no sevmig --------------------------------------------------------------- */

static int plain_connect(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void refuses_plain_text(void **state)
{
	static const char *const texts[] = { "GET / HTTP/1.0\r\n\r\n", "SVM1, but in the clear", "",
					     "\x16\x03\x01" };
	struct side server = { .l = listener(b_dir, NULL) }, client = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int fd = plain_connect(port_of(server.l));

		assert_int_equal(send(fd, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
		shutdown(fd, SHUT_WR);
		accept_start(&server);
		accept_end(&server);
		assert_int_equal(server.r, strlen(texts[i]) > 3 ? -EPROTO : -ECONNRESET);
		close(fd);
	}
	join(&server, &client, a_dir, NULL);
	both_well(&server, &client);
	both_free(&server, &client);
	chan_listener_free(server.l);
}

/* OpenSSL's own client. */
static SSL *ssl_on(int fd, int max_version, const char *certs)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char path[160];
	SSL *ssl;

	assert_non_null(ctx);
	SSL_CTX_set_max_proto_version(ctx, max_version);
	if (certs) {
		snprintf(path, sizeof(path), "%s/cert.pem", certs);
		assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, path), 1);
		snprintf(path, sizeof(path), "%s/key.pem", certs);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM), 1);
	}
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	assert_non_null(ssl);
	SSL_set_fd(ssl, fd);
	return ssl;
}

static void foreign(struct side *server, int max_version, const char *certs, const char *text)
{
	int fd = plain_connect(port_of(server->l));
	SSL *ssl = ssl_on(fd, max_version, certs);
	char got[64];

	accept_start(server);
	if (SSL_connect(ssl) == 1 && SSL_read(ssl, got, sizeof(got)) > 0)
		SSL_write(ssl, text, (int)strlen(text));
	shutdown(fd, SHUT_WR);
	accept_end(server);
	SSL_free(ssl);
	close(fd);
}

static void refuses_tls_1_2(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) };

	(void)state;
	foreign(&server, TLS1_2_VERSION, a_dir, "");
	assert_int_equal(server.r, -EPROTO);
	assert_non_null(strstr(server.e.msg, "TLS 1.3"));
	chan_listener_free(server.l);
}

static void refuses_a_client_without_a_certificate(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) };

	(void)state;
	foreign(&server, TLS1_3_VERSION, NULL, "");
	assert_int_equal(server.r, -EACCES);
	assert_non_null(strstr(server.e.msg, "no certificate"));
	chan_listener_free(server.l);
}

static void refuses_another_protocol_inside_tls(void **state)
{
	static const char *const texts[] = { "GET / HTTP/1.1\r\n\r\nabcdef",
					     "sevmig channel 1 server\n",
					     "sevmig channel 1 client\nand more",
					     "sevmig channel 1 clie" };
	struct side server = { .l = listener(b_dir, NULL) };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		foreign(&server, TLS1_3_VERSION, a_dir, texts[i]);
		assert_int_equal(server.r, -EPROTO);
		assert_non_null(strstr(server.e.msg, "not as a sevmig"));
	}
	foreign(&server, TLS1_3_VERSION, a_dir, "sevmig channel 1 client\n");
	assert_int_equal(server.r, 0); /* so it was the text, not the test's client */
	expect_fails(server.c, -ECONNRESET);
	chan_free(server.c);
	chan_listener_free(server.l);
}

/* --- silence -------------------------------------------------------------------------------- */

#define HANDSHAKE_LIMIT_MS 10000 /* what one silent peer alone may take; see chan/endpoint.c */

static void a_silent_peer_holds_a_listener_no_longer_than_the_limit(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) }, client = { 0 };
	int fd = plain_connect(port_of(server.l));

	(void)state;
	accept_start(&server);
	accept_end(&server); /* ten seconds */
	assert_int_equal(server.r, -ETIMEDOUT);
	join(&server, &client, a_dir, NULL);
	both_well(&server, &client);
	both_free(&server, &client);
	chan_listener_free(server.l);
	close(fd);
}

static void *connect_one(void *arg)
{
	struct side *s = arg;
	struct chan_tls_config cfg = { .dir = a_dir };

	s->c = NULL;
	s->r = chan_connect(chan_listener_uri(s->l), &cfg, HANDSHAKE_LIMIT_MS, &s->c, &s->e);
	return NULL;
}

static void silent_peers_do_not_shut_out_one_who_waits(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) }, client = { .l = server.l };
	int silent[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		silent[i] = plain_connect(port_of(server.l));
	assert_int_equal(pthread_create(&client.t, NULL, connect_one, &client), 0);
	for (int i = 0; i < 4; i++) {
		accept_one(&server);
		assert_int_equal(server.r, i < 3 ? -ETIMEDOUT : 0);
	}
	pthread_join(client.t, NULL);
	both_well(&server, &client);
	both_free(&server, &client);
	chan_listener_free(server.l);
	for (int i = 0; i < 3; i++)
		close(silent[i]);
}

static void abort_breaks_a_handshake_with_a_silent_peer(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) };
	int fd = plain_connect(port_of(server.l));

	(void)state;
	accept_start(&server);
	chan_listener_abort(server.l);
	accept_end(&server);
	assert_int_equal(server.r, -ECANCELED);
	chan_listener_free(server.l);
	close(fd);
}

static void a_client_does_not_wait_for_a_silent_server(void **state)
{
	struct chan_tls_config cfg = { .dir = a_dir };
	struct side server = { .l = listener(b_dir, NULL) }; /* nobody accepts */
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_connect(chan_listener_uri(server.l), &cfg, 50, &c, &e), -ETIMEDOUT);
	chan_listener_free(server.l);
}

static void connecting_to_nobody_says_so(void **state)
{
	struct chan_tls_config cfg = { .dir = a_dir };
	struct chan_listener *l = listener(b_dir, NULL);
	char uri[64];
	struct chan *c;
	struct err e = { 0 };

	(void)state;
	snprintf(uri, sizeof(uri), "%s", chan_listener_uri(l));
	chan_listener_free(l);
	assert_int_equal(chan_connect(uri, &cfg, WAIT_MS, &c, &e), -ECONNREFUSED);
	assert_non_null(strstr(e.msg, uri));
	assert_int_equal(chan_connect("tls://127.0.0.1:0", &cfg, WAIT_MS, &c, &e), -EINVAL);
}

/* --- a proxy in between: records, and cuts ------------------------------------------------------
 */

struct proxy {
	int listen_fd, to_port;
	size_t limit; /* bytes in both directions before it cuts */
	struct buf seen;
	pthread_t t;
};

/* Passes on what is there; false when it is over. */
static bool pass(struct proxy *p, int from, int to)
{
	uint8_t data[4096];
	size_t left = p->limit - p->seen.len;
	ssize_t n = recv(from, data, left < sizeof(data) ? left : sizeof(data), 0);
	struct err e;

	return n > 0 && buf_add(&p->seen, data, (size_t)n, &e) == 0 &&
	       send(to, data, (size_t)n, MSG_NOSIGNAL) == n && p->seen.len < p->limit;
}

static void *proxy_run(void *arg)
{
	struct proxy *p = arg;
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	bool on = true;

	fds[0].fd = accept(p->listen_fd, NULL, NULL);
	fds[1].fd = plain_connect(p->to_port);
	while (on && poll(fds, 2, WAIT_MS) > 0)
		for (int i = 0; on && i < 2; i++)
			if (fds[i].revents)
				on = pass(p, fds[i].fd, fds[!i].fd);
	close(fds[0].fd);
	close(fds[1].fd);
	return NULL;
}

/* Returns the port to connect to. */
static int proxy_start(struct proxy *p, const struct chan_listener *l, size_t limit)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	*p = (struct proxy){ .to_port = port_of(l), .limit = limit };
	p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(p->listen_fd, 1), 0);
	assert_int_equal(getsockname(p->listen_fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(pthread_create(&p->t, NULL, proxy_run, p), 0);
	return ntohs(sa.sin_port);
}

static void proxy_end(struct proxy *p)
{
	pthread_join(p->t, NULL);
	close(p->listen_fd);
}

static const char secret_head[] = "a head that nobody else may read";
static const char open_body[] = "a body that its maker sealed already";

/* One message each way through a proxy; how many of the four steps went well. */
static unsigned exchange(struct side *server, struct side *client, int port)
{
	struct chan_tls_config cfg = { .dir = a_dir };
	struct chan_msg m;
	char uri[64];
	unsigned steps = 0;

	snprintf(uri, sizeof(uri), "tls://127.0.0.1:%d", port);
	client->c = NULL;
	accept_start(server);
	client->r = chan_connect(uri, &cfg, WAIT_MS, &client->c, &client->e);
	accept_end(server);
	if (client->r < 0 || server->r < 0)
		return 0;
	if (send_text(client->c, 1, secret_head, open_body, &client->e) == 0)
		steps++;
	if (chan_recv(server->c, &m, WAIT_MS, &server->e) == 0)
		steps++;
	if (steps == 2 && send_text(server->c, 2, secret_head, "", &server->e) == 0)
		steps++;
	if (steps == 3 && chan_recv(client->c, &m, WAIT_MS, &client->e) == 0)
		steps++;
	return steps;
}

static void a_watcher_sees_the_body_and_never_the_head(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) }, client = { 0 };
	struct proxy p;

	(void)state;
	assert_int_equal(exchange(&server, &client, proxy_start(&p, server.l, SIZE_MAX)), 4);
	both_free(&server, &client);
	proxy_end(&p);
	assert_non_null(memmem(p.seen.p, p.seen.len, open_body, strlen(open_body)));
	assert_null(memmem(p.seen.p, p.seen.len, secret_head, 8));
	assert_null(memmem(p.seen.p, p.seen.len, "host-a", 6)); /* nor who we are */
	buf_fini(&p.seen);
	chan_listener_free(server.l);
}

/* Wherever the connection is cut, each side gets an error, none hangs and the listener goes on.
 * The handshake's length differs by a few bytes a time, and each cut costs one: so in steps. The
 * sealed messages themselves are cut at every byte in chan_wire_test. */
static void a_cut_anywhere_is_an_error_on_both_sides(void **state)
{
	struct side server = { .l = listener(b_dir, NULL) }, client = { 0 };
	unsigned cut = 0, steps = 0;

	(void)state;
	for (size_t k = 1; steps < 4; k += k % 2 ? 66 : 33) {
		struct proxy p;

		steps = exchange(&server, &client, proxy_start(&p, server.l, k));
		if (steps < 4) {
			assert_true(client.r < 0 || client.c);
			assert_true(steps || client.r < 0 || server.r < 0);
			assert_true(client.e.code == -ECONNRESET || server.e.code == -ECONNRESET);
			cut++;
		}
		both_free(&server, &client);
		proxy_end(&p);
		buf_fini(&p.seen);
	}
	assert_true(cut > 40);
	chan_listener_free(server.l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_all_sizes_both_ways),
		cmocka_unit_test(names_may_be_required_of_either_side),
		cmocka_unit_test(refuses_certificates_and_goes_on),
		cmocka_unit_test(refuses_a_client_of_another_ca),
		cmocka_unit_test(says_which_file_is_missing),
		cmocka_unit_test(refuses_plain_text),
		cmocka_unit_test(refuses_tls_1_2),
		cmocka_unit_test(refuses_a_client_without_a_certificate),
		cmocka_unit_test(refuses_another_protocol_inside_tls),
		cmocka_unit_test(a_silent_peer_holds_a_listener_no_longer_than_the_limit),
		cmocka_unit_test(silent_peers_do_not_shut_out_one_who_waits),
		cmocka_unit_test(abort_breaks_a_handshake_with_a_silent_peer),
		cmocka_unit_test(a_client_does_not_wait_for_a_silent_server),
		cmocka_unit_test(connecting_to_nobody_says_so),
		cmocka_unit_test(a_watcher_sees_the_body_and_never_the_head),
		cmocka_unit_test(a_cut_anywhere_is_an_error_on_both_sides),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
