/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clients are killed in the middle of commands that replace keys. Whenever it happens, the state
 * directory loads and holds one platform's keys: the old ones or the new ones.
 *
 * SEVMIG_CRASH_KILLS: kills for each command (67, so 201 in all).
 */

#include <glob.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/sev_crash.h"

/* --- killed ------------------------------------------------------------------------------------
 */

/* A client that says when it begins; only the command is between that and its end. */
static pid_t client(const struct command *c, int *begins)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct sev_platform *p = NULL;
		struct err e = { 0 };

		if (sev_soft_open(fixture_path(dir, "one"), &p, &e) < 0 ||
		    write(ends[1], "", 1) != 1)
			_exit(1);
		_exit(run(p, c) < 0 ? 2 : 0);
	}
	close(ends[1]);
	*begins = ends[0];
	return pid;
}

static uint64_t duration(const struct command *c)
{
	uint64_t sum = 0;
	int status;

	for (int i = 0; i < 5; i++) {
		int fd;
		uint64_t start;
		pid_t pid;
		char b;

		begin();
		pid = client(c, &fd);
		assert_int_equal(read(fd, &b, 1), 1);
		start = now_us();
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		sum += now_us() - start;
		close(fd);
	}
	return sum / 5;
}

/* One client, killed us microseconds after its command began. */
static bool killed_after(const struct command *c, uint64_t us)
{
	struct keys old = begin(), k;
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
	int fd, status;
	pid_t pid = client(c, &fd);
	char b;

	assert_int_equal(read(fd, &b, 1), 1);
	nanosleep(&t, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	k = keys_now();
	return is_new(c, &old, &k);
}

static void killed_clients_leave_old_keys_or_new_ones(void **state)
{
	unsigned long kills = number("SEVMIG_CRASH_KILLS", 67);

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		uint64_t whole = duration(&commands[i]);
		unsigned long later = 0;

		for (unsigned long k = 0; k < kills; k++)
			later += killed_after(&commands[i], whole * 5 / 4 * k / kills);
		print_message("# command %u: %lu kills over %lu us, %lu found new keys\n",
			      commands[i].id, kills, (unsigned long)(whole * 5 / 4), later);
	}
}

/* --- killed at every step that the disk sees ----------------------------------------------------
 */

static const int steps[] = { SYS_openat, SYS_write, SYS_fchmod, SYS_fsync,     SYS_rename,
			     SYS_close,  SYS_flock, SYS_fcntl,  SYS_newfstatat };

/* From here on the first call of nr is the last thing that happens. */
static int die_at(int nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0 ? -errno : 0;
}

static int killed_at(const struct command *c, int nr)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct sev_platform *p = NULL;
		struct err e = { 0 };

		if (sev_soft_open(fixture_path(dir, "one"), &p, &e) < 0 || die_at(nr) < 0)
			_exit(1);
		_exit(run(p, c) < 0 ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void killed_at_any_step_of_saving_the_same_holds(void **state)
{
	unsigned died = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
			struct keys old = begin(), k;
			int status = killed_at(&commands[i], steps[s]);

			assert_true(WIFSIGNALED(status) || status == 0);
			died += WIFSIGNALED(status);
			k = keys_now();
			is_new(&commands[i], &old, &k);
		}
	}
	assert_in_range(died, 3 * 4, 3 * 9); /* open, write, fsync, rename at least */
}

static void what_a_killed_client_left_is_cleared_away(void **state)
{
	const char *left = fixture_path(dir, "one/state.??????");
	glob_t g;

	(void)state;
	begin();
	assert_true(WIFSIGNALED(killed_at(&commands[1], SYS_rename)));
	assert_int_equal(glob(left, 0, NULL, &g), 0); /* private keys */
	globfree(&g);
	keys_now();
	assert_int_equal(glob(left, 0, NULL, &g), GLOB_NOMATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_clients_leave_old_keys_or_new_ones),
		cmocka_unit_test(killed_at_any_step_of_saving_the_same_holds),
		cmocka_unit_test(what_a_killed_client_left_is_cleared_away),
	};

	return cmocka_run_group_tests_name("sev_crash", tests, crash_setup, crash_teardown);
}
