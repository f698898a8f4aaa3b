/* SPDX-License-Identifier: Apache-2.0 */

/* The software platform's state directory: what is in it, who may read it, who else has it open. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "tests/unit/sev_fixture.h"

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "one"), NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_dir_remove(dir);
	return 0;
}

static struct sev_peer_certs certs_of(struct sev_platform *p)
{
	struct sev_peer_certs c;
	struct err e = { 0 };

	if (sev_certs_export(p, &c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

static void expect_issue(struct sev_platform *p, uint32_t id, int r, uint32_t error)
{
	struct sev_issue_cmd cmd = { .cmd = id };

	assert_int_equal(sev_platform_issue(p, &cmd), r);
	assert_int_equal(cmd.error, error);
}

static void issue(struct sev_platform *p, uint32_t id)
{
	struct sev_issue_cmd cmd = { .cmd = id };

	assert_int_equal(sev_platform_issue(p, &cmd), 0);
	assert_int_equal(cmd.error, 0);
}

static void a_new_one_has_three_files_that_only_the_owner_reads(void **state)
{
	const char *path = fixture_path(dir, "one");
	struct dirent *d;
	unsigned n = 0;
	struct stat st;
	DIR *open_dir = opendir(path);

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	while ((d = readdir(open_dir))) {
		if (d->d_name[0] == '.')
			continue;
		assert_int_equal(fstatat(dirfd(open_dir), d->d_name, &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		n++;
	}
	closedir(open_dir);
	assert_int_equal(n, 3);
}

static void its_root_certificates_are_files_of_their_own(void **state)
{
	struct sev_platform *p = fixture_open(fixture_path(dir, "one"));
	struct sev_peer_certs c = certs_of(p);
	auto_buf struct buf ask = { 0 }, ark = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fd_file_read(fixture_path(dir, "one/ask.cert"), 4096, &ask, &e), 0);
	assert_int_equal(fd_file_read(fixture_path(dir, "one/ark.cert"), 4096, &ark, &e), 0);
	assert_int_equal(ask.len + ark.len, c.amd_len);
	assert_memory_equal(ask.p, c.amd, ask.len);
	assert_memory_equal(ark.p, c.amd + ask.len, ark.len);
	sev_platform_free(p);
}

static void certificates_survive_reopening(void **state)
{
	struct sev_platform *p = fixture_open(fixture_path(dir, "one"));
	struct sev_peer_certs a = certs_of(p), b;

	(void)state;
	sev_platform_free(p);
	p = fixture_open(fixture_path(dir, "one"));
	b = certs_of(p);
	assert_memory_equal(&a, &b, sizeof(a));
	sev_platform_free(p);
}

static void rotated_keys_survive_reopening(void **state)
{
	struct sev_platform *p = fixture_open(fixture_path(dir, "one"));
	struct sev_peer_certs a = certs_of(p), b, c;

	(void)state;
	issue(p, SEV_PDH_GEN);
	b = certs_of(p);
	assert_memory_not_equal(a.pdh, b.pdh, sizeof(a.pdh));
	assert_memory_equal(a.plat, b.plat, sizeof(a.plat));
	sev_platform_free(p);
	p = fixture_open(fixture_path(dir, "one"));
	c = certs_of(p);
	assert_memory_equal(&b, &c, sizeof(b));
	sev_platform_free(p);
}

static void a_factory_reset_survives_and_the_chip_stays_itself(void **state)
{
	struct sev_platform *p = fixture_open(fixture_path(dir, "one"));
	struct sev_peer_certs a = certs_of(p), b;
	const size_t cek = 2 * SEV_CERT_LEN;

	(void)state;
	issue(p, SEV_FACTORY_RESET);
	sev_platform_free(p);
	p = fixture_open(fixture_path(dir, "one"));
	b = certs_of(p);
	assert_memory_not_equal(a.plat, b.plat, cek);
	assert_memory_equal(a.plat + cek, b.plat + cek, SEV_CERT_LEN);
	assert_memory_equal(a.amd, b.amd, a.amd_len);
	sev_platform_free(p);
}

static void one_process_sees_what_another_changed(void **state)
{
	struct sev_platform *a = fixture_open(fixture_path(dir, "one"));
	struct sev_platform *b = fixture_open(fixture_path(dir, "one"));
	struct sev_peer_certs ca, cb;

	(void)state;
	issue(a, SEV_PDH_GEN);
	issue(b, SEV_PEK_GEN);
	ca = certs_of(a);
	cb = certs_of(b);
	assert_memory_equal(&ca, &cb, sizeof(ca));
	issue(a, SEV_FACTORY_RESET);
	cb = certs_of(b); /* b is in INIT and must have keys */
	ca = certs_of(a);
	assert_memory_equal(&ca, &cb, sizeof(ca));
	sev_platform_free(a);
	sev_platform_free(b);
}

static void a_guest_survives_anothers_key_rotation(void **state)
{
	struct sev_platform *a = fixture_open(fixture_path(dir, "one"));
	struct sev_platform *b = fixture_open(fixture_path(dir, "one"));
	struct fixture_guest g = fixture_guest_new(a);

	(void)state;
	fixture_launch(&g, 0);
	issue(b, SEV_PDH_GEN);
	certs_of(a);
	assert_int_equal(fixture_state(&g), 3);
	fixture_expect_page(&g, 0x1000, 'a');
	fixture_guest_free(&g);
	sev_platform_free(a);
	sev_platform_free(b);
}

static void anothers_guest_makes_the_platform_working(void **state)
{
	struct sev_platform *a = fixture_open(fixture_path(dir, "one"));
	struct sev_platform *b = fixture_open(fixture_path(dir, "one"));
	struct fixture_guest g = fixture_guest_new(a);
	struct sev_user_data_status st;
	struct err e = { 0 };

	(void)state;
	issue(b, SEV_PEK_GEN); /* an ASID is not a guest yet */
	fixture_launch(&g, 0);
	assert_int_equal(sev_platform_status(b, &st, &e), 0);
	assert_int_equal(st.state, 2);
	assert_int_equal(st.guest_count, 1);
	expect_issue(b, SEV_PEK_GEN, -EIO, 1);
	expect_issue(b, SEV_FACTORY_RESET, -EBUSY, 0);
	fixture_guest_free(&g);
	assert_int_equal(sev_platform_status(b, &st, &e), 0);
	assert_int_equal(st.state, 1);
	assert_int_equal(st.guest_count, 0);
	issue(b, SEV_FACTORY_RESET);
	sev_platform_free(a);
	sev_platform_free(b);
}

static void many_processes_rotate_keys_and_none_is_lost(void **state)
{
	struct sev_platform *p;
	int status, good = 0;

	(void)state;
	for (int i = 0; i < 8; i++) {
		if (fork() == 0) {
			p = fixture_open(fixture_path(dir, "one"));
			for (int j = 0; j < 10; j++) {
				struct sev_issue_cmd cmd = { .cmd = SEV_PDH_GEN };

				if (sev_platform_issue(p, &cmd) < 0)
					_exit(1);
			}
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		good += status == 0;
	assert_int_equal(good, 8);
	p = fixture_open(fixture_path(dir, "one"));
	certs_of(p);
	sev_platform_free(p);
}

static void expect_init(const char *name, const struct sev_soft_init *opt, int code,
			const char *tail)
{
	struct err e = { 0 };

	assert_int_equal(sev_soft_init(fixture_path(dir, name), opt, &e), code);
	if (!strstr(e.msg, tail))
		fail_msg("%s", e.msg);
}

static void making_one_where_something_is_fails(void **state)
{
	struct sev_soft_init opt = { .root_bits = 2048 };

	(void)state;
	expect_init("one", &opt, -EEXIST, "/one: exists already");
	expect_init("no/such/place", &opt, -ENOENT, "no/such/place: No such file or directory");
}

static void making_one_names_the_wrong_option(void **state)
{
	struct sev_soft_init version = { .root_bits = 2048, .api_major = 256 };
	struct sev_soft_init ca = { .ca_dir = "/nonexistent" };
	struct sev_soft_init no_key = { .ca_dir = fixture_path(dir, "two") };
	struct stat st;

	(void)state;
	fixture_init(fixture_path(dir, "two"), fixture_path(dir, "one"), NULL);
	expect_init("x", &version, -EINVAL, "firmware version 256.0.0: each part is 0 to 255");
	expect_init("x", &ca, -ENOENT, "/x: CA: /nonexistent: No such file or directory");
	/* two's ASK belongs to one, its key is there. */
	expect_init("x", &no_key, -ENOKEY, "has no ASK key");
	assert_int_equal(stat(fixture_path(dir, "x"), &st), -1);
}

static void the_version_is_what_was_asked_for(void **state)
{
	struct sev_soft_init opt = {
		.api_major = 0, .api_minor = 24, .build = 15, .ca_dir = fixture_path(dir, "one")
	};
	struct sev_user_data_status st;
	struct sev_platform *p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_soft_init(fixture_path(dir, "old"), &opt, &e), 0);
	p = fixture_open(fixture_path(dir, "old"));
	assert_int_equal(sev_platform_status(p, &st, &e), 0);
	assert_int_equal(st.api_major, 0);
	assert_int_equal(st.api_minor, 24);
	assert_int_equal(st.build, 15);
	assert_int_equal(st.state, 1);
	sev_platform_free(p);
}

static void another_owners_platform_says_so(void **state)
{
	struct sev_platform *p;
	struct sev_user_data_status st;
	struct err e = { 0 };

	(void)state;
	fixture_init(fixture_path(dir, "owned"), fixture_path(dir, "one"),
		     fixture_path(dir, "one"));
	p = fixture_open(fixture_path(dir, "owned"));
	assert_int_equal(sev_platform_status(p, &st, &e), 0);
	assert_int_equal(st.flags & 1, 1);
	sev_platform_free(p);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void expect_damage(int code, const char *part)
{
	struct sev_platform *p = NULL;
	struct err e = { 0 };

	assert_int_equal(sev_soft_open(fixture_path(dir, "hurt"), &p, &e), code);
	if (!strstr(e.msg, part))
		fail_msg("%s", e.msg);
	assert_null(p);
}

static void damage_is_an_error_that_names_the_file(void **state)
{
	auto_buf struct buf b = { 0 };
	const char *path = fixture_path(dir, "hurt/state");
	struct err e = { 0 };

	(void)state;
	expect_damage(-ENOENT, "/hurt: No such file or directory: not a software platform");
	fixture_init(fixture_path(dir, "hurt"), NULL, NULL);
	path = fixture_path(dir, "hurt/state");
	assert_int_equal(fd_file_read(path, 1 << 20, &b, &e), 0);
	b.p[b.len / 2] ^= 1;
	assert_int_equal(fd_file_replace(path, b.p, b.len, 0600, &e), 0);
	expect_damage(-EPROTO, "/hurt/state: NV: damaged (digest)");
	assert_int_equal(fd_file_replace(path, b.p, b.len / 2, 0600, &e), 0);
	expect_damage(-EPROTO, "/hurt/state: NV: wrong length");
	assert_int_equal(fd_file_replace(path, "", 0, 0600, &e), 0);
	expect_damage(-EPROTO, "/hurt/state: NV: not a platform's state");
	assert_int_equal(unlink(path), 0);
	expect_damage(-ENOENT, "holds no software platform, or its making was cut short");
}

static void damage_while_open_is_broken_hardware_and_heals(void **state)
{
	struct sev_platform *p = fixture_open(fixture_path(dir, "one"));
	struct sev_issue_cmd cmd = { .cmd = SEV_PDH_GEN };
	const char *path = fixture_path(dir, "one/state");
	struct sev_peer_certs before = certs_of(p), after;
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fd_file_read(path, 1 << 20, &b, &e), 0);
	assert_int_equal(fd_file_replace(path, "x", 1, 0600, &e), 0);
	assert_int_equal(sev_platform_issue(p, &cmd), -EIO);
	assert_int_equal(cmd.error, 0x13);
	assert_int_equal(fd_file_replace(path, b.p, b.len, 0600, &e), 0);
	after = certs_of(p);
	assert_memory_equal(&before, &after, sizeof(before));
	sev_platform_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_one_has_three_files_that_only_the_owner_reads),
		cmocka_unit_test(its_root_certificates_are_files_of_their_own),
		cmocka_unit_test(certificates_survive_reopening),
		cmocka_unit_test(rotated_keys_survive_reopening),
		cmocka_unit_test(a_factory_reset_survives_and_the_chip_stays_itself),
		cmocka_unit_test(one_process_sees_what_another_changed),
		cmocka_unit_test(a_guest_survives_anothers_key_rotation),
		cmocka_unit_test(anothers_guest_makes_the_platform_working),
		cmocka_unit_test(many_processes_rotate_keys_and_none_is_lost),
		cmocka_unit_test(making_one_where_something_is_fails),
		cmocka_unit_test(making_one_names_the_wrong_option),
		cmocka_unit_test(the_version_is_what_was_asked_for),
		cmocka_unit_test(another_owners_platform_says_so),
		cmocka_unit_test(damage_is_an_error_that_names_the_file),
		cmocka_unit_test(damage_while_open_is_broken_hardware_and_heals),
	};

	return cmocka_run_group_tests_name("sev_state_dir", tests, setup, teardown);
}
