/* SPDX-License-Identifier: Apache-2.0 */

/* Several clients replace one platform's keys at the same time: no change is lost, and whoever
 * looks finds one set of keys. SEVMIG_HAMMER_SECONDS: for how long (10). */

#include <sys/wait.h>

#include "tests/unit/sev_crash.h"

static struct sev_peer_certs certs_of(struct sev_platform *p)
{
	struct sev_peer_certs c = { 0 };
	struct err e = { 0 };

	if (sev_certs_export(p, &c, &e) < 0)
		_exit(3);
	return c;
}

/* The only one that makes new PEKs: between two of them it must find the last one. */
static int make_peks(struct sev_platform *p, uint64_t until)
{
	while (now_us() < until) {
		struct sev_peer_certs before = certs_of(p), after, later;

		if (run(p, &commands[0]) < 0)
			return 2;
		after = certs_of(p);
		if (memcmp(before.plat, after.plat, SEVCERT_LEN) == 0)
			return 4; /* lost at once */
		for (int i = 0; i < 10; i++) {
			later = certs_of(p);
			if (memcmp(later.plat, after.plat, SEVCERT_LEN) != 0)
				return 5; /* the other one brought the old PEK back */
		}
	}
	return 0;
}

static int make_pdhs(struct sev_platform *p, uint64_t until)
{
	while (now_us() < until) {
		struct sev_peer_certs before = certs_of(p), after;

		if (run(p, &commands[1]) < 0)
			return 2;
		after = certs_of(p);
		if (memcmp(before.pdh, after.pdh, SEVCERT_LEN) == 0)
			return 4;
	}
	return 0;
}

static pid_t hammer(int (*blow)(struct sev_platform *p, uint64_t until), uint64_t until)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct sev_platform *p = NULL;
		struct err e = { 0 };

		if (sev_soft_open(fixture_path(dir, "one"), &p, &e) < 0)
			_exit(1);
		_exit(blow(p, until));
	}
	return pid;
}

static void two_clients_lose_nothing_and_tear_nothing(void **state)
{
	uint64_t until = now_us() + number("SEVMIG_HAMMER_SECONDS", 10) * 1000000;
	struct keys before = begin(), after;
	struct sev_platform *p;
	pid_t a = hammer(make_peks, until), b = hammer(make_pdhs, until);
	unsigned looks = 0;
	int status;

	(void)state;
	p = fixture_open(fixture_path(dir, "one"));
	for (; now_us() < until; looks++)
		keys_of(p); /* one set, every time */
	sev_platform_free(p);
	assert_int_equal(waitpid(a, &status, 0), a);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(b, &status, 0), b);
	assert_int_equal(status, 0);
	after = keys_now();
	assert_true(differ(&before, &after, PEK_AT));
	assert_true(looks > 0);
	print_message("# %u looks by a third client\n", looks);
}

#define ROTATIONS 50

static void what_one_client_rotates_the_other_sees(void **state)
{
	struct sev_platform *p[2] = { fixture_open(fixture_path(dir, "one")),
				      fixture_open(fixture_path(dir, "one")) };
	struct keys last = keys_of(p[0]), k;

	(void)state;
	for (int i = 0; i < ROTATIONS; i++) {
		must_issue(p[i % 2], SEV_PDH_GEN, NULL);
		k = keys_of(p[(i + 1) % 2]);
		assert_memory_not_equal(k.certs.pdh, last.certs.pdh, SEVCERT_LEN);
		assert_false(differ(&k, &last, PEK_AT));
		last = k;
	}
	sev_platform_free(p[0]);
	sev_platform_free(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_clients_lose_nothing_and_tear_nothing),
		cmocka_unit_test(what_one_client_rotates_the_other_sees),
	};

	return cmocka_run_group_tests_name("sev_hammer", tests, crash_setup, crash_teardown);
}
