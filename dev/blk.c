/* SPDX-License-Identifier: Apache-2.0 */

/* virtio-blk (virtio 1.2, 5.2): one queue, requests done one after another. */

#include "dev/devices.h"
#include "dev/virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "base/auto.h"

#define SECTOR 512u
#define HEADER 16u
#define REQUEST_MAX (64u << 20) /* what a pause may have to wait for */
#define PCI_CLASS_DISK 0x018000u
#define CONFIG_LEN 24u /* to blk_size */

struct blk {
	struct dev_virtio v; /* first */
	int fd;              /* owned */
	bool readonly;
	uint64_t sectors;
	char id[VIRTIO_BLK_ID_BYTES];
	struct dev_chain chain; /* scratch */
};

static struct blk *blk_of(struct dev_virtio *v)
{
	return (struct blk *)(void *)v;
}

/* --- requests ------------------------------------------------------------------------------- */

static bool blk_fits(const struct blk *b, uint64_t sector, uint64_t len)
{
	return len <= REQUEST_MAX && !(len % SECTOR) && sector <= b->sectors &&
	       len / SECTOR <= b->sectors - sector;
}

static uint8_t blk_read(struct blk *b, uint64_t sector, uint64_t len)
{
	uint64_t at = 0;

	if (!blk_fits(b, sector, len))
		return VIRTIO_BLK_S_IOERR;
	while (at < len) {
		struct iovec v[DEV_RING_MAX];
		size_t bytes;
		unsigned n = dev_chain_in_iov(&b->chain, at, len - at, v, DEV_RING_MAX, &bytes);
		ssize_t got = preadv(b->fd, v, (int)n, (off_t)(sector * SECTOR + at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return VIRTIO_BLK_S_IOERR;
		dev_chain_wrote(&b->chain, &b->v.host, at, (uint64_t)got);
		at += (uint64_t)got;
	}
	return VIRTIO_BLK_S_OK;
}

static uint8_t blk_write(struct blk *b, uint64_t sector, uint64_t len)
{
	uint64_t at = 0;

	if (b->readonly || !blk_fits(b, sector, len))
		return VIRTIO_BLK_S_IOERR;
	while (at < len) {
		struct iovec v[DEV_RING_MAX];
		size_t bytes;
		unsigned n = dev_chain_out_iov(&b->chain, HEADER + at, len - at, v, DEV_RING_MAX,
					       &bytes);
		ssize_t put = pwritev(b->fd, v, (int)n, (off_t)(sector * SECTOR + at));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return VIRTIO_BLK_S_IOERR;
		at += (uint64_t)put;
	}
	return VIRTIO_BLK_S_OK;
}

/* The status byte is the last of what the device writes, however the request is cut up. */
static int blk_request(struct blk *b, struct err *e)
{
	uint64_t out = dev_chain_out(&b->chain), in = dev_chain_in(&b->chain);
	uint8_t head[HEADER], status = VIRTIO_BLK_S_UNSUPP;
	struct rd rd = rd_of(head, sizeof(head));
	uint64_t sector = 0, written = 0;
	uint32_t type = 0;

	if (out < HEADER || !in)
		return err_set(e, -EPROTO, "a request without a header or a status");
	dev_chain_get(&b->chain, 0, head, sizeof(head));
	rd_le32(&rd, &type);
	rd_skip(&rd, 4);
	rd_le64(&rd, &sector);
	in--;
	if (type == VIRTIO_BLK_T_IN) {
		status = blk_read(b, sector, in);
		written = status == VIRTIO_BLK_S_OK ? in : 0;
	} else if (type == VIRTIO_BLK_T_OUT) {
		status = blk_write(b, sector, out - HEADER);
	} else if (type == VIRTIO_BLK_T_FLUSH) {
		status = fdatasync(b->fd) < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	} else if (type == VIRTIO_BLK_T_GET_ID) {
		size_t len = in < sizeof(b->id) ? (size_t)in : sizeof(b->id);

		written = dev_chain_put(&b->chain, &b->v.host, 0, b->id, len);
		status = VIRTIO_BLK_S_OK;
	}
	dev_chain_put(&b->chain, &b->v.host, in, &status, 1);
	return dev_virtio_done(&b->v, 0, &b->chain, (uint32_t)written + 1, e);
}

static int blk_work(struct dev_virtio *v, const struct dev_poll *p, struct err *e)
{
	struct blk *b = blk_of(v);

	(void)p;
	for (unsigned i = 0; i < DEV_VIRTIO_BATCH; i++) {
		int r = dev_virtio_next(v, 0, &b->chain, e);

		if (r <= 0)
			return r;
		r = blk_request(b, e);
		if (r < 0)
			return r;
	}
	return 1;
}

/* --- who holds the disk --------------------------------------------------------------------- */

static int blk_lock(struct blk *b, short type, struct err *e)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	if (!fcntl(b->fd, F_OFD_SETLK, &l))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, -EAGAIN, "%s: another process holds its lock", b->v.name);
	return err_set(e, -errno, "%s: lock: %m", b->v.name);
}

/* Another host may have written since this one last read: what is cached is not the disk. */
static void blk_forget(const struct blk *b)
{
	(void)!posix_fadvise(b->fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)!ioctl(b->fd, BLKFLSBUF, 0); /* no block device, or no right: the advice has to do */
}

static int blk_acquire(struct blk *b, struct err *e)
{
	int r = blk_lock(b, b->readonly ? F_RDLCK : F_WRLCK, e);

	if (!r)
		blk_forget(b);
	return r;
}

/* Durable before anybody else may read it. */
static int blk_release(struct blk *b, struct err *e)
{
	if (!b->readonly && fsync(b->fd) < 0)
		return err_set(e, -errno, "fsync: %m");
	return blk_lock(b, F_UNLCK, e);
}

static int blk_event(struct dev_virtio *v, enum dev_event what, struct err *e)
{
	switch (what) {
	case DEV_ACQUIRE:
		return blk_acquire(blk_of(v), e);
	case DEV_RELEASE:
		return blk_release(blk_of(v), e);
	case DEV_RESET:
	case DEV_ANNOUNCE:
		break;
	}
	return 0;
}

/* --- the rest ------------------------------------------------------------------------------- */

static void blk_free(struct dev_virtio *v)
{
	struct blk *b = blk_of(v);

	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

/* Nothing of its own travels: no request is in flight, and the disk is where it was. */
static const struct dev_virtio_ops blk_ops = {
	.poll = dev_virtio_no_poll,
	.work = blk_work,
	.event = blk_event,
	.save = dev_virtio_no_save,
	.load = dev_virtio_no_load,
	.free = blk_free,
};

static int blk_size(struct blk *b, struct err *e)
{
	uint64_t bytes;
	struct stat st;

	if (fstat(b->fd, &st) < 0)
		return err_set(e, -errno, "%s: %m", b->v.name);
	bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(b->fd, BLKGETSIZE64, &bytes) < 0)
		return err_set(e, -errno, "%s: BLKGETSIZE64: %m", b->v.name);
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, -ENOTBLK, "%s: neither a file nor a block device", b->v.name);
	if (!bytes || bytes % SECTOR || bytes > INT64_MAX)
		return err_set(e, -EINVAL, "%s: %llu bytes, not a number of sectors", b->v.name,
			       (unsigned long long)bytes);
	b->sectors = bytes / SECTOR;
	return 0;
}

static void blk_config(struct blk *b)
{
	struct wr w = wr_of(b->v.config, CONFIG_LEN);

	wr_le64(&w, b->sectors);
	wr_le32(&w, 0);                /* size_max: not offered */
	wr_le32(&w, DEV_RING_MAX - 2); /* seg_max: header and status need one each */
	wr_le32(&w, 0);                /* geometry: not offered */
	wr_le32(&w, SECTOR);
	b->v.config_len = CONFIG_LEN;
}

int dev_blk_new(const struct dev_disk *cfg, struct dev_virtio **out, struct err *e)
{
	auto_fd int fd = cfg->fd;
	auto_mem struct blk *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(e, -ENOMEM, "disk: %m");
	b->v = (struct dev_virtio){
		.ops = &blk_ops,
		.type = VIRTIO_ID_BLOCK,
		.class = PCI_CLASS_DISK,
		.features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
			    1ull << VIRTIO_BLK_F_FLUSH | (uint64_t)cfg->readonly << VIRTIO_BLK_F_RO,
		.nqueue = 1,
		.kick_fd = -1,
	};
	snprintf(b->v.name, sizeof(b->v.name), "disk %u", cfg->number);
	snprintf(b->id, sizeof(b->id), "sevmig-disk-%u", cfg->number);
	b->readonly = cfg->readonly;
	b->fd = fd;
	r = blk_size(b, e);
	if (!r && !cfg->later) {
		r = blk_lock(b, b->readonly ? F_RDLCK : F_WRLCK, e);
		b->v.held = !r;
	}
	if (r < 0)
		return r;
	snprintf(b->v.what, sizeof(b->v.what), "virtio-blk%s, %llu sectors",
		 b->readonly ? " ro" : "", (unsigned long long)b->sectors);
	blk_config(b);
	steal_fd(&fd);
	*out = &steal_ptr(&b)->v;
	return 0;
}
