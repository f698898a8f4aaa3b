/* SPDX-License-Identifier: Apache-2.0 */

/*
 * VMGEXIT with a hostile GHCB, from the MSR's value to what is written back. The input: that value,
 * what stands in shared memory when it is read, what another vCPU makes of it while the monitor
 * answers, and the answer. Everything but the four shared pages is mapped without access: private
 * memory, the first MiB, what lies behind the end.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rdwr.h"
#include "sev/soft_vm.h"

#define SHARED_AT 0x100000u
#define SHARED_LEN 0x4000u
#define RAM_LEN (SHARED_AT + SHARED_LEN)
#define RUN_LEN (3 * PAGE_LEN)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct soft_vm vm;
static uint8_t *shared;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t *map(int prot)
{
	uint8_t *p = mmap(NULL, RAM_LEN + PAGE_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED && mprotect(p + SHARED_AT, SHARED_LEN, prot) == 0);
	return p;
}

static void wrote(void *ctx, struct gpa at, uint64_t len)
{
	(void)ctx;
	must(at.v >= SHARED_AT && len <= SHARED_LEN && at.v - SHARED_AT <= SHARED_LEN - len);
}

static void vm_make(void)
{
	const struct sev_ram ram = { .size = RAM_LEN, .shared = map(PROT_READ | PROT_WRITE) };

	vm.base = (struct sev_vm){ .cbit = 47, .soft = true, .wrote = wrote, .nvcpu = 1 };
	vm.ram[0] = (struct soft_ram){ .ram = ram, .priv = map(PROT_NONE) };
	vm.nram = 1;
	vm.vmsa = aligned_alloc(SEV_VMSA_LEN, sizeof(*vm.vmsa));
	must(vm.vmsa);
	shared = ram.shared + SHARED_AT;
}

/* Eight bytes each, anywhere in shared memory. */
static void shared_fill(struct rd *in)
{
	uint8_t n = 0;

	for (rd_u8(in, &n); n; n--) {
		uint16_t at = 0;
		uint64_t v = 0;

		rd_le16(in, &at);
		if (rd_le64(in, &v) == 0)
			memcpy(shared + at % (SHARED_LEN - 7), &v, sizeof(v));
	}
}

static void shown_check(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		must(run->io.data_offset == PAGE_LEN && run->io.count && run->io.size &&
		     (uint64_t)run->io.count * run->io.size <= PAGE_LEN);
		break;
	case KVM_EXIT_MMIO:
		must(run->mmio.len && run->mmio.len <= 8);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
	case KVM_EXIT_HYPERCALL:
	case KVM_EXIT_SYSTEM_EVENT:
		break;
	default:
		abort();
	}
}

/* What the monitor leaves in struct kvm_run, as far as it writes there. */
static void answer(struct rd *in, struct kvm_run *run)
{
	size_t room = sizeof(run->padding), n = in->len < room ? in->len : room;

	if (run->exit_reason == KVM_EXIT_IO)
		(void)!rd_bytes(in, (uint8_t *)run + PAGE_LEN,
				in->len < PAGE_LEN ? in->len : PAGE_LEN);
	else
		(void)!rd_bytes(in, run->padding, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kvm_run *run = calloc(1, RUN_LEN);
	struct rd in = rd_of(data, size);
	uint64_t msr = 0;
	int r;

	if (!shared)
		vm_make();
	must(run);
	memset(shared, 0, SHARED_LEN);
	(void)!rd_le64(&in, &msr);
	vm.vcpu[0] = (struct soft_vcpu){ .encrypted = true, .ghcb = msr };
	vm.base.vcpu[0] = (struct sev_vcpu){ -1, run }; /* what asks KVM fails */
	shared_fill(&in);
	r = soft_vmgexit(&vm, 0);
	must(r == 0 || r == 1 || r == -EBADF || (r == -EPROTO && vm.vcpu[0].why[0]));
	if (r == 1) {
		shown_check(run);
		shared_fill(&in);
		answer(&in, run);
	}
	r = soft_vmgexit_finish(&vm, 0);
	must(r == 0 && !vm.vcpu[0].shown);
	free(run);
	return 0;
}
