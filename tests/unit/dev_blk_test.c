/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_blk.h>

#include "base/auto.h"

#define SLOT 1u
#define SECTORS 64u
#define HEAD UTIL_DATA
#define STATUS (UTIL_DATA + 0x100)
#define DATA (UTIL_DATA + 0x1000)
#define UNTOUCHED 0xaau

static char path[64];

static int disk_make(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/sevmig-disk-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < SECTORS; i++) {
		uint8_t sector[512];

		memset(sector, (int)i, sizeof(sector));
		assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	close(fd);
	return 0;
}

static int disk_drop(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static int try_open(bool readonly, bool later, struct dev_virtio **dev, struct err *e)
{
	struct dev_disk d = { .readonly = readonly, .later = later, .number = 1 };

	d.fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	assert_true(d.fd >= 0);
	return dev_blk_new(&d, dev, e);
}

static struct dev_virtio *disk(bool readonly, bool later)
{
	struct dev_virtio *dev;
	struct err e = { 0 };

	if (try_open(readonly, later, &dev, &e) < 0)
		fail_msg("%s", e.msg);
	return dev;
}

static struct util_guest *one(bool readonly)
{
	struct dev_virtio *dev = disk(readonly, false);
	struct util_guest *g = util_guest_new(&dev, 1);

	util_drive(g, SLOT, 1, 0);
	return g;
}

/* Header, data, status in a descriptor each, on the ring but not rung. */
static void ask(struct util_guest *g, uint32_t type, uint64_t sector, uint32_t len)
{
	struct wr w = wr_of(util_at(g, HEAD, 16), 16);

	wr_le32(&w, type);
	wr_le32(&w, 0);
	wr_le64(&w, sector);
	*(uint8_t *)util_at(g, STATUS, 1) = UNTOUCHED;
	util_desc(g, 0, 0, HEAD, 16, D_NEXT, 1);
	util_desc(g, 0, 1, DATA, len, D_NEXT | (type == VIRTIO_BLK_T_OUT ? 0 : D_WRITE), 2);
	util_desc(g, 0, 2, STATUS, 1, D_WRITE, 0);
	util_offer(g, 0, 0);
}

static uint8_t answer(struct util_guest *g)
{
	util_step(g, SLOT);
	return *(uint8_t *)util_at(g, STATUS, 1);
}

static uint8_t on_disk(uint64_t sector)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t v = 0;

	assert_int_equal(pread(fd, &v, 1, (off_t)(sector * 512)), 1);
	return v;
}

static void reads_and_writes_sectors(void **state)
{
	struct util_guest *g = one(false);
	const uint8_t *data = util_at(g, DATA, 1024);

	(void)state;
	assert_int_equal(util_read(g, SLOT, UTIL_CONFIG, 4), SECTORS);
	ask(g, VIRTIO_BLK_T_IN, 5, 1024);
	assert_int_equal(answer(g), VIRTIO_BLK_S_OK);
	assert_int_equal(util_used_len(g, 0, 0), 1025);
	assert_int_equal(data[0], 5);
	assert_int_equal(data[1023], 6);
	memset(util_at(g, DATA, 512), 0x77, 512);
	ask(g, VIRTIO_BLK_T_OUT, 9, 512);
	assert_int_equal(answer(g), VIRTIO_BLK_S_OK);
	assert_int_equal(util_used_len(g, 0, 1), 1);
	assert_int_equal(on_disk(9), 0x77);
	assert_int_equal(on_disk(10), 10);
	ask(g, VIRTIO_BLK_T_FLUSH, 0, 0);
	assert_int_equal(answer(g), VIRTIO_BLK_S_OK);
	ask(g, VIRTIO_BLK_T_GET_ID, 0, 20);
	assert_int_equal(answer(g), VIRTIO_BLK_S_OK);
	assert_string_equal((const char *)data, "sevmig-disk-1");
	util_guest_free(g);
}

static void last_sector_is_the_last(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
		uint8_t status;
	} tries[] = {
		{ SECTORS - 1, 512, VIRTIO_BLK_S_OK },
		{ SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ UINT64_MAX / 512, 512, VIRTIO_BLK_S_IOERR },
		{ 0, 511, VIRTIO_BLK_S_IOERR },
	};
	struct util_guest *g = one(false);
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		ask(g, VIRTIO_BLK_T_IN, tries[i].sector, tries[i].len);
		assert_int_equal(answer(g), tries[i].status);
		ask(g, VIRTIO_BLK_T_OUT, tries[i].sector, tries[i].len);
		assert_int_equal(answer(g), tries[i].status);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, SECTORS * 512);
	util_guest_free(g);
}

static void unknown_request_is_answered(void **state)
{
	struct util_guest *g = one(false);

	(void)state;
	ask(g, 0x1234, 0, 512);
	assert_int_equal(answer(g), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(util_used_len(g, 0, 0), 1);
	util_guest_free(g);
}

static void readonly_disk_is_not_written(void **state)
{
	struct util_guest *g = one(true);

	(void)state;
	util_write(g, SLOT, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	assert_true(util_read(g, SLOT, VIRTIO_PCI_COMMON_DF, 4) & 1u << VIRTIO_BLK_F_RO);
	ask(g, VIRTIO_BLK_T_OUT, 3, 512);
	assert_int_equal(answer(g), VIRTIO_BLK_S_IOERR);
	assert_int_equal(on_disk(3), 3);
	util_guest_free(g);
}

static void request_may_be_cut_up_anyhow(void **state)
{
	struct util_guest *g = one(false);

	(void)state;
	ask(g, VIRTIO_BLK_T_IN, 4, 512); /* for its header */
	util_desc(g, 0, 0, HEAD, 7, D_NEXT, 1);
	util_desc(g, 0, 1, HEAD + 7, 9, D_NEXT, 2);
	util_desc(g, 0, 2, DATA, 1, D_NEXT | D_WRITE, 3);
	util_desc(g, 0, 3, DATA + 1, 512, D_WRITE, 0); /* the status is its last byte */
	assert_int_equal(answer(g), UNTOUCHED);
	assert_int_equal(*(uint8_t *)util_at(g, DATA + 511, 1), 4);
	assert_int_equal(*(uint8_t *)util_at(g, DATA + 512, 1), VIRTIO_BLK_S_OK);
	util_guest_free(g);
}

static void request_without_header_or_status_breaks_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct util_guest *g = one(false);

		ask(g, VIRTIO_BLK_T_OUT, 0, 512);
		if (i)
			util_desc(g, 0, 0, HEAD, 15, D_NEXT, 2);
		else
			util_desc(g, 0, 1, DATA, 512, 0, 0);
		util_step(g, SLOT);
		assert_true(util_broken(g, SLOT));
		util_guest_free(g);
	}
}

/* --- who holds it --------------------------------------------------------------------------- */

static void second_writer_is_refused(void **state)
{
	struct util_guest *g = one(false);
	struct dev_virtio *dev;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(try_open(false, false, &dev, &e), -EAGAIN);
	assert_non_null(strstr(e.msg, "another process holds its lock"));
	assert_int_equal(try_open(true, false, &dev, &e), -EAGAIN);
	util_guest_free(g);
}

static void readers_share(void **state)
{
	struct util_guest *a = one(true), *b = one(true);
	struct dev_virtio *dev;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(try_open(false, false, &dev, &e), -EAGAIN);
	util_guest_free(a);
	util_guest_free(b);
}

static void target_waits_until_the_source_has_let_go(void **state)
{
	struct util_guest *from = one(false), *to;
	struct dev_virtio *dev = disk(false, true);
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	dev_bus_pause(from->bus);
	ask(from, VIRTIO_BLK_T_OUT, 9, 512);
	memset(util_at(from, DATA, 512), 0x55, 512);
	assert_int_equal(dev_bus_state_save(from->bus, &b, &e), 0);
	to = util_guest_new(&dev, 1);
	assert_int_equal(dev_bus_state_load(to->bus, b.p, b.len, &e), 0);
	memcpy(to->ram, from->ram, UTIL_LEN);
	dev_bus_step(to->bus);
	assert_int_equal(util_used(to, 0), 0);
	assert_int_equal(on_disk(9), 9);
	assert_int_equal(dev_bus_release(from->bus, &e), 0);
	dev_bus_step(to->bus);
	assert_int_equal(util_used(to, 0), 1);
	assert_int_equal(on_disk(9), 0x55);
	util_guest_free(from);
	util_guest_free(to);
}

static void source_goes_on_when_the_target_never_ran(void **state)
{
	struct util_guest *from = one(false);
	struct err e = { 0 };

	(void)state;
	dev_bus_pause(from->bus);
	assert_int_equal(dev_bus_release(from->bus, &e), 0);
	ask(from, VIRTIO_BLK_T_IN, 5, 512);
	dev_bus_step(from->bus);
	assert_int_equal(util_used(from, 0), 0);
	dev_bus_resume(from->bus);
	assert_int_equal(answer(from), VIRTIO_BLK_S_OK);
	util_guest_free(from);
}

static void disk_of_another_size_has_another_name(void **state)
{
	struct dev_virtio *dev = disk(false, false);
	struct util_guest *g = util_guest_new(&dev, 1);
	char name[64];

	(void)state;
	assert_true(dev_bus_name(g->bus, 0, name, sizeof(name)));
	assert_string_equal(name, "00:01.0 virtio-blk, 64 sectors");
	assert_false(dev_bus_name(g->bus, 1, name, sizeof(name)));
	util_guest_free(g);
}

static void odd_file_is_refused(void **state)
{
	struct dev_virtio *dev;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(try_open(false, false, &dev, &e), -EINVAL);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(try_open(false, false, &dev, &e), -EINVAL);
}

int main(void)
{
#define disk_test(f) cmocka_unit_test_setup_teardown(f, disk_make, disk_drop)
	const struct CMUnitTest tests[] = {
		disk_test(reads_and_writes_sectors),
		disk_test(last_sector_is_the_last),
		disk_test(unknown_request_is_answered),
		disk_test(readonly_disk_is_not_written),
		disk_test(request_may_be_cut_up_anyhow),
		disk_test(request_without_header_or_status_breaks_it),
		disk_test(second_writer_is_refused),
		disk_test(readers_share),
		disk_test(target_waits_until_the_source_has_let_go),
		disk_test(source_goes_on_when_the_target_never_ran),
		disk_test(disk_of_another_size_has_another_name),
		disk_test(odd_file_is_refused),
	};

	return cmocka_run_group_tests_name("dev_blk", tests, NULL, NULL);
}
