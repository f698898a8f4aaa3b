/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/kvm_para.h>

#include "base/auto.h"
#include "vmm/kick.h"
#include "vmm/vm.h"

/* The probe VM's 16 pages. */
#define PROBE_LEN 0x10000u
#define PROBE_TABLES 0x1000u
#define PROBE_CODE 0x4000u
#define PROBE_HANDLER 0x5000u /* of the breakpoint exception */
#define PROBE_GDT 0x6000u
#define PROBE_DATA 0x7000u
#define PROBE_STACK 0x9000u
#define PROBE_IDT 0xa000u
#define PROBE_PORT 0xf4u
#define PROBE_CS 0x10u
#define HYPERCALL_TRY_MS 50u
#define HYPERCALL_TRIES 60u

struct probe_vm {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	size_t run_len;
	uint8_t *mem;
	bool hypercall_exits;
};

struct probe_code {
	const char *what; /* "such a thing does not work" */
	const uint8_t *code;
	size_t len;
	unsigned limit_ms;
};

static void probe_close(struct probe_vm *p)
{
	if (p->run)
		munmap(p->run, p->run_len);
	for (size_t i = 0; i < 3; i++) {
		int fd = (const int[]){ p->vcpu, p->vm, p->kvm }[i];

		if (fd >= 0)
			close(fd);
	}
	if (p->mem)
		munmap(p->mem, PROBE_LEN);
}
#define auto_probe cleanup_with(probe_close)

static void probe_put(struct probe_vm *p, unsigned at, uint64_t v)
{
	memcpy(p->mem + at, &v, sizeof(v));
}

static void probe_fill(struct probe_vm *p, const struct probe_code *c)
{
	const uint8_t handler[] = { 0xb0, 0x02, 0xe6, PROBE_PORT, 0xf4 }; /* out; hlt */

	probe_put(p, PROBE_TABLES, (PROBE_TABLES + 0x1000) | 3);
	probe_put(p, PROBE_TABLES + 0x1000, (PROBE_TABLES + 0x2000) | 3);
	probe_put(p, PROBE_TABLES + 0x2000, 0x83);
	probe_put(p, PROBE_GDT + PROBE_CS, 0x00af9b000000ffffull);
	probe_put(p, PROBE_GDT + PROBE_CS + 8, 0x00cf93000000ffffull);
	probe_put(p, PROBE_IDT + 3 * 16, 0x00008e0000000000ull | PROBE_CS << 16 | PROBE_HANDLER);
	memcpy(p->mem + PROBE_HANDLER, handler, sizeof(handler));
	memcpy(p->mem + PROBE_CODE, c->code, c->len);
}

static int probe_registers(struct probe_vm *p)
{
	struct kvm_segment cs = {
		.limit = ~0u, .selector = PROBE_CS, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_regs r = { .rip = PROBE_CODE, .rsp = PROBE_STACK, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(p->vcpu, KVM_GET_SREGS, &s) < 0)
		return -errno;
	s.cs = s.ds = cs;
	s.ds.selector = PROBE_CS + 8;
	s.ds.type = 3;
	s.ds.l = 0;
	s.ds.db = 1;
	s.es = s.fs = s.gs = s.ss = s.ds;
	s.gdt.base = PROBE_GDT;
	s.gdt.limit = PROBE_CS + 15;
	s.idt.base = PROBE_IDT;
	s.idt.limit = 0xfff;
	s.cr3 = PROBE_TABLES;
	s.cr4 = 0x20;
	s.cr0 = 0x80000031;
	s.efer = 0x500;
	if (ioctl(p->vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(p->vcpu, KVM_SET_REGS, &r) < 0)
		return -errno;
	return 0;
}

/* What KVM says it has is shown, so that what is then missing counts. */
static void probe_cpuid(struct probe_vm *p)
{
	auto_mem struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + 256 * sizeof(t->entries[0]));

	if (!t)
		return;
	t->nent = 256;
	if (ioctl(p->kvm, KVM_GET_SUPPORTED_CPUID, t) == 0)
		(void)!ioctl(p->vcpu, KVM_SET_CPUID2, t);
}

static int probe_open(struct probe_vm *p)
{
	struct kvm_userspace_memory_region slot = { .memory_size = PROBE_LEN };
	struct kvm_enable_cap hc = { .cap = KVM_CAP_EXIT_HYPERCALL,
				     .args = { 1u << KVM_HC_MAP_GPA_RANGE } };
	void *m;

	*p = (struct probe_vm){ .vm = -1, .vcpu = -1 };
	p->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (p->kvm < 0 || ioctl(p->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return p->kvm < 0 ? -errno : -ENOTSUP;
	p->vm = ioctl(p->kvm, KVM_CREATE_VM, 0);
	m = mmap(NULL, PROBE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->vm < 0 || m == MAP_FAILED)
		return -errno;
	p->mem = m;
	p->hypercall_exits = ioctl(p->vm, KVM_ENABLE_CAP, &hc) == 0;
	slot.userspace_addr = (uintptr_t)p->mem;
	if (ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0ul);
	if (p->vcpu < 0)
		return -errno;
	p->run_len = (size_t)ioctl(p->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	m = mmap(NULL, p->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	if (m == MAP_FAILED)
		return -errno;
	p->run = m;
	probe_cpuid(p);
	return probe_registers(p);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* A timer that kicks this thread again and again: one kick may come before KVM_RUN has begun. */
static int probe_timer(timer_t *t, unsigned ms)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = vmm_kick_signal() };
	struct itimerspec at = { .it_value = { ms / 1000, (ms % 1000) * 1000000l + 1 },
				 .it_interval = { 0, 5000000 } };

	ev._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &ev, t) < 0)
		return -errno;
	return timer_settime(*t, 0, &at, NULL) < 0 ? -errno : 0;
}

/* Until the guest says something by its port (the byte), makes a hypercall (256), or time is up or
 * it dies (-1). */
static int probe_loop(struct probe_vm *p, unsigned ms)
{
	int64_t end = now_ms() + ms;

	for (;;) {
		int r = ioctl(p->vcpu, KVM_RUN, 0);

		if (r < 0 && errno == EINTR && now_ms() < end)
			continue;
		if (r < 0)
			return -1;
		if (p->run->exit_reason == KVM_EXIT_HYPERCALL)
			return 256;
		if (p->run->exit_reason != KVM_EXIT_IO || p->run->io.port != PROBE_PORT)
			return -1;
		return ((uint8_t *)p->run)[p->run->io.data_offset];
	}
}

static int probe_run(struct probe_vm *p, unsigned ms)
{
	sigset_t old;
	timer_t t;
	int r;

	pthread_sigmask(SIG_SETMASK, NULL, &old);
	vmm_kick_accept();
	r = probe_timer(&t, ms);
	if (!r) {
		r = probe_loop(p, ms);
		timer_delete(t);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int probe_code(const struct probe_code *c)
{
	auto_probe struct probe_vm p = { .kvm = -1, .vm = -1, .vcpu = -1 };
	int r = probe_open(&p);

	if (r < 0)
		return r;
	probe_fill(&p, c);
	return probe_run(&p, c->limit_ms);
}

/* mov $12,%eax; xor %ebx,%ebx; mov $1,%ecx; mov $16,%edx; vmmcall; out; hlt */
static const uint8_t code_hypercall[] = { 0xb8, 12, 0, 0, 0, 0x31, 0xdb, 0xb9, 1,    0,    0,   0,
					  0xba, 16, 0, 0, 0, 0x0f, 1,    0xd9, 0xe6, 0xf4, 0xf4 };
/* mov $1,%al; out; hlt */
static const uint8_t code_out[] = { 0xb0, 1, 0xe6, 0xf4, 0xf4 };
/* mov $PROBE_DATA,%rdi; clear the four; lock cmpxchg16b (%rdi); mov $1,%al; out; hlt */
static const uint8_t code_cx16[] = { 0x48, 0xc7, 0xc7, 0,    0x70, 0,    0,    0x31, 0xc0,
				     0x31, 0xd2, 0x31, 0xdb, 0x31, 0xc9, 0xf0, 0x48, 0x0f,
				     0xc7, 0x0f, 0xb0, 1,    0xe6, 0xf4, 0xf4 };
/* int3; hlt */
static const uint8_t code_int3[] = { 0xcc, 0xf4 };
/* mov $200000,%ecx; 1: dec %ecx; jnz 1b; mov $1,%al; out; hlt */
static const uint8_t code_loop[] = { 0xb9, 0x40, 0x0d, 3, 0,    0xff, 0xc9,
				     0x75, 0xfc, 0xb0, 1, 0xe6, 0xf4, 0xf4 };

static enum vmm_hypercall_way hypercall_way;
static pthread_once_t hypercall_once = PTHREAD_ONCE_INIT;

/*
 * A KVM that interprets vmmcall writes another opcode over it and tries again, for ever. Time alone
 * proves nothing, since a busy machine may not have come to the instruction yet: while it stands
 * there as it was, the guest gets more of it.
 */
static enum vmm_hypercall_way hypercall_try(void)
{
	const struct probe_code c = { "", code_hypercall, sizeof(code_hypercall), 0 };
	auto_probe struct probe_vm p = { .kvm = -1, .vm = -1, .vcpu = -1 };
	int r = probe_open(&p);

	if (r < 0)
		return VMM_HYPERCALL_NEVER;
	probe_fill(&p, &c);
	for (unsigned i = 0; i < HYPERCALL_TRIES; i++) {
		r = probe_run(&p, HYPERCALL_TRY_MS);
		if (r >= 0 || memcmp(p.mem + PROBE_CODE, c.code, c.len) != 0)
			break;
	}
	return r == 256 ? VMM_HYPERCALL_EXITS : VMM_HYPERCALL_NEVER;
}

static void hypercall_find(void)
{
	hypercall_way = hypercall_try();
}

enum vmm_hypercall_way vmm_probe_hypercall(void)
{
	pthread_once(&hypercall_once, hypercall_find);
	return hypercall_way;
}

static enum vm_probe probe_caps(int kvm, char *why, size_t len)
{
	static const struct {
		int cap;
		const char *name;
	} need[] = {
		{ KVM_CAP_IRQCHIP, "an interrupt controller" },
		{ KVM_CAP_PIT2, "a timer" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
		{ KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR (Linux 5.10)" },
		{ KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER (Linux 5.10)" },
	};

	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
		if (ioctl(kvm, KVM_CHECK_EXTENSION, need[i].cap) <= 0) {
			snprintf(why, len, "/dev/kvm lacks %s", need[i].name);
			return VM_PROBE_NONE;
		}
	return VM_PROBE_SMALL;
}

enum vm_probe vm_probe_kvm(char *why, size_t len)
{
	static const struct probe_code small = { "", code_out, sizeof(code_out), 1000 };
	static const struct probe_code linux_needs[] = {
		{ "kernel code is interpreted, too slowly for Linux", code_loop, sizeof(code_loop),
		  150 },
		{ "cmpxchg16b does not work in kernel mode", code_cx16, sizeof(code_cx16), 200 },
		{ "int3 does not work in kernel mode", code_int3, sizeof(code_int3), 200 },
	};
	auto_fd int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0) {
		snprintf(why, len, "/dev/kvm: %m");
		return VM_PROBE_NONE;
	}
	if (probe_caps(kvm, why, len) == VM_PROBE_NONE)
		return VM_PROBE_NONE;
	if (probe_code(&small) != 1) {
		snprintf(why, len, "a guest of three instructions does not run");
		return VM_PROBE_NONE;
	}
	for (size_t i = 0; i < sizeof(linux_needs) / sizeof(linux_needs[0]); i++)
		if (probe_code(&linux_needs[i]) <= 0) {
			snprintf(why, len, "%s", linux_needs[i].what);
			return VM_PROBE_SMALL;
		}
	if (vmm_probe_hypercall() != VMM_HYPERCALL_EXITS) {
		snprintf(why, len, "hypercalls never reach the monitor");
		return VM_PROBE_SMALL;
	}
	snprintf(why, len, "runs Linux");
	return VM_PROBE_LINUX;
}
