/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "crypto/secret.h"

#define CIPHERS "TLS_AES_256_GCM_SHA384"
#define EXPORT_LABEL "EXPORTER-sevmig-channel"
#define CHANNEL_VERSION 1

/* Equal length, so that one read of one record holds it. */
#define GREETING_LEN 24
static const char greeting_client[GREETING_LEN] = "sevmig channel 1 client\n";
static const char greeting_server[GREETING_LEN] = "sevmig channel 1 server\n";

struct chan_tls {
	SSL_CTX *ctx;    /* owned */
	BIO_METHOD *bio; /* owned */
	char *peer_name; /* owned; NULL: see chan.h */
	bool server;
};

/* One handshake, as the BIO sees it. */
struct shake {
	struct chan_io *io;
	int64_t deadline;
	struct err io_err; /* of the last failed read or write */
	bool ended;        /* the peer closed */
};

DEFINE_AUTO(ssl, SSL *, SSL_free)
DEFINE_AUTO(tls, struct chan_tls *, chan_tls_free)

/* --- sockets under OpenSSL: breakable, with a deadline, without SIGPIPE --------------------------
 */

static int bio_read(BIO *b, char *p, int len)
{
	struct shake *s = BIO_get_data(b);
	ssize_t n = chan_io_recv(s->io, p, (size_t)len, s->deadline, &s->io_err);

	s->ended |= n == 0;
	return n > 0 ? (int)n : n == 0 ? 0 : -1;
}

static int bio_write(BIO *b, const char *p, int len)
{
	struct shake *s = BIO_get_data(b);
	ssize_t n = chan_io_send(s->io, p, (size_t)len, s->deadline, &s->io_err);

	return n > 0 ? (int)n : -1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	struct shake *s = BIO_get_data(b);

	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_EOF)
		return s && s->ended;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sevmig socket");

	if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* --- credentials ---------------------------------------------------------------------------- */

static int lib_failed(struct err *e, int code, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(e, code, "%s: %s", what, reason ? reason : "TLS library failure");
}

static int path_of(char out[PATH_MAX], const char *dir, const char *name, struct err *e)
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "%.80s...: too long", dir);
	if (access(out, R_OK) < 0)
		return err_set(e, -errno, "%s: %m (\"sevmig pki\" makes certificates)", out);
	return 0;
}

static int credentials_load(SSL_CTX *ctx, const char *dir, struct err *e)
{
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
	int r = path_of(ca, dir, "ca-cert.pem", e);

	if (r == 0)
		r = path_of(cert, dir, "cert.pem", e);
	if (r == 0)
		r = path_of(key, dir, "key.pem", e);
	if (r < 0)
		return r;
	if (SSL_CTX_load_verify_file(ctx, ca) != 1)
		return lib_failed(e, -EINVAL, ca);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return lib_failed(e, -EINVAL, cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return lib_failed(e, -EINVAL, key);
	return 0;
}

static int ctx_make(struct chan_tls *t, struct err *e)
{
	ERR_clear_error();
	t->bio = bio_method_new();
	t->ctx = SSL_CTX_new(t->server ? TLS_server_method() : TLS_client_method());
	if (!t->bio || !t->ctx || !SSL_CTX_set_min_proto_version(t->ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_max_proto_version(t->ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(t->ctx, CIPHERS) ||
	    !SSL_CTX_set_num_tickets(t->ctx, 0)) /* nothing may follow the handshake by itself */
		return lib_failed(e, -ENOMEM, "TLS");
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(t->ctx, 0); /* what follows the greeting is not TLS */
	SSL_CTX_set_quiet_shutdown(t->ctx, 1);
	return 0;
}

int chan_tls_new(const struct chan_tls_config *cfg, bool server, struct chan_tls **out,
		 struct err *e)
{
	auto_of(tls) struct chan_tls *t = calloc(1, sizeof(*t));
	int r;

	if (!cfg || !cfg->dir)
		return err_set(e, -EINVAL, "tls needs a folder with certificates");
	if (!t)
		return err_set(e, -ENOMEM, "no memory for TLS");
	t->server = server;
	if (cfg->peer_name && !(t->peer_name = strdup(cfg->peer_name)))
		return err_set(e, -ENOMEM, "no memory for TLS");
	r = ctx_make(t, e);
	if (r == 0)
		r = credentials_load(t->ctx, cfg->dir, e);
	if (r == 0)
		*out = steal_ptr(&t);
	return r;
}

void chan_tls_free(struct chan_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->bio);
	free(t->peer_name);
	free(t);
}

/* --- what went wrong, in words -------------------------------------------------------------- */

/* Alerts with which a peer refuses a certificate; RFC 8446, 6.2. */
static const char *alert_about_certificate(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
		return "bad certificate";
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
		return "unsupported certificate";
	case SSL_AD_CERTIFICATE_REVOKED:
		return "certificate revoked";
	case SSL_AD_CERTIFICATE_EXPIRED:
		return "certificate expired";
	case SSL_AD_CERTIFICATE_UNKNOWN:
		return "certificate unknown";
	case SSL_AD_UNKNOWN_CA:
		return "signed by a CA it does not know";
	case SSL_AD_ACCESS_DENIED:
		return "access denied";
	case SSL_AD_CERTIFICATE_REQUIRED:
		return "a certificate is required";
	case SSL_AD_DECRYPT_ERROR:
		return "its signature does not hold";
	default:
		return NULL;
	}
}

static int alert_failed(int alert, struct err *e)
{
	const char *why = alert_about_certificate(alert);

	if (why)
		return err_set(e, -EACCES, "peer rejected our certificate: %s", why);
	if (alert == SSL_AD_PROTOCOL_VERSION)
		return err_set(e, -EPROTO, "peer does not accept TLS 1.3");
	return err_set(e, -EPROTO, "peer ended the handshake: %s",
		       SSL_alert_desc_string_long(alert));
}

static int reason_failed(int reason, struct err *e)
{
	const char *text;

	switch (reason) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return err_set(e, -EACCES, "peer sent no certificate");
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return err_set(e, -EPROTO, "peer does not speak TLS 1.3");
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return err_set(e, -EPROTO, "peer does not speak TLS");
	default:
		text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
		return err_set(e, -EPROTO, "TLS handshake: %s", text ? text : "failed");
	}
}

static int verify_failed(long result, const char *name, struct err *e)
{
	if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
		return err_set(e, -EACCES, "peer's certificate is not for \"%s\"", name);
	return err_set(e, -EACCES, "peer's certificate: %s", X509_verify_cert_error_string(result));
}

/* After a failed SSL_ call. */
static int ssl_failed(SSL *ssl, struct shake *s, const char *name, struct err *e)
{
	unsigned long code = ERR_peek_error();
	long verify = SSL_get_verify_result(ssl);
	int reason = ERR_GET_REASON(code);

	ERR_clear_error();
	if (s->io_err.code == -ECANCELED || s->io_err.code == -ETIMEDOUT)
		return err_set(e, s->io_err.code, "TLS handshake: %s", s->io_err.msg);
	if (code && ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
		return alert_failed(reason - SSL_AD_REASON_OFFSET, e);
	if (verify != X509_V_OK)
		return verify_failed(verify, name, e);
	if (s->ended || s->io_err.code)
		return err_set(e, -ECONNRESET, "TLS handshake: peer closed the connection");
	return reason_failed(reason, e);
}

/* --- the handshake -------------------------------------------------------------------------- */

static int name_require(SSL *ssl, const char *name, struct err *e)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	unsigned char addr[sizeof(struct in6_addr)];
	bool ip = inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1;

	/* The name stands in subjectAltName; a CN is for people. */
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
						   X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!(ip ? X509_VERIFY_PARAM_set1_ip_asc(p, name)
		 : X509_VERIFY_PARAM_set1_host(p, name, 0)))
		return lib_failed(e, -EINVAL, name);
	return 0;
}

static int ssl_make(struct chan_tls *t, struct shake *s, const char *name, SSL **out, struct err *e)
{
	auto_of(ssl) SSL *ssl = SSL_new(t->ctx);
	BIO *bio = BIO_new(t->bio);
	int r;

	if (!ssl || !bio) {
		BIO_free(bio);
		return lib_failed(e, -ENOMEM, "TLS");
	}
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio); /* takes it */
	r = name ? name_require(ssl, name, e) : 0;
	if (r == 0)
		*out = steal_ptr(&ssl);
	return r;
}

static int greeting_send(SSL *ssl, bool server, struct shake *s, const char *name, struct err *e)
{
	const char *text = server ? greeting_server : greeting_client;

	if (SSL_write(ssl, text, GREETING_LEN) != GREETING_LEN)
		return ssl_failed(ssl, s, name, e);
	return 0;
}

static int greeting_recv(SSL *ssl, bool server, struct shake *s, const char *name, struct err *e)
{
	const char *want = server ? greeting_client : greeting_server;
	char got[GREETING_LEN + 1];
	int n = SSL_read(ssl, got, sizeof(got));

	if (n <= 0)
		return ssl_failed(ssl, s, name, e);
	if (n != GREETING_LEN || strncmp(got, want, GREETING_LEN) != 0)
		return err_set(e, -EPROTO, "peer speaks TLS, but not as a sevmig %s of version %d",
			       server ? "source" : "target", CHANNEL_VERSION);
	return 0;
}

/* The server greets first: when its greeting is there the client knows that its certificate was
 * accepted, which in TLS 1.3 the handshake alone does not tell it. */
static int greet(SSL *ssl, bool server, struct shake *s, const char *name, struct err *e)
{
	int r = server ? greeting_send(ssl, true, s, name, e)
		       : greeting_recv(ssl, false, s, name, e);

	if (r < 0)
		return r;
	r = server ? greeting_recv(ssl, true, s, name, e) : greeting_send(ssl, false, s, name, e);
	if (r == 0 && (SSL_has_pending(ssl) || SSL_pending(ssl)))
		return err_set(e, -EPROTO, "peer sent more than a greeting");
	return r;
}

static int dir_keys(SSL *ssl, const char *who, struct chan_dir_keys *out, struct err *e)
{
	uint8_t raw[GCM_KEY_LEN + GCM_NONCE_LEN] = { 0 };
	char context[32];
	int n = snprintf(context, sizeof(context), "%s sends, version %d", who, CHANNEL_VERSION);
	int ok = SSL_export_keying_material(ssl, raw, sizeof(raw), EXPORT_LABEL,
					    strlen(EXPORT_LABEL), (const unsigned char *)context,
					    (size_t)n, 1);

	memcpy(out->key, raw, GCM_KEY_LEN);
	memcpy(out->nonce, raw + GCM_KEY_LEN, GCM_NONCE_LEN);
	crypto_wipe(raw, sizeof(raw));
	return ok == 1 ? 0 : lib_failed(e, -EPROTO, "TLS exporter");
}

static int keys_make(SSL *ssl, bool server, struct chan_keys *keys, struct err *e)
{
	int r = dir_keys(ssl, "client", server ? &keys->rx : &keys->tx, e);

	return r < 0 ? r : dir_keys(ssl, "server", server ? &keys->tx : &keys->rx, e);
}

/* For messages and logs: nothing but printable ASCII gets through. */
static void cn_get(SSL *ssl, char cn[CHAN_CN_TEXT])
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	int n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn,
					  CHAN_CN_TEXT);

	if (n <= 0)
		snprintf(cn, CHAN_CN_TEXT, "(none)");
	for (char *p = cn; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
}

int chan_tls_handshake(struct chan_tls *t, struct chan_io *io, const char *host, int64_t deadline,
		       struct chan_keys *keys, char cn[CHAN_CN_TEXT], struct err *e)
{
	const char *name = t->peer_name ? t->peer_name : host;
	struct shake s = { .io = io, .deadline = deadline };
	auto_of(ssl) SSL *ssl = NULL;
	int r = ssl_make(t, &s, name, &ssl, e);

	if (r < 0)
		return r;
	ERR_clear_error();
	if ((t->server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
		return ssl_failed(ssl, &s, name, e);
	r = greet(ssl, t->server, &s, name, e);
	if (r == 0)
		r = keys_make(ssl, t->server, keys, e);
	if (r == 0)
		cn_get(ssl, cn);
	return r;
}
