/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/auto.h"
#include "base/fd.h"

#define CURVE "P-384"
#define CA_DAYS 3650
#define NAME_LEN_MAX 64  /* X.520: upper bound of a common name */
#define SERIAL_BITS 159  /* RFC 5280, 4.1.2.2: at most 20 octets, positive */
#define CLOCK_SKEW_S 300 /* valid a little before now: two hosts' clocks differ */
#define DAY_S 86400l

DEFINE_AUTO(pkey, EVP_PKEY *, EVP_PKEY_free)
DEFINE_AUTO(x509, X509 *, X509_free)
DEFINE_AUTO(bio, BIO *, BIO_free_all)
DEFINE_AUTO(bn, BIGNUM *, BN_free)
DEFINE_AUTO(sans, GENERAL_NAMES *, GENERAL_NAMES_free)

static int lib_failed(struct err *e, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(e, -EINVAL, "%s: %s", what, reason ? reason : "crypto library failure");
}

static int path_of(char out[PATH_MAX], const char *dir, const char *name, struct err *e)
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "%.80s...: too long", dir);
	return 0;
}

/* --- certificates --------------------------------------------------------------------------- */

static int serial_set(X509 *cert, struct err *e)
{
	auto_of(bn) BIGNUM *n = BN_new();

	if (!n || !BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) ||
	    !BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)))
		return lib_failed(e, "serial number");
	return 0;
}

/* Negative days: a day of validity that ended so many days ago. */
static int times_set(X509 *cert, int days, struct err *e)
{
	long end = days * DAY_S;
	long start = days < 0 ? end - DAY_S : -CLOCK_SKEW_S;

	if (!X509_gmtime_adj(X509_getm_notBefore(cert), start) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), end))
		return lib_failed(e, "validity");
	return 0;
}

static int cn_set(X509 *cert, const char *cn, struct err *e)
{
	X509_NAME *n = X509_get_subject_name(cert);

	if (!X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
					0))
		return lib_failed(e, "name");
	return 0;
}

struct ext {
	int nid;
	const char *value;
};

/* Values are constants of ours: what a user names never goes through this little language. */
static int exts_add(X509 *cert, X509 *issuer, const struct ext *v, size_t n, struct err *e)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (size_t i = 0; i < n; i++) {
		X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, v[i].nid, v[i].value);
		int ok = x && X509_add_ext(cert, x, -1);

		X509_EXTENSION_free(x);
		if (!ok)
			return lib_failed(e, "extension");
	}
	return 0;
}

static int san_add(GENERAL_NAMES *all, const char *text, struct err *e)
{
	unsigned char v6[16], v4[4];
	bool ip = inet_pton(AF_INET6, text, v6) == 1 || inet_pton(AF_INET, text, v4) == 1;
	GENERAL_NAME *n = a2i_GENERAL_NAME(NULL, NULL, NULL, ip ? GEN_IPADD : GEN_DNS, text, 0);

	if (n && sk_GENERAL_NAME_push(all, n) > 0)
		return 0;
	GENERAL_NAME_free(n);
	return lib_failed(e, text);
}

/* What may stand in a SAN and be a folder: host names and addresses. */
static int name_check(const char *name, struct err *e)
{
	static const char ok[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
	size_t len = strlen(name);

	if (len == 0)
		return err_set(e, -EINVAL, "a certificate needs a name: a host name or an address");
	if (len > NAME_LEN_MAX)
		return err_set(e, -EINVAL, "a name of %zu characters; at most %d", len,
			       NAME_LEN_MAX);
	if (strspn(name, ok) != len || name[0] == '.' || name[0] == '-')
		return err_set(e, -EINVAL, "\"%s\" is neither a host name nor an address", name);
	return 0;
}

static int sans_set(X509 *cert, const char *name, const struct pki_opts *o, struct err *e)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "::1" };
	auto_of(sans) GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
	int r = all ? san_add(all, name, e) : err_set(e, -ENOMEM, "no memory for names");

	for (size_t i = 0; r == 0 && i < o->n_also; i++) {
		r = name_check(o->also[i], e);
		if (r == 0)
			r = san_add(all, o->also[i], e);
	}
	for (size_t i = 0; r == 0 && o->local && i < 3; i++)
		r = san_add(all, local[i], e);
	if (r == 0 && X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, 0) != 1)
		return lib_failed(e, "names");
	return r;
}

/* A certificate of this module, whole but for extensions and signature. */
static int cert_start(const char *cn, int days, EVP_PKEY *key, X509 **out, struct err *e)
{
	auto_of(x509) X509 *cert = X509_new();
	int r;

	if (!cert || !X509_set_version(cert, X509_VERSION_3) || !X509_set_pubkey(cert, key))
		return lib_failed(e, "certificate");
	r = serial_set(cert, e);
	if (r == 0)
		r = times_set(cert, days, e);
	if (r == 0)
		r = cn_set(cert, cn, e);
	if (r == 0)
		*out = steal_ptr(&cert);
	return r;
}

static int cert_sign(X509 *cert, X509 *issuer, EVP_PKEY *issuer_key, struct err *e)
{
	if (!X509_set_issuer_name(cert, X509_get_subject_name(issuer)) ||
	    !X509_sign(cert, issuer_key, EVP_sha384()))
		return lib_failed(e, "signing");
	return 0;
}

static int key_make(EVP_PKEY **out, struct err *e)
{
	*out = EVP_EC_gen(CURVE);
	return *out ? 0 : lib_failed(e, "key");
}

static int ca_make(EVP_PKEY **key, X509 **cert, struct err *e)
{
	static const struct ext exts[] = {
		{ NID_basic_constraints, "critical,CA:TRUE,pathlen:0" },
		{ NID_key_usage, "critical,keyCertSign,cRLSign" },
		{ NID_subject_key_identifier, "hash" },
	};
	char cn[32];
	unsigned tag;
	int r = key_make(key, e);

	if (r < 0)
		return r;
	/* Two CAs should not have one name: a peer could not tell them apart in its messages. */
	if (getentropy(&tag, sizeof(tag)) < 0)
		return err_set(e, -errno, "random bytes: %m");
	snprintf(cn, sizeof(cn), "sevmig CA %08x", tag);
	r = cert_start(cn, CA_DAYS, *key, cert, e);
	if (r == 0)
		r = exts_add(*cert, *cert, exts, sizeof(exts) / sizeof(*exts), e);
	return r < 0 ? r : cert_sign(*cert, *cert, *key, e);
}

static int leaf_make(const char *name, const struct pki_opts *o, X509 *ca, EVP_PKEY *ca_key,
		     EVP_PKEY **key, X509 **cert, struct err *e)
{
	/* One certificate for both roles: a host is the source today and the target tomorrow. */
	static const struct ext exts[] = {
		{ NID_basic_constraints, "critical,CA:FALSE" },
		{ NID_key_usage, "critical,digitalSignature" },
		{ NID_ext_key_usage, "serverAuth,clientAuth" },
		{ NID_subject_key_identifier, "hash" },
		{ NID_authority_key_identifier, "keyid" },
	};
	int r = key_make(key, e);

	if (r == 0)
		r = cert_start(name, o->days ? o->days : PKI_DAYS_DEFAULT, *key, cert, e);
	if (r == 0)
		r = exts_add(*cert, ca, exts, sizeof(exts) / sizeof(*exts), e);
	if (r == 0)
		r = sans_set(*cert, name, o, e);
	return r < 0 ? r : cert_sign(*cert, ca, ca_key, e);
}

/* --- files ---------------------------------------------------------------------------------- */

static int pem_text(X509 *cert, EVP_PKEY *key, BIO **out, struct err *e)
{
	/* Secure memory: a key's text is wiped when the BIO goes. */
	auto_of(bio) BIO *b = BIO_new(BIO_s_secmem());

	if (!b || !(cert ? PEM_write_bio_X509(b, cert)
			 : PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL)))
		return lib_failed(e, "PEM");
	*out = steal_ptr(&b);
	return 0;
}

/* Either. Into a folder that nobody else knows yet. */
static int pem_put(const char *dir, const char *name, X509 *cert, EVP_PKEY *key, struct err *e)
{
	auto_of(bio) BIO *b = NULL;
	char path[PATH_MAX], *text;
	long len;
	int r = path_of(path, dir, name, e);

	if (r == 0)
		r = pem_text(cert, key, &b, e);
	if (r < 0)
		return r;
	len = BIO_get_mem_data(b, &text);
	return fd_file_replace(path, text, (size_t)len, cert ? 0644 : 0600, e);
}

static int ca_load(const char *dir, X509 **cert, EVP_PKEY **key, struct err *e)
{
	auto_of(bio) BIO *cb = NULL;
	auto_of(bio) BIO *kb = NULL;
	char path[PATH_MAX];
	int r = path_of(path, dir, "ca-cert.pem", e);

	if (r < 0)
		return r;
	cb = BIO_new_file(path, "r");
	*cert = cb ? PEM_read_bio_X509(cb, NULL, NULL, NULL) : NULL;
	if (!*cert)
		return lib_failed(e, path);
	r = path_of(path, dir, "ca-key.pem", e);
	if (r < 0)
		return r;
	kb = BIO_new_file(path, "r");
	*key = kb ? PEM_read_bio_PrivateKey(kb, NULL, NULL, NULL) : NULL;
	if (!*key || X509_check_private_key(*cert, *key) != 1)
		return lib_failed(e, path);
	return 0;
}

static void folder_remove(const char *dir)
{
	static const char *const names[] = { "ca-cert.pem", "ca-key.pem", "cert.pem", "key.pem" };
	char path[PATH_MAX];
	struct err e;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (path_of(path, dir, names[i], &e) == 0)
			unlink(path);
	rmdir(dir);
}

/* A hidden folder in dir, to be filled and then moved into place. */
static int folder_make(const char *dir, char out[PATH_MAX], struct err *e)
{
	int r = path_of(out, dir, ".new.XXXXXX", e);

	if (r < 0)
		return r;
	return mkdtemp(out) ? 0 : err_set(e, -errno, "%s: %m", out);
}

static int move(const char *from_dir, const char *from, const char *to_dir, const char *to,
		struct err *e)
{
	char a[PATH_MAX], b[PATH_MAX];
	int r = path_of(a, from_dir, from, e);

	if (r == 0)
		r = path_of(b, to_dir, to, e);
	if (r < 0)
		return r;
	if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE) < 0)
		return err_set(e, -errno, "%s: %m%s", b,
			       errno == EEXIST ? "; not overwritten" : "");
	return 0;
}

/* --- the two calls -------------------------------------------------------------------------- */

static int ca_fill(const char *tmp, struct err *e)
{
	auto_of(pkey) EVP_PKEY *key = NULL;
	auto_of(x509) X509 *cert = NULL;
	int r = ca_make(&key, &cert, e);

	if (r == 0)
		r = pem_put(tmp, "ca-key.pem", NULL, key, e);
	return r < 0 ? r : pem_put(tmp, "ca-cert.pem", cert, NULL, e);
}

/* The key first: where it stands already nothing else is touched. */
static int ca_place(const char *tmp, const char *dir, struct err *e)
{
	char cert[PATH_MAX], key[PATH_MAX];
	int r = path_of(cert, dir, "ca-cert.pem", e);

	if (r == 0)
		r = path_of(key, dir, "ca-key.pem", e);
	if (r < 0)
		return r;
	if (access(cert, F_OK) == 0)
		return err_set(e, -EEXIST, "%s: File exists; not overwritten", cert);
	r = move(tmp, "ca-key.pem", dir, "ca-key.pem", e);
	if (r < 0)
		return r;
	r = move(tmp, "ca-cert.pem", dir, "ca-cert.pem", e);
	if (r < 0)
		unlink(key);
	return r;
}

int pki_init(const char *dir, struct err *e)
{
	char tmp[PATH_MAX];
	int r;

	ERR_clear_error();
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %m", dir);
	r = folder_make(dir, tmp, e);
	if (r < 0)
		return r;
	r = ca_fill(tmp, e);
	if (r == 0)
		r = ca_place(tmp, dir, e);
	folder_remove(tmp);
	return r;
}

static int leaf_fill(const char *dir, const char *tmp, const char *name, const struct pki_opts *o,
		     struct err *e)
{
	auto_of(pkey) EVP_PKEY *ca_key = NULL;
	auto_of(pkey) EVP_PKEY *key = NULL;
	auto_of(x509) X509 *ca = NULL;
	auto_of(x509) X509 *cert = NULL;
	int r = ca_load(dir, &ca, &ca_key, e);

	if (r == 0)
		r = leaf_make(name, o, ca, ca_key, &key, &cert, e);
	if (r == 0)
		r = pem_put(tmp, "ca-cert.pem", ca, NULL, e);
	if (r == 0)
		r = pem_put(tmp, "cert.pem", cert, NULL, e);
	return r < 0 ? r : pem_put(tmp, "key.pem", NULL, key, e);
}

int pki_issue(const char *dir, const char *name, const struct pki_opts *opts, struct err *e)
{
	static const struct pki_opts defaults = { 0 };
	char tmp[PATH_MAX];
	const char *slash;
	int r = name_check(name, e);

	if (r < 0)
		return r;
	ERR_clear_error();
	r = folder_make(dir, tmp, e);
	if (r < 0)
		return r;
	r = leaf_fill(dir, tmp, name, opts ? opts : &defaults, e);
	slash = strrchr(tmp, '/');
	if (r == 0)
		r = move(dir, slash + 1, dir, name, e);
	if (r < 0)
		folder_remove(tmp);
	return r;
}
