/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Clients of a shim on one software platform: VMs with system calls and vCPUs in name only. */

#include <errno.h>

#include "sev/soft_shim.h"
#include "tests/unit/sev_fixture.h"

#define UNMAPPED 0x1000u /* below vm.mmap_min_addr */
#define UNTOUCHED 0x55u  /* an error field that nobody wrote */
#define SEV_FD 7u
#define RAM_LEN 0x400000u

static char *dir;
static struct sev_platform *platform;
static uint8_t *ram; /* of every guest here */
/* A client's VM, and what its shim knows of it. */
struct client {
	struct sev_vm *vm;
	unsigned vcpus;
	bool coming;
	uint32_t sev_fd; /* the only number that is /dev/sev */
	struct sev_vmsa_regs regs;
	int regs_error;
};

static inline bool is_sev(void *ctx, uint32_t fd)
{
	return fd == ((struct client *)ctx)->sev_fd;
}

static inline unsigned vcpus(void *ctx)
{
	return ((struct client *)ctx)->vcpus;
}

static inline bool coming(void *ctx)
{
	return ((struct client *)ctx)->coming;
}

static inline int regs(void *ctx, unsigned n, struct sev_vmsa_regs *out)
{
	const struct client *c = ctx;

	(void)n;
	*out = c->regs;
	return c->regs_error;
}

/* A VM of a type; c stays where it is. */
static inline void client_open(struct client *c, unsigned type, bool hygon, bool once)
{
	const struct sev_soft_client what = { c, type, is_sev, vcpus, coming, regs, hygon, once };
	struct err e = { 0 };

	*c = (struct client){ .sev_fd = SEV_FD };
	sev_vmsa_reset(&c->regs);
	assert_int_equal(sev_soft_client_vm(platform, &what, &c->vm, &e), 0);
}

static inline int client_setup(void **state)
{
	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "one"), NULL, NULL);
	platform = fixture_open(fixture_path(dir, "one"));
	ram = mmap(NULL, RAM_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	return 0;
}

static inline int client_teardown(void **state)
{
	(void)state;
	sev_platform_free(platform);
	munmap(ram, RAM_LEN);
	fixture_dir_remove(dir);
	return 0;
}

static inline int op(struct client *c, uint32_t id, const void *params, uint32_t *error)
{
	struct kvm_sev_cmd cmd = {
		.id = id, .data = (uintptr_t)params, .error = UNTOUCHED, .sev_fd = SEV_FD
	};
	int r = sev_soft_vm_ioctl(c->vm, KVM_MEMORY_ENCRYPT_OP, (uintptr_t)&cmd);

	*error = cmd.error;
	return r;
}

static inline void expect(struct client *c, uint32_t id, const void *params, int r, uint32_t error)
{
	uint32_t status;
	int got = op(c, id, params, &status);

	if (got != r || status != error)
		fail_msg("id %u: %d, status %#x; expected %d, %#x", id, got, status, r, error);
}

static inline uint32_t state_of(struct client *c)
{
	struct kvm_sev_guest_status st;

	expect(c, KVM_SEV_GUEST_STATUS, &st, 0, 0);
	return st.state;
}

static inline void launch_start(struct client *c, uint32_t policy)
{
	struct kvm_sev_launch_start p = { .policy = policy };

	expect(c, KVM_SEV_LAUNCH_START, &p, 0, 0);
}

static inline void launch(struct client *c, uint32_t policy)
{
	uint8_t out[SEV_MEASURE_LEN];
	struct kvm_sev_launch_measure m = { (uintptr_t)out, sizeof(out) };

	expect(c, KVM_SEV_INIT, NULL, 0, 0);
	launch_start(c, policy);
	expect(c, KVM_SEV_LAUNCH_MEASURE, &m, 0, 0);
	expect(c, KVM_SEV_LAUNCH_FINISH, NULL, 0, 0);
}
