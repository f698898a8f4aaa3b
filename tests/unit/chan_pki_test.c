/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/chan_util.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/fd.h"
#include "chan/pki.h"

static char *dir;

static int set_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	dir = folder_new();
	return pki_init(dir, &e);
}

static int tear_down(void **state)
{
	(void)state;
	folder_free(dir);
	return 0;
}

static const char *in(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in(name), &st), 0);
	return st.st_mode & 0777;
}

static X509 *cert_of(const char *name)
{
	FILE *f = fopen(in(name), "r");
	X509 *x;

	assert_non_null(f);
	x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(x);
	return x;
}

static unsigned entries(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *f; (f = readdir(d));)
		n += strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void keys_are_private_and_nothing_is_left_over(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mode_of("ca-key.pem"), 0600);
	assert_int_equal(mode_of("ca-cert.pem"), 0644);
	assert_int_equal(pki_issue(dir, "host-a", NULL, &e), 0);
	assert_int_equal(mode_of("host-a/key.pem"), 0600);
	assert_int_equal(mode_of("host-a/cert.pem"), 0644);
	assert_int_equal(mode_of("host-a/ca-cert.pem"), 0644);
	assert_int_equal(entries(), 3);
}

static void certificates_are_for_their_names_and_both_roles(void **state)
{
	static const char *const also[] = { "host-a.example", "192.0.2.7" };
	struct pki_opts o = { .also = also, .n_also = 2, .local = true };
	struct err e = { 0 };
	X509 *ca, *x;

	(void)state;
	assert_int_equal(pki_issue(dir, "host-a", &o, &e), 0);
	ca = cert_of("ca-cert.pem");
	x = cert_of("host-a/cert.pem");
	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(ca)), 1);
	assert_int_equal(X509_check_host(x, "host-a", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "host-a.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "host-b", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.7", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.8", 0), 0);
	assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 1);
	assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0), 1);
	assert_true(X509_cmp_current_time(X509_get0_notAfter(x)) > 0);
	X509_free(x);
	X509_free(ca);
}

static void negative_days_make_an_expired_certificate(void **state)
{
	struct pki_opts o = { .days = -2 };
	struct err e = { 0 };
	X509 *x;

	(void)state;
	assert_int_equal(pki_issue(dir, "old", &o, &e), 0);
	x = cert_of("old/cert.pem");
	assert_true(X509_cmp_current_time(X509_get0_notAfter(x)) < 0);
	assert_true(ASN1_TIME_compare(X509_get0_notBefore(x), X509_get0_notAfter(x)) < 0);
	X509_free(x);
}

static void read_all(const char *name, struct buf *out)
{
	struct err e = { 0 };

	assert_int_equal(fd_file_read(in(name), 1u << 16, out, &e), 0);
}

static void never_overwrites(void **state)
{
	static const char *const names[] = { "ca-key.pem", "ca-cert.pem", "h/key.pem",
					     "h/cert.pem" };
	struct buf before[4] = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(pki_issue(dir, "h", NULL, &e), 0);
	for (unsigned i = 0; i < 4; i++)
		read_all(names[i], &before[i]);
	assert_int_equal(pki_init(dir, &e), -EEXIST);
	assert_int_equal(pki_issue(dir, "h", NULL, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "not overwritten"));
	for (unsigned i = 0; i < 4; i++) {
		auto_buf struct buf now = { 0 };

		read_all(names[i], &now);
		assert_int_equal(now.len, before[i].len);
		assert_memory_equal(now.p, before[i].p, now.len);
		buf_fini(&before[i]);
	}
	assert_int_equal(entries(), 3);
}

/* A CA's key without its certificate is somebody's, too. */
static void never_makes_a_ca_beside_half_of_one(void **state)
{
	char cert[256];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(unlink(in("ca-cert.pem")), 0);
	assert_int_equal(pki_init(dir, &e), -EEXIST);
	assert_int_equal(entries(), 1);
	snprintf(cert, sizeof(cert), "%s/ca-cert.pem", dir);
	assert_int_equal(rename(in("ca-key.pem"), cert), 0);
	assert_int_equal(pki_init(dir, &e), -EEXIST);
	assert_int_equal(entries(), 1);
}

static void refuses_names_that_are_none(void **state)
{
#define TEN "0123456789"
	static const char too_long[] = TEN TEN TEN TEN TEN TEN "01234";
	static const char *const bad[] = { "",        ".",   "..",      "../x", "a/b", "-x",
					   ".hidden", "a b", "a,DNS:b", "a\n",  "*",   too_long };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct pki_opts o = { .also = &bad[i], .n_also = 1 };
		struct err e = { 0 };

		assert_int_equal(pki_issue(dir, bad[i], NULL, &e), -EINVAL);
		assert_int_equal(pki_issue(dir, "good", &o, &e), -EINVAL);
	}
	assert_int_equal(entries(), 2);
}

static void needs_a_ca(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(unlink(in("ca-key.pem")), 0);
	assert_true(pki_issue(dir, "h", NULL, &e) < 0);
	assert_non_null(strstr(e.msg, "ca-key.pem"));
	assert_int_equal(entries(), 1);
}

#define each(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(keys_are_private_and_nothing_is_left_over),
		each(certificates_are_for_their_names_and_both_roles),
		each(negative_days_make_an_expired_certificate),
		each(never_overwrites),
		each(never_makes_a_ca_beside_half_of_one),
		each(refuses_names_that_are_none),
		each(needs_a_ca),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
