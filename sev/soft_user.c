/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The caller's memory, as the kernel sees user space: a bad address is -EFAULT, not a crash. Asking
 * the kernel costs a tenth of what a page's cryptography does, so memory that was found to be there
 * is remembered, except for clients of a shim (forget). Whoever unmaps a remembered buffer and
 * passes it again is a case for SIGSEGV, where the kernel would still say EFAULT.
 */

#include "sev/soft.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static uintptr_t page_of(uint64_t uaddr)
{
	return uaddr & ~(uint64_t)(PAGE_LEN - 1);
}

static bool page_readable(uintptr_t page)
{
	uint8_t byte;
	struct iovec here = { &byte, 1 };
	struct iovec there = { (void *)page, 1 };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 || errno != EFAULT;
}

/* A kernel before 5.14: write back what was read. */
static bool page_rewritable(uintptr_t page)
{
	uint8_t byte;
	struct iovec here = { &byte, 1 };
	struct iovec there = { (void *)page, 1 };

	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 1)
		return errno != EFAULT;
	return process_vm_writev(getpid(), &here, 1, &there, 1, 0) == 1 || errno != EFAULT;
}

/* Does this kernel know how? It says EINVAL to read-only memory, too. */
static bool kernel_populates(void)
{
	static _Thread_local int known;
	uint8_t probe[2 * PAGE_LEN];
	uintptr_t page = page_of((uintptr_t)probe + PAGE_LEN);

	if (!known)
		known = madvise((void *)page, PAGE_LEN, MADV_POPULATE_WRITE) == 0 ? 1 : -1;
	return known > 0;
}

static bool span_writable(uintptr_t start, uintptr_t end)
{
	if (kernel_populates())
		return madvise((void *)start, end - start, MADV_POPULATE_WRITE) == 0;
	for (uintptr_t page = start; page < end; page += PAGE_LEN) {
		if (!page_rewritable(page))
			return false;
	}
	return true;
}

static bool span_readable(uintptr_t start, uintptr_t end)
{
	for (uintptr_t page = start; page < end; page += PAGE_LEN) {
		if (!page_readable(page))
			return false;
	}
	return true;
}

static bool span_known(const struct soft_user *u, uintptr_t start, uintptr_t end, bool write)
{
	for (unsigned i = 0; i < SOFT_USER_SPANS; i++) {
		const struct soft_span *s = &u->span[i];

		if (start >= s->start && end <= s->end && (s->writable || !write))
			return true;
	}
	return false;
}

static void span_remember(struct soft_user *u, uintptr_t start, uintptr_t end, bool write)
{
	for (unsigned i = 0; i < SOFT_USER_SPANS; i++) {
		struct soft_span *s = &u->span[i];

		if (s->writable != write || start > s->end || end < s->start || !s->end)
			continue;
		s->start = start < s->start ? start : s->start;
		s->end = end > s->end ? end : s->end;
		return;
	}
	u->span[u->next] = (struct soft_span){ start, end, write };
	u->next = (u->next + 1) % SOFT_USER_SPANS;
}

static bool span_of(uint64_t uaddr, uint64_t len, uintptr_t *start, uintptr_t *end)
{
	uint64_t top;

	if (__builtin_add_overflow(uaddr, len, &top) || top > UINT64_MAX - PAGE_LEN)
		return false;
	*start = page_of(uaddr);
	*end = page_of(top + PAGE_LEN - 1);
	return true;
}

static uint8_t *user_span(struct soft_user *u, uint64_t uaddr, size_t len, bool write)
{
	uintptr_t start, end;

	if (!span_of(uaddr, len, &start, &end))
		return NULL;
	if (!u->forget && span_known(u, start, end, write))
		return (uint8_t *)(uintptr_t)uaddr;
	if (write ? !span_writable(start, end) : !span_readable(start, end))
		return NULL;
	if (!u->forget)
		span_remember(u, start, end, write);
	return (uint8_t *)(uintptr_t)uaddr;
}

uint8_t *soft_user_pin(uint64_t uaddr, uint64_t len)
{
	uintptr_t start, end;

	if (!len || !span_of(uaddr, len, &start, &end) || !span_writable(start, end))
		return NULL;
	return (uint8_t *)(uintptr_t)uaddr;
}

#define LOOK_PAGES 4096u

bool soft_user_mapped(uint64_t uaddr, uint64_t len)
{
	uint8_t there[LOOK_PAGES];
	uintptr_t at, end;

	if (!span_of(uaddr, len, &at, &end))
		return false;
	while (at < end) {
		uint64_t n = end - at < LOOK_PAGES * PAGE_LEN ? end - at : LOOK_PAGES * PAGE_LEN;

		if (mincore((void *)at, n, there) < 0)
			return false;
		at += n;
	}
	return true;
}

const uint8_t *soft_user_read(struct soft_user *u, uint64_t uaddr, size_t len)
{
	return user_span(u, uaddr, len, false);
}

uint8_t *soft_user_write(struct soft_user *u, uint64_t uaddr, size_t len)
{
	return user_span(u, uaddr, len, true);
}

static int other_copied(ssize_t n, size_t len)
{
	return n == (ssize_t)len ? 0 : -EFAULT;
}

int soft_user_get(struct soft_user *u, void *to, uint64_t uaddr, size_t len)
{
	struct iovec here = { to, len }, there = { (void *)(uintptr_t)uaddr, len };
	const uint8_t *p;

	if (u->other)
		return other_copied(process_vm_readv(u->other, &here, 1, &there, 1, 0), len);
	p = soft_user_read(u, uaddr, len);
	if (!p)
		return -EFAULT;
	memcpy(to, p, len);
	return 0;
}

int soft_user_put(struct soft_user *u, uint64_t uaddr, const void *from, size_t len)
{
	struct iovec here = { (void *)(uintptr_t)from, len };
	struct iovec there = { (void *)(uintptr_t)uaddr, len };
	uint8_t *p;

	if (u->other)
		return other_copied(process_vm_writev(u->other, &here, 1, &there, 1, 0), len);
	p = soft_user_write(u, uaddr, len);
	if (!p)
		return -EFAULT;
	memcpy(p, from, len);
	return 0;
}
