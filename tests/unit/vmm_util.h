/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests that run a guest: a software platform in a folder of its own, a console in a pipe, a
 * kernel of a few instructions, and a move of the memory by the bare commands of sev/sev.h. Without
 * a usable /dev/kvm such tests skip; with SEVMIG_MUST_WORK_KVM=1 they fail instead.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "vmm/vm.h"

#define UTIL_ENTRY 0x200000u
#define util_ok(call, e)                                                                           \
	do {                                                                                       \
		int util_r_ = (call);                                                              \
		if (util_r_ < 0)                                                                   \
			fail_msg("%s: %d: %s", #call, util_r_, (e)->msg);                          \
	} while (0)

struct util_place {
	char dir[64], state[80];
	struct sev_platform *platform;
	int console[2];
};

/* Group set-up: 0 also where there is no KVM; the tests then skip, when they ask for a VM. */
static inline int util_open(struct util_place *u)
{
	const char *must = getenv("SEVMIG_MUST_WORK_KVM");
	struct sev_soft_init opt = { 0 };
	struct err e = { 0 };
	char why[128];

	u->console[0] = u->console[1] = -1;
	if (vm_probe_kvm(why, sizeof(why)) == VM_PROBE_NONE) {
		print_message("# no KVM: %s\n", why);
		return must && strcmp(must, "1") == 0 ? -1 : 0;
	}
	snprintf(u->dir, sizeof(u->dir), "/tmp/sevmig-test-XXXXXX");
	if (!mkdtemp(u->dir))
		return -1;
	snprintf(u->state, sizeof(u->state), "%s/p", u->dir);
	if (sev_soft_init(u->state, &opt, &e) < 0 ||
	    sev_soft_open(u->state, &u->platform, &e) < 0) {
		print_message("# %s\n", e.msg);
		return -1;
	}
	return 0;
}

static inline void util_close(struct util_place *u)
{
	char cmd[128];

	if (!u->platform)
		return;
	sev_platform_free(u->platform);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", u->dir);
	assert_int_equal(system(cmd), 0);
}

/* Each test has a console of its own. */
static inline int util_test_begin(void **state)
{
	struct util_place *u = *state;

	return u->platform ? pipe2(u->console, O_CLOEXEC | O_NONBLOCK) : 0;
}

static inline int util_test_end(void **state)
{
	struct util_place *u = *state;

	for (size_t i = 0; i < 2; i++)
		if (u->console[i] >= 0)
			close(u->console[i]);
	u->console[0] = u->console[1] = -1;
	return 0;
}
#define util_test(f) cmocka_unit_test_setup_teardown(f, util_test_begin, util_test_end)

/* An ELF kernel of one segment at UTIL_ENTRY; the path is written to path. */
static inline void util_kernel(const struct util_place *u, const uint8_t *code, size_t len,
			       char path[96])
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p;
		uint8_t code[512];
	} f = { .h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		       .e_type = ET_EXEC,
		       .e_machine = EM_X86_64,
		       .e_version = EV_CURRENT,
		       .e_entry = UTIL_ENTRY,
		       .e_phoff = sizeof(Elf64_Ehdr),
		       .e_ehsize = sizeof(Elf64_Ehdr),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 1 },
		.p = { .p_type = PT_LOAD,
		       .p_flags = PF_R | PF_W | PF_X,
		       .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
		       .p_vaddr = UTIL_ENTRY,
		       .p_paddr = UTIL_ENTRY,
		       .p_filesz = 512,
		       .p_memsz = 0x3000 } };
	struct err e = { 0 };

	assert_true(len <= sizeof(f.code));
	memcpy(f.code, code, len);
	snprintf(path, 96, "%s/kernel", u->dir);
	util_ok(fd_file_replace(path, &f, sizeof(f), 0600, &e), &e);
}

static inline struct vm *util_vm(struct util_place *u, const char *name, unsigned vcpus)
{
	struct vm_config cfg = { .name = name,
				 .memory = 32u << 20,
				 .vcpus = vcpus,
				 .policy = 0,
				 .console_in = -1,
				 .console_out = u->console[1] };
	struct err e = { 0 };
	struct vm *vm = NULL;

	if (!u->platform)
		skip();
	util_ok(vm_new(&cfg, u->platform, &vm, &e), &e);
	return vm;
}

static inline struct vm *util_boot(struct util_place *u, const uint8_t *code, size_t len,
				   unsigned vcpus)
{
	struct vm *vm = util_vm(u, "guest", vcpus);
	struct vm_boot boot = { 0 };
	struct err e = { 0 };
	char path[96];

	util_kernel(u, code, len, path);
	boot.kernel = path;
	util_ok(vm_boot(vm, &boot, &e), &e);
	return vm;
}

/* Console output until there are n bytes, or five seconds have passed. */
static inline size_t util_read(struct util_place *u, char *out, size_t n)
{
	struct pollfd p = { .fd = u->console[0], .events = POLLIN };
	size_t len = 0;

	while (len < n && poll(&p, 1, 5000) > 0) {
		ssize_t r = read(u->console[0], out + len, n - len);

		if (r > 0)
			len += (size_t)r;
	}
	return len;
}

/* What is there now. */
static inline size_t util_drain(struct util_place *u, char *out, size_t cap)
{
	ssize_t r = read(u->console[0], out, cap);

	return r > 0 ? (size_t)r : 0;
}

static inline void util_wait_end(struct vm *vm)
{
	struct pollfd p = { .fd = vm_event_fd(vm), .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(vm_state(vm), VM_ENDED);
}
