/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Software platforms in a temporary directory, and guests without KVM on them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/auto.h"
#include "crypto/hash.h"
#include "sev/sev.h"

#define FIXTURE_LOW 0x200000u /* RAM at 0: part below and part above 1 MiB */
#define FIXTURE_HIGH 0x40000u
#define FIXTURE_HIGH_AT 0x100000000ull

struct fixture_guest {
	struct sev_vm *vm;
	uint8_t *low, *high; /* shared faces */
};

static inline char *fixture_dir_new(void)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "/tmp/sevmig-test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void fixture_dir_remove(const char *dir)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

static inline const char *fixture_path(const char *dir, const char *name)
{
	static _Thread_local char path[16][256];
	static _Thread_local unsigned next;
	char *p = path[next++ % 16];

	assert_in_range(snprintf(p, sizeof(path[0]), "%s/%s", dir, name), 1, 255);
	return p;
}

/* Small roots: they are made in a fraction of a second. */
static inline void fixture_init(const char *dir, const char *ca, const char *oca)
{
	struct sev_soft_init opt = { .root_bits = 2048, .ca_dir = ca, .oca_dir = oca };
	struct err e = { 0 };

	if (sev_soft_init(dir, &opt, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline struct sev_platform *fixture_open(const char *dir)
{
	struct sev_platform *p = NULL;
	struct err e = { 0 };

	if (sev_soft_open(dir, &p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static inline uint8_t *fixture_ram(struct sev_vm *vm, uint64_t at, size_t size, uint32_t slot)
{
	auto_fd int fd = memfd_create("shared face", MFD_CLOEXEC);
	struct sev_slot slots[SEV_SLOTS_PER_RAM];
	struct sev_ram ram = { .at = gpa(at), .size = size, .first_slot = slot };
	struct err e = { 0 };
	size_t n = 0;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	ram.shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(ram.shared, MAP_FAILED);
	if (sev_vm_ram_add(vm, &ram, slots, &n, &e) < 0)
		fail_msg("%s", e.msg);
	return ram.shared;
}

/* A VM after SEV INIT. */
static inline struct fixture_guest fixture_guest_new(struct sev_platform *p)
{
	struct fixture_guest g = { 0 };
	struct err e = { 0 };

	if (sev_vm_new(p, -1, -1, &g.vm, &e) < 0)
		fail_msg("%s", e.msg);
	g.low = fixture_ram(g.vm, 0, FIXTURE_LOW, 0);
	g.high = fixture_ram(g.vm, FIXTURE_HIGH_AT, FIXTURE_HIGH, SEV_SLOTS_PER_RAM);
	if (sev_init(g.vm, 0, &e) < 0)
		fail_msg("%s", e.msg);
	return g;
}

static inline void fixture_guest_free(struct fixture_guest *g)
{
	sev_vm_free(g->vm);
	munmap(g->low, FIXTURE_LOW);
	munmap(g->high, FIXTURE_HIGH);
}

/* One page of text at 0x1000, 0x180000 and in high memory, launched to RUNNING. */
static inline void fixture_launch(struct fixture_guest *g, uint32_t policy)
{
	uint8_t measure[SEV_MEASURE_LEN];
	struct err e = { 0 };

	if (sev_launch_start(g->vm, policy, NULL, 0, NULL, 0, &e) < 0)
		fail_msg("%s", e.msg);
	memset(g->low + 0x1000, 'a', PAGE_LEN);
	memset(g->low + 0x180000, 'b', PAGE_LEN);
	memset(g->high, 'c', PAGE_LEN);
	if (sev_launch_update(g->vm, g->low + 0x1000, PAGE_LEN, &e) < 0 ||
	    sev_launch_update(g->vm, g->low + 0x180000, PAGE_LEN, &e) < 0 ||
	    sev_launch_update(g->vm, g->high, PAGE_LEN, &e) < 0 ||
	    sev_launch_measure(g->vm, measure, &e) < 0 || sev_launch_finish(g->vm, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline uint32_t fixture_state(struct fixture_guest *g)
{
	struct sev_guest_status st = { 0 };
	struct err e = { 0 };

	if (sev_guest_status(g->vm, &st, &e) < 0)
		fail_msg("%s", e.msg);
	return st.state;
}

/* Is the private page at this address full of one character? */
static inline void fixture_expect_page(struct fixture_guest *g, uint64_t at, char c)
{
	uint8_t page[PAGE_LEN], want[32], got[32];
	struct err e = { 0 };

	memset(page, c, sizeof(page));
	assert_int_equal(crypto_sha256(page, sizeof(page), want, &e), 0);
	if (sev_vm_debug_digest(g->vm, gpa(at), got, &e) < 0)
		fail_msg("%s", e.msg);
	assert_memory_equal(want, got, sizeof(want));
}

static inline void fixture_expect_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(p[i], 0);
}
