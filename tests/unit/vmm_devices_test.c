/* SPDX-License-Identifier: Apache-2.0 */

/* Devices in a VM: what they write is dirty, they rest while it does, a disk goes with the guest.
 * The test is the guest's driver; its vCPU sleeps. */

#include "tests/unit/vmm_util.h"

#include <sys/stat.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "abi/pci.h"
#include "base/rdwr.h"
#include "vmm/impl.h"

#define SECTORS 64u
#define RING 0x400000u
#define DRIVER (RING + 0x1000u)
#define DEVICE (RING + 0x2000u)
#define HEADER (RING + 0x3000u)
#define DATA (RING + 0x10000u)

static const uint8_t forever[] = { 0xf3, 0x90, 0xeb, 0xfc }; /* pause; jmp */

static void reg(struct vm *vm, uint32_t at, unsigned len, uint64_t v)
{
	uint8_t b[8];

	memcpy(b, &v, 8);
	assert_true(dev_bus_mmio(vm->bus, gpa(PCI_SLOT_BARS(1) + at), true, b, len));
}

static struct vm *with_disk(struct util_place *u, const char *name, bool arrives)
{
	struct vm_devices devices = { .ndisk = 1 };
	struct vm_config cfg = { .name = name,
				 .memory = 32u << 20,
				 .vcpus = 1,
				 .console_in = -1,
				 .console_out = u->console[1],
				 .devices = &devices };
	struct vm *vm = NULL;
	struct err e = { 0 };
	char path[96];
	int fd;

	if (!u->platform)
		skip();
	snprintf(path, sizeof(path), "%s/disk", u->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	assert_int_equal(pwrite(fd, "sector 3", 8, 3 * 512), 8);
	devices.disk[0] = (struct dev_disk){ .fd = fd, .later = arrives, .number = 1 };
	util_ok(vm_new(&cfg, u->platform, &vm, &e), &e);
	assert_int_equal(devices.disk[0].fd, -1);
	return vm;
}

static struct vm *running(struct util_place *u)
{
	struct vm *vm = with_disk(u, "guest", false);
	struct vm_boot boot = { 0 };
	uint32_t command = 6;
	struct err e = { 0 };
	char path[96];

	util_kernel(u, forever, sizeof(forever), path);
	boot.kernel = path;
	util_ok(vm_boot(vm, &boot, &e), &e);
	dev_bus_config(vm->bus, 0x80000804, 0, 2, true, &command);
	for (unsigned i = 0; i < 2; i++) {
		reg(vm, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		reg(vm, VIRTIO_PCI_COMMON_GF, 4, i ? 3 : 0); /* VERSION_1, ACCESS_PLATFORM */
	}
	reg(vm, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_FEATURES_OK);
	reg(vm, VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
	reg(vm, VIRTIO_PCI_COMMON_Q_DESCLO, 4, RING);
	reg(vm, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, DRIVER);
	reg(vm, VIRTIO_PCI_COMMON_Q_USEDLO, 4, DEVICE);
	reg(vm, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	reg(vm, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
	util_ok(vm_start(vm, &e), &e);
	return vm;
}

/* Read sector 3 to DATA; rung, not waited for. */
static void ask(struct vm *vm)
{
	static const struct {
		uint64_t at;
		uint32_t len;
		uint16_t flags, next;
	} desc[] = { { HEADER, 16, VRING_DESC_F_NEXT, 1 },
		     { DATA, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 },
		     { HEADER + 16, 1, VRING_DESC_F_WRITE, 0 } };
	uint8_t *ring = vmm_memory_at(&vm->mem, gpa(RING), 0x11000);
	uint16_t *idx = (uint16_t *)(void *)(ring + 0x1002);
	struct wr w = wr_of(ring + 0x3000, 16);

	memcpy(ring, desc, sizeof(desc));
	wr_le32(&w, VIRTIO_BLK_T_IN);
	wr_le32(&w, 0);
	wr_le64(&w, 3);
	__atomic_store_n(idx, (uint16_t)(*idx + 1), __ATOMIC_RELEASE);
	reg(vm, 0x3000, 2, 0);
}

static uint16_t done(struct vm *vm)
{
	uint8_t *p = vmm_memory_at(&vm->mem, gpa(DEVICE + 2), 2);

	return __atomic_load_n((uint16_t *)(void *)p, __ATOMIC_ACQUIRE);
}

static void wait_done(struct vm *vm, uint16_t n)
{
	for (unsigned ms = 0; done(vm) != n; ms++) {
		const struct timespec t = { 0, 1000000 };

		assert_true(ms < 5000);
		nanosleep(&t, NULL);
	}
}

static bool page_dirty(const struct mig_bitmap *bm, uint64_t at)
{
	return bm->words[at >> PAGE_SHIFT >> 6] >> (at >> PAGE_SHIFT & 63) & 1;
}

static void what_a_disk_read_wrote_travels_again(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = running(u);
	struct mig_vm *mig = vm_migratable(vm);
	uint64_t words[(32u << 20) / PAGE_LEN / 64] = { 0 };
	struct mig_bitmap bm = { words, (32u << 20) / PAGE_LEN };
	struct err e = { 0 };

	util_ok(mig->ops->dirty(mig, MIG_DIRTY_START, NULL, &e), &e);
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_SYNC, &bm, &e), &e);
	memset(words, 0, sizeof(words));
	ask(vm);
	wait_done(vm, 1);
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_SYNC, &bm, &e), &e);
	assert_true(page_dirty(&bm, DATA));
	assert_true(page_dirty(&bm, DEVICE));
	assert_true(page_dirty(&bm, HEADER)); /* the status */
	assert_false(page_dirty(&bm, DATA + PAGE_LEN));
	assert_false(page_dirty(&bm, DRIVER)); /* the guest's own writes are KVM's to see */
	assert_memory_equal(vmm_memory_at(&vm->mem, gpa(DATA), 8), "sector 3", 8);
	util_ok(mig->ops->dirty(mig, MIG_DIRTY_STOP, NULL, &e), &e);
	vm_free(vm);
}

static void devices_rest_while_the_guest_does(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = running(u);
	const struct timespec t = { 0, 50000000 };
	struct err e = { 0 };

	util_ok(vm_pause(vm, &e), &e);
	ask(vm);
	nanosleep(&t, NULL);
	assert_int_equal(done(vm), 0);
	util_ok(vm_start(vm, &e), &e);
	wait_done(vm, 1);
	vm_free(vm);
}

static void disk_goes_with_the_guest(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = running(u), *to;
	struct mig_vm *a = vm_migratable(vm), *b;
	struct lines differences = { 0 };
	auto_buf struct buf saved = { 0 };
	struct mig_vm_desc desc;
	struct err e = { 0 };

	to = with_disk(u, "guest", true);
	b = vm_migratable(to);
	util_ok(vm_incoming(to, &e), &e);
	util_ok(a->ops->describe(a, &desc, &e), &e);
	util_ok(b->ops->accept(b, &desc, MIG_TAKE, &differences, &e), &e);
	assert_int_equal(differences.n, 0);
	util_ok(a->ops->run(a, false, &e), &e);
	ask(vm); /* too late for here */
	util_ok(a->ops->state_save(a, &saved, &e), &e);
	util_ok(b->ops->state_load(b, saved.p, saved.len, &e), &e);
	memcpy(vmm_memory_at(&to->mem, gpa(RING), 0x20000),
	       vmm_memory_at(&vm->mem, gpa(RING), 0x20000), 0x20000);
	assert_int_equal(done(vm), 0);
	dev_bus_resume(to->bus); /* its CPU has no memory here to run in */
	wait_done(to, 1);
	assert_memory_equal(vmm_memory_at(&to->mem, gpa(DATA), 8), "sector 3", 8);
	vm_free(vm);
	vm_free(to);
}

static void source_takes_its_disk_back(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = running(u);
	struct mig_vm *a = vm_migratable(vm);
	auto_buf struct buf saved = { 0 };
	struct err e = { 0 };

	util_ok(a->ops->run(a, false, &e), &e);
	util_ok(a->ops->state_save(a, &saved, &e), &e);
	util_ok(a->ops->run(a, true, &e), &e);
	ask(vm);
	wait_done(vm, 1);
	vm_free(vm);
}

static void other_devices_are_named(void **state)
{
	struct util_place *u = *state;
	struct vm *vm = running(u), *to = util_vm(u, "guest", 1);
	struct mig_vm *a = vm_migratable(vm), *b = vm_migratable(to);
	struct lines differences = { 0 };
	struct mig_vm_desc desc;
	struct err e = { 0 };

	util_ok(vm_incoming(to, &e), &e);
	util_ok(a->ops->describe(a, &desc, &e), &e);
	util_ok(b->ops->accept(b, &desc, MIG_TAKE, &differences, &e), &e);
	assert_int_equal(differences.n, 1);
	if (!strstr(differences.v[0], "virtio-blk, 64 sectors"))
		fail_msg("%s", differences.v[0]);
	vm_free(vm);
	vm_free(to);
}

static int setup(void **state)
{
	static struct util_place u;

	*state = &u;
	return util_open(&u);
}

static int teardown(void **state)
{
	util_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(what_a_disk_read_wrote_travels_again),
		util_test(devices_rest_while_the_guest_does),
		util_test(disk_goes_with_the_guest),
		util_test(source_takes_its_disk_back),
		util_test(other_devices_are_named),
	};

	return cmocka_run_group_tests_name("vmm_devices", tests, setup, teardown);
}
