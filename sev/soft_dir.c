/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A software platform's state directory (mode 0700), files 0600:
 *
 *	state		all the platform keeps over power-off, private keys too; psp/'s own blob
 *	ark.cert	its root, for whoever pins it
 *	ask.cert
 *
 * The state file is only ever replaced as a whole, under an flock() of the directory. Several
 * processes may have the same platform open; each looks for others' changes before a command.
 */

#include "sev/soft.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/auto.h"
#include "base/fd.h"

#define STATE_MAX (1u << 20)
#define PATH_LEN 4096

DEFINE_AUTO(psp, struct psp *, psp_free)
#define auto_dir cleanup_with(soft_dir_fini)

static int path_of(char out[PATH_LEN], const char *dir, const char *name, struct err *e)
{
	int n = snprintf(out, PATH_LEN, "%s/%s", dir, name);

	return n < 0 || n >= PATH_LEN ? err_set(e, -ENAMETOOLONG, "%s: name too long", dir) : 0;
}

/* A buffer that held private keys. */
static void keys_fini(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}
#define auto_keys cleanup_with(keys_fini)

int soft_dir_open(struct soft_dir *d, const char *path, struct err *e)
{
	*d = (struct soft_dir){ .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	if (d->fd < 0)
		return err_set(e, -errno, "%s: %m: not a software platform; make one first", path);
	d->path = realpath(path, NULL);
	return d->path ? 0 : err_set(e, -errno, "%s: %m", path);
}

void soft_dir_fini(struct soft_dir *d)
{
	auto_fd_close(&d->fd);
	d->fd = -1;
	free(steal_ptr(&d->path));
}

int soft_dir_lock(struct soft_dir *d, struct err *e)
{
	while (flock(d->fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return err_set(e, -errno, "%s: lock: %m", d->path);
	}
	return 0;
}

void soft_dir_unlock(struct soft_dir *d)
{
	flock(d->fd, LOCK_UN);
}

void soft_dir_forked(struct soft_dir *d)
{
	auto_fd_close(&d->fd); /* the parent's locks stay with its own descriptor */
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whoever is killed while it saves leaves its new file behind, with private keys in it. */
void soft_dir_clean(const struct soft_dir *d)
{
	struct dirent *it;
	DIR *dir = opendir(d->path);

	if (!dir)
		return;
	while ((it = readdir(dir))) {
		if (fnmatch("state.??????", it->d_name, 0) == 0)
			unlinkat(dirfd(dir), it->d_name, 0);
	}
	closedir(dir);
}

/* --- what processes share -------------------------------------------------------------------- */

/* Read locks on bytes of the directory: the only kind a directory can have, and enough, because
 * whoever takes one holds the flock() and looked first. */
static int byte_lock(const struct soft_dir *d, uint32_t n, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = n, .l_len = 1 };

	return fcntl(d->fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

int soft_dir_hold(const struct soft_dir *d, uint32_t n)
{
	return byte_lock(d, n, F_RDLCK);
}

void soft_dir_drop(const struct soft_dir *d, uint32_t n)
{
	(void)!byte_lock(d, n, F_UNLCK);
}

/* The kernel reports one lock at a time, in no promised order. */
uint32_t soft_dir_others(const struct soft_dir *d, uint32_t from, uint32_t to)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	uint32_t start, end;

	if (from >= to)
		return 0;
	l.l_start = from;
	l.l_len = to - from;
	if (fcntl(d->fd, F_OFD_GETLK, &l) < 0 || l.l_type == F_UNLCK)
		return 0;
	start = l.l_start > from ? (uint32_t)l.l_start : from;
	end = l.l_len && l.l_start + l.l_len < to ? (uint32_t)(l.l_start + l.l_len) : to;
	return soft_dir_others(d, from, start) + (end - start) + soft_dir_others(d, end, to);
}

/* --- the state file -------------------------------------------------------------------------- */

static bool file_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int state_read(const char *path, struct psp **psp, struct err *e)
{
	auto_keys struct buf b = { 0 };
	int r = fd_file_read(path, STATE_MAX, &b, e);

	if (r < 0)
		return r;
	r = *psp ? psp_nv_reload(*psp, b.p, b.len, e) : psp_nv_get(b.p, b.len, psp, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int soft_dir_load(struct soft_dir *d, struct psp **psp, struct err *e)
{
	uint64_t before = *psp ? psp_nv_changes(*psp) : 0;
	char path[PATH_LEN];
	struct stat now;
	int r = path_of(path, d->path, "state", e);

	if (r < 0)
		return r;
	if (stat(path, &now) < 0)
		return err_set(e, -errno,
			       "%s: %m: %s holds no software platform, or its making was cut short",
			       path, d->path);
	if (*psp && file_same(&now, &d->file))
		return 0;
	r = state_read(path, psp, e);
	if (r < 0)
		return r;
	d->file = now;
	d->changes = before; /* loading made keys where there were none: they are to be saved */
	return 0;
}

int soft_dir_save(struct soft_dir *d, const struct psp *psp, struct err *e)
{
	auto_keys struct buf b = { 0 };
	char path[PATH_LEN];
	int r;

	if (psp_nv_changes(psp) == d->changes)
		return 0;
	r = path_of(path, d->path, "state", e);
	if (r == 0)
		r = buf_reserve(&b, 65536, e); /* at once: growing would leave copies behind */
	if (r == 0)
		r = psp_nv_put(psp, &b, e);
	if (r == 0)
		r = fd_file_replace(path, b.p, b.len, 0600, e);
	if (r < 0)
		return r;
	if (stat(path, &d->file) < 0)
		return err_set(e, -errno, "%s: %m", path);
	d->changes = psp_nv_changes(psp);
	return 0;
}

/* --- making one ------------------------------------------------------------------------------ */

/* Another directory's platform, to sign with. */
static int other_load(const char *dir, const char *as, struct psp **out, struct err *e)
{
	auto_dir struct soft_dir d = { .fd = -1 };
	int r = soft_dir_open(&d, dir, e);

	if (r == 0)
		r = soft_dir_load(&d, out, e);
	return r < 0 ? err_wrap(e, r, "%s", as) : 0;
}

static int platform_make(const struct sev_soft_init *opt, struct psp **out, struct err *e)
{
	auto_of(psp) struct psp *ca = NULL, *oca = NULL, *made = NULL;
	struct psp_make m = {
		.api_major = (uint8_t)opt->api_major,
		.api_minor = (uint8_t)opt->api_minor,
		.build = (uint8_t)opt->build,
		.root_bits = opt->root_bits,
	};
	enum psp_status s;
	int r = 0;

	if (opt->api_major > UINT8_MAX || opt->api_minor > UINT8_MAX || opt->build > UINT8_MAX)
		return err_set(e, -EINVAL, "firmware version %u.%u.%u: each part is 0 to 255",
			       opt->api_major, opt->api_minor, opt->build);
	if (opt->ca_dir)
		r = other_load(opt->ca_dir, "CA", &ca, e);
	if (r == 0 && opt->oca_dir)
		r = other_load(opt->oca_dir, "OCA", &oca, e);
	m.ca = ca;
	m.oca = oca;
	if (r == 0)
		r = psp_make(&m, &made, e);
	if (r < 0)
		return r;
	s = psp_init(made, true); /* makes OCA, PEK and PDH, which a later platform may ask for */
	if (s != PSP_SUCCESS)
		return err_set(e, -EIO, "INIT: firmware: %s", sev_status_name(s));
	*out = steal_ptr(&made);
	return 0;
}

static int cert_write(const char *dir, const char *name, const uint8_t *p, size_t len,
		      struct err *e)
{
	char path[PATH_LEN];
	int r = path_of(path, dir, name, e);

	return r < 0 ? r : fd_file_replace(path, p, len, 0600, e);
}

static int dir_fill(const char *dir, const struct psp *psp, struct err *e)
{
	auto_dir struct soft_dir d = { .fd = -1 };
	uint8_t chain[PSP_AMD_CHAIN_MAX];
	size_t len = 0;
	int r = soft_dir_open(&d, dir, e);

	if (r == 0)
		r = psp_amd_chain(psp, chain, sizeof(chain), &len, e);
	if (r == 0)
		r = cert_write(dir, "ask.cert", chain, len / 2, e);
	if (r == 0)
		r = cert_write(dir, "ark.cert", chain + len / 2, len / 2, e);
	d.changes = ~psp_nv_changes(psp); /* nothing is on disk yet */
	/* Last: with it the directory is complete. */
	return r < 0 ? r : soft_dir_save(&d, psp, e);
}

static void dir_remove(const char *dir)
{
	static const char *const files[] = { "state", "ark.cert", "ask.cert" };
	char path[PATH_LEN];
	struct err ignored = { 0 };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (path_of(path, dir, files[i], &ignored) == 0)
			unlink(path);
	}
	rmdir(dir);
}

int sev_soft_init(const char *dir, const struct sev_soft_init *opt, struct err *e)
{
	auto_of(psp) struct psp *psp = NULL;
	struct stat st;
	int r;

	if (lstat(dir, &st) == 0)
		return err_set(e, -EEXIST, "%s: exists already", dir);
	r = platform_make(opt, &psp, e); /* takes seconds; nothing is on disk meanwhile */
	if (r < 0)
		return err_wrap(e, r, "%s", dir);
	if (mkdir(dir, 0700) < 0)
		return err_set(e, -errno, "%s: %m", dir);
	r = dir_fill(dir, psp, e);
	if (r < 0)
		dir_remove(dir);
	return r;
}
