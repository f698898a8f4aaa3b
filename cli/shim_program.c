/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/shim_program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/auto.h"

#define GLIBC_LOADER "/ld-linux-x86-64.so.2"

/* --- which file ------------------------------------------------------------------------------ */

static bool runs(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static int search(const char *command, char out[SHIM_PATH_LEN], struct err *e)
{
	const char *dirs = getenv("PATH");

	if (!dirs)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	while (*dirs) {
		size_t n = strcspn(dirs, ":");
		int len = snprintf(out, SHIM_PATH_LEN, "%.*s%s%s", (int)n, dirs, n ? "/" : "",
				   command);

		if (len > 0 && len < SHIM_PATH_LEN && runs(out))
			return 0;
		dirs += n + (dirs[n] == ':');
	}
	return err_set(e, -ENOENT, "%s: no such program", command);
}

/* The interpreter that a first line "#!" names, or nothing. */
static void interpreter_get(const char *path, char out[SHIM_PATH_LEN])
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char line[256] = "";
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
	char *at = line + 2;

	out[0] = '\0';
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return;
	at += strspn(at, " \t");
	at[strcspn(at, " \t\r\n")] = '\0';
	snprintf(out, SHIM_PATH_LEN, "%s", at);
}

int shim_program_find(const char *command, char out[SHIM_PATH_LEN], struct err *e)
{
	char next[SHIM_PATH_LEN];
	int r = 0;

	if (!strchr(command, '/'))
		r = search(command, out, e);
	else if (snprintf(out, SHIM_PATH_LEN, "%s", command) >= SHIM_PATH_LEN)
		return err_set(e, -ENAMETOOLONG, "%s: name too long", command);
	else if (!runs(out))
		r = err_set(e, -EACCES, "%s: not a program that can be run", command);
	/* The kernel follows four. */
	for (int depth = 0; r == 0 && depth < 4; depth++) {
		interpreter_get(out, next);
		if (!next[0])
			return 0;
		memcpy(out, next, sizeof(next));
	}
	return r;
}

/* --- what is in it --------------------------------------------------------------------------- */

static bool read_at(int fd, void *to, size_t len, uint64_t at)
{
	return at <= INT64_MAX && pread(fd, to, len, (off_t)at) == (ssize_t)len;
}

/* A note by Go's compiler: its programs make system calls without the C library. */
static bool has_go_note(int fd, const Elf64_Phdr *ph)
{
	uint8_t note[512];
	size_t n = ph->p_filesz < sizeof(note) ? ph->p_filesz : sizeof(note);

	return read_at(fd, note, n, ph->p_offset) && memmem(note, n, "Go\0", 4);
}

struct program {
	bool dynamic, go;
	char loader[256];
};

static int headers_read(int fd, const char *path, struct program *p, struct err *e)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (!read_at(fd, &eh, sizeof(eh), 0) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return err_set(e, -ENOEXEC, "%s: neither a program nor a script", path);
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64)
		return err_set(e, -ENOEXEC,
			       "%s: not a 64-bit x86 program: the shim's library does not fit",
			       path);
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		if (!read_at(fd, &ph, sizeof(ph), eh.e_phoff + (uint64_t)i * eh.e_phentsize))
			return err_set(e, -ENOEXEC, "%s: broken program headers", path);
		if (ph.p_type == PT_NOTE)
			p->go |= has_go_note(fd, &ph);
		if (ph.p_type != PT_INTERP)
			continue;
		p->dynamic = true;
		if (ph.p_filesz >= sizeof(p->loader) ||
		    !read_at(fd, p->loader, ph.p_filesz, ph.p_offset))
			return err_set(e, -ENOEXEC, "%s: broken name of its loader", path);
	}
	return 0;
}

static bool privileged(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	return (st.st_mode & S_ISUID && st.st_uid != getuid()) ||
	       (st.st_mode & S_ISGID && st.st_gid != getgid()) ||
	       (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0);
}

int shim_program_check(const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct program p = { 0 };
	const char *loader;
	int r;

	if (fd < 0)
		return err_set(e, -errno, "%s: %m", path);
	r = headers_read(fd, path, &p, e);
	if (r < 0)
		return r;
	if (!p.dynamic)
		return err_set(e, -ENOEXEC,
			       "%s: statically linked: no library can be preloaded into it; "
			       "build it dynamically",
			       path);
	if (p.go)
		return err_set(e, -ENOEXEC,
			       "%s: a Go program: it makes its system calls without the C library, "
			       "which is where the shim stands",
			       path);
	loader = strrchr(p.loader, '/');
	if (!loader || strcmp(loader, GLIBC_LOADER) != 0)
		return err_set(e, -ENOEXEC, "%s: loaded by %s, not by the GNU C library's loader",
			       path, p.loader);
	if (privileged(path))
		return err_set(
			e, -EPERM,
			"%s: setuid, setgid or with capabilities: the loader preloads nothing "
			"into it; run it as the user whose rights it takes",
			path);
	return 0;
}

/* --- a trial --------------------------------------------------------------------------------- */

#define TRIAL_MAX 65536

static void trial_exec(const char *path, const char *library, const int out[2])
{
	const char *before = getenv("LD_PRELOAD");
	char preload[2 * SHIM_PATH_LEN];

	snprintf(preload, sizeof(preload), "%s%s%s", before ? before : "", before ? ":" : "",
		 library);
	setenv("LD_PRELOAD", preload, 1);
	dup2(out[1], STDOUT_FILENO);
	dup2(out[1], STDERR_FILENO);
	execl("/lib64" GLIBC_LOADER, &GLIBC_LOADER[1], "--list", path, (char *)NULL);
	_exit(127);
}

/* What the loader said, on stdout and stderr together; its exit status. */
static int trial_run(const char *path, const char *library, char said[TRIAL_MAX])
{
	int out[2], status = -1;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	said[0] = '\0';
	if (pipe(out) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		trial_exec(path, library, out);
	close(out[1]);
	while (pid > 0 && (n = read(out[0], said + len, TRIAL_MAX - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(out[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

int shim_program_try(const char *path, const char *library, struct err *e)
{
	auto_mem char *said = malloc(TRIAL_MAX);
	char loaded[SHIM_PATH_LEN + 8];
	char *why;

	if (!said)
		return err_set(e, -ENOMEM, "%s: no memory", path);
	snprintf(loaded, sizeof(loaded), "%s (0x", library);
	if (trial_run(path, library, said) == 0 && strstr(said, loaded))
		return 0;
	why = strstr(said, "ERROR");
	why = why ? why : said;
	why[strcspn(why, "\n")] = '\0';
	return err_set(e, -ELIBBAD, "%s cannot be preloaded into %s: %s", library, path,
		       *why ? why : "the loader did not say why");
}
