/* SPDX-License-Identifier: Apache-2.0 */

/* The firmware in a guest, and a monitor that hands over other files than were measured. */

#include "tests/unit/vmm_util.h"

#include "abi/firmware.h"
#include "owner/hashes.h"

#define INITRD "an initial RAM disk of a few bytes"

/* Power off: out %ax to port 0x604. */
static const uint8_t code[] = { 0x66, 0xb8, 0x00, 0x20, 0x66, 0xba, 0x04,
				0x06, 0x66, 0xef, 0xf4, 0xeb, 0xfd };

struct parts {
	struct buf image, kernel, initrd;
	uint8_t hashes[OWNER_HASHES_LEN];
	struct vm_firmware fw;
};

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

static void parts_make(struct util_place *u, struct parts *p)
{
	struct owner_boot boot;
	struct err e = { 0 };
	char path[96];

	*p = (struct parts){ 0 };
	if (!u->platform)
		skip();
	util_kernel(u, code, sizeof(code), path);
	util_ok(vm_kernel_pack(path, &p->kernel, &e), &e);
	util_ok(fd_file_read(FIRMWARE_IMAGE, FIRMWARE_LEN_MAX, &p->image, &e), &e);
	util_ok(buf_add(&p->initrd, INITRD, sizeof(INITRD), &e), &e);
	boot = (struct owner_boot){ p->kernel.p, p->kernel.len, p->initrd.p, p->initrd.len,
				    "quiet" };
	util_ok(owner_hashes_make(&boot, p->hashes, &e), &e);
	p->fw = (struct vm_firmware){ .image = p->image.p,
				      .len = p->image.len,
				      .hashes = p->hashes,
				      .hashes_len = sizeof(p->hashes),
				      .kernel = p->kernel.p,
				      .kernel_len = p->kernel.len,
				      .initrd = p->initrd.p,
				      .initrd_len = p->initrd.len,
				      .append = "quiet" };
}

static void parts_free(struct parts *p)
{
	buf_fini(&p->image);
	buf_fini(&p->kernel);
	buf_fini(&p->initrd);
}

/* Boot; what it said, and how it ended. */
static enum vm_end run(struct util_place *u, const struct parts *p, char text[4096])
{
	const struct vm_boot boot = { .firmware = &p->fw };
	const struct vm_config cfg = { .name = "firmware",
				       .memory = 32u << 20,
				       .vcpus = 1,
				       .firmware_len = p->image.len,
				       .console_in = -1,
				       .console_out = u->console[1] };
	struct pollfd end = { .events = POLLIN };
	struct err e = { 0 };
	struct vm *vm = NULL;
	enum vm_end how;

	util_ok(vm_new(&cfg, u->platform, &vm, &e), &e);
	util_ok(vm_boot(vm, &boot, &e), &e);
	util_ok(vm_start(vm, &e), &e);
	end.fd = vm_event_fd(vm);
	/* Interpreted slowly where /dev/kvm is a small one. */
	assert_int_equal(poll(&end, 1, 60000), 1);
	how = vm_end(vm, NULL);
	vm_free(vm);
	text[util_drain(u, text, 4095)] = '\0';
	return how;
}

static void it_starts_what_was_measured(void **state)
{
	char text[4096];
	struct parts p;

	parts_make(*state, &p);
	assert_int_equal(run(*state, &p, text), VM_END_POWEROFF);
	assert_non_null(strstr(text, "firmware: kernel verified"));
	assert_non_null(strstr(text, "firmware: initial RAM disk verified"));
	assert_non_null(strstr(text, "firmware: command line verified"));
	parts_free(&p);
}

static void refused(void **state, struct parts *p, const char *why)
{
	char text[4096];

	assert_int_equal(run(*state, p, text), VM_END_ERROR);
	if (!strstr(text, why))
		fail_msg("no \"%s\" in: %s", why, text);
	assert_null(strstr(text, "starting the kernel"));
	parts_free(p);
}

static void another_kernel_is_not_started(void **state)
{
	struct parts p;

	parts_make(*state, &p);
	p.kernel.p[p.kernel.len - 1] ^= 1;
	refused(state, &p, "firmware: the kernel is not the measured one");
}

static void a_kernel_sent_elsewhere_is_not_started(void **state)
{
	struct parts p;

	parts_make(*state, &p);
	p.kernel.p[24 + 2] += 0x10; /* its segment's address, and the entry with it */
	p.kernel.p[8 + 2] += 0x10;
	refused(state, &p, "firmware: the kernel is not the measured one");
}

static void a_kernel_that_would_go_over_the_firmware_is_not_even_loaded(void **state)
{
	struct parts p;

	parts_make(*state, &p);
	memcpy(p.kernel.p + 24, "\x00\x00\xfe\xff\x00\x00\x00\x00", 8);
	memcpy(p.kernel.p + 8, "\x00\x00\xfe\xff\x00\x00\x00\x00", 8);
	refused(state, &p, "firmware: the host hands over a kernel that ends outside RAM");
}

static void another_initial_ram_disk_is_not_started(void **state)
{
	struct parts p;

	parts_make(*state, &p);
	p.fw.initrd_len--;
	refused(state, &p, "firmware: the initial RAM disk is not the measured one");
}

static void another_command_line_is_not_started(void **state)
{
	struct parts p;

	parts_make(*state, &p);
	p.fw.append = "quiet init=/bin/sh";
	refused(state, &p, "firmware: the command line is not the measured one");
}

static void without_measured_hashes_nothing_is_started(void **state)
{
	struct parts p;

	parts_make(*state, &p);
	memset(p.hashes, 0, sizeof(p.hashes));
	refused(state, &p, "firmware: no hashes were measured");
}

static void its_own_length_is_refused_before_the_launch(void **state)
{
	const struct vm_config cfg = { .name = "odd",
				       .memory = 32u << 20,
				       .vcpus = 1,
				       .firmware_len = 4097,
				       .console_in = -1,
				       .console_out = -1 };
	struct util_place *u = *state;
	struct err e = { 0 };
	struct vm *vm = NULL;

	if (!u->platform)
		skip();
	assert_int_equal(vm_new(&cfg, u->platform, &vm, &e), -EINVAL);
	assert_string_equal(e.msg, "VM odd: firmware of 4097 bytes: must be whole pages, at most "
				   "4194304 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(it_starts_what_was_measured),
		util_test(another_kernel_is_not_started),
		util_test(a_kernel_sent_elsewhere_is_not_started),
		util_test(a_kernel_that_would_go_over_the_firmware_is_not_even_loaded),
		util_test(another_initial_ram_disk_is_not_started),
		util_test(another_command_line_is_not_started),
		util_test(without_measured_hashes_nothing_is_started),
		util_test(its_own_length_is_refused_before_the_launch),
	};

	return cmocka_run_group_tests_name("firmware_run", tests, setup, teardown);
}
