/* SPDX-License-Identifier: Apache-2.0 */

/* KVM's SEV calls as virtee/sev and the kernel's selftests use them. */

#include "tests/e2e/sev_client.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Newer than the headers this is built with. */
#define CAP_COPY 197u
#define CAP_MOVE 206u
#define CAP_VM_TYPES 235u
#define SEV_INIT2 22u
#define TYPE_SEV 2ul
#define TYPE_ES 3ul
#define POLICY_ES 4u
#define VCPUS 4

struct init2 {
	uint64_t vmsa_features;
	uint32_t flags;
	uint16_t ghcb_version, pad1;
	uint32_t pad2[8];
};

static uint32_t fw;

static void op_ok(int vm, int sev, uint32_t id, void *data)
{
	want(vm_op(vm, sev, id, data, &fw) == 0 && fw == 0);
}

static uint32_t state_of(int vm, int sev)
{
	struct kvm_sev_guest_status st = { 0 };

	op_ok(vm, sev, KVM_SEV_GUEST_STATUS, &st);
	return st.state;
}

static void vcpus_new(int vm, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		vcpu_new(vm, i);
}

/* As sev_vm_create() of the selftests: vCPUs before LAUNCH_START, no measurement. */
static int guest_new(int sev, int es)
{
	struct kvm_sev_launch_start start = { .policy = es ? POLICY_ES : 0 };
	struct kvm_sev_guest_status st = { 0 };
	int vm = vm_new(0);

	op_ok(vm, sev, es ? KVM_SEV_ES_INIT : KVM_SEV_INIT, NULL);
	vcpus_new(vm, VCPUS);
	op_ok(vm, sev, KVM_SEV_LAUNCH_START, &start);
	op_ok(vm, sev, KVM_SEV_GUEST_STATUS, &st);
	want(st.policy == start.policy && st.state == 1 && st.handle == start.handle);
	if (es) {
		op_ok(vm, sev, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL);
		op_ok(vm, sev, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL);
	}
	return vm;
}

/* A VM to move to or to mirror onto. */
static int empty_new(unsigned vcpus)
{
	int vm = vm_new(0);

	vcpus_new(vm, vcpus);
	return vm;
}

/* --- launch ---------------------------------------------------------------------------------- */

/* As virtee/sev's launch test: VM type 2, a page of code, measured; it runs as it was put there. */
void launch_virtee(void)
{
	static const uint8_t code[] = { 0xb0, 0x5a, 0xe6, 0x10, 0xf4 }; /* out 0x10, 0x5a; hlt */
	struct kvm_userspace_memory_region slot = { .memory_size = 4096 };
	struct kvm_sev_launch_update_data update = { .len = 4096 };
	struct kvm_sev_launch_measure measure = { 0 };
	struct kvm_sev_launch_start start = { .policy = 0 };
	int sev = sev_open(O_RDWR), vm = vm_new(TYPE_SEV), vcpu;
	uint8_t answer[48] = { 0 }, *page = pages_new(1);
	struct init2 init = { 0 };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;

	memcpy(page, code, sizeof(code));
	slot.userspace_addr = update.uaddr = (uintptr_t)page;
	want(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
	op_ok(vm, sev, SEV_INIT2, &init);
	op_ok(vm, sev, KVM_SEV_LAUNCH_START, &start);
	want(vm_region(vm, 1, page, 4096) == 0);
	op_ok(vm, sev, KVM_SEV_LAUNCH_UPDATE_DATA, &update);
	want(vm_op(vm, sev, KVM_SEV_LAUNCH_MEASURE, &measure, &fw) == -EIO &&
	     fw == SEV_RET_INVALID_LEN && measure.len == sizeof(answer));
	measure.uaddr = (uintptr_t)answer;
	op_ok(vm, sev, KVM_SEV_LAUNCH_MEASURE, &measure);
	op_ok(vm, sev, KVM_SEV_LAUNCH_FINISH, NULL);
	want(state_of(vm, sev) == 3);

	vcpu = vcpu_new(vm, 0);
	run = mmap(NULL, (size_t)ioctl(kvm(), KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		   MAP_SHARED, vcpu, 0);
	want(run != MAP_FAILED && ioctl(vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.base = sregs.cs.selector = 0;
	want(ioctl(vcpu, KVM_SET_SREGS, &sregs) == 0 && ioctl(vcpu, KVM_SET_REGS, &regs) == 0);
	want(ioctl(vcpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_IO);
	want(run->io.port == 0x10 && *((uint8_t *)run + run->io.data_offset) == 0x5a);
	want(ioctl(vcpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_HLT);
	want(vm_region(vm, 0, page, 4096) == 0 && vm_region(vm, 0, page, 4096) == -EINVAL);
	close(vcpu);
	close(vm);
	close(sev);
}

/* As the selftests' helper launches: with a buffer larger than a measurement. */
void launch_selftest(void)
{
	int sev = sev_open(O_RDWR), vm = guest_new(sev, 0);
	uint8_t answer[256], *page = pages_new(2);
	struct kvm_sev_launch_update_data update = { .uaddr = (uintptr_t)page, .len = 8192 };
	struct kvm_sev_launch_measure measure = { .uaddr = (uintptr_t)answer, .len = 256 };
	struct kvm_sev_attestation_report report = { .uaddr = (uintptr_t)answer, .len = 208 };
	struct kvm_sev_dbg dbg = { .src_uaddr = (uintptr_t)page,
				   .dst_uaddr = (uintptr_t)answer,
				   .len = 16 };

	memcpy(page, "in place", 8);
	want(vm_region(vm, 1, page, 8192) == 0);
	op_ok(vm, sev, KVM_SEV_LAUNCH_UPDATE_DATA, &update);
	op_ok(vm, sev, KVM_SEV_LAUNCH_MEASURE, &measure);
	want(measure.len == 48 && state_of(vm, sev) == 2);
	op_ok(vm, sev, KVM_SEV_LAUNCH_FINISH, NULL);
	want(state_of(vm, sev) == 3);
	op_ok(vm, sev, KVM_SEV_GET_ATTESTATION_REPORT, &report);
	op_ok(vm, sev, KVM_SEV_DBG_DECRYPT, &dbg);
	want(memcmp(answer, "in place", 8) == 0);
	want(vm_op(vm, sev, KVM_SEV_LAUNCH_FINISH, NULL, &fw) == -EIO &&
	     fw == SEV_RET_INVALID_GUEST_STATE);
	close(vm);
	close(sev);
}

/* Type 3: the registers are the guest's own once they are measured. */
void launch_es(void)
{
	struct kvm_sev_launch_start start = { .policy = POLICY_ES };
	int sev = sev_open(O_RDWR), vm = vm_new(TYPE_ES), vcpu;
	struct kvm_guest_debug debug = { .control = 0 };
	struct init2 init = { 0 };
	struct kvm_regs regs;

	op_ok(vm, sev, SEV_INIT2, &init);
	vcpu = vcpu_new(vm, 0);
	op_ok(vm, sev, KVM_SEV_LAUNCH_START, &start);
	want(ioctl(vcpu, KVM_GET_REGS, &regs) == 0);
	op_ok(vm, sev, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL);
	want(ioctl(vcpu, KVM_GET_REGS, &regs) < 0 && errno == EINVAL);
	want(ioctl(vcpu, KVM_SET_REGS, &regs) < 0 && errno == EINVAL);
	want(ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug) < 0 && errno == EINVAL);
	close(vcpu);
	close(vm);
	close(sev);
}

/* A packet that no owner made is refused, and nothing is written. */
void launch_secret(void)
{
	int sev = sev_open(O_RDWR), vm = guest_new(sev, 0);
	uint8_t *page = pages_new(1), hdr[52] = { 0 }, data[16] = "not a secret", answer[48];
	struct kvm_sev_launch_measure measure = { .uaddr = (uintptr_t)answer, .len = 48 };
	struct kvm_sev_launch_secret secret = { .hdr_uaddr = (uintptr_t)hdr,
						.hdr_len = sizeof(hdr),
						.guest_uaddr = (uintptr_t)page,
						.guest_len = sizeof(data),
						.trans_uaddr = (uintptr_t)data,
						.trans_len = sizeof(data) };

	want(vm_op(vm, sev, KVM_SEV_LAUNCH_SECRET, &secret, &fw) == -EIO &&
	     fw == SEV_RET_INVALID_GUEST_STATE);
	op_ok(vm, sev, KVM_SEV_LAUNCH_MEASURE, &measure);
	want(vm_op(vm, sev, KVM_SEV_LAUNCH_SECRET, &secret, &fw) == -EIO && fw);
	want(page[0] == 0);
	secret.guest_len = 0;
	want(vm_op(vm, sev, KVM_SEV_LAUNCH_SECRET, &secret, &fw) == -EINVAL && fw == NO_CALL);
	close(vm);
	close(sev);
}

/* sev_init2_tests */
void init2_rules(void)
{
	struct kvm_device_attr attr = { .group = 1 };
	uint64_t features = ~0ull;
	struct init2 init = { 0 };
	int vm, types = ioctl(kvm(), KVM_CHECK_EXTENSION, CAP_VM_TYPES);

	want(types > 0 && types & 1 << TYPE_SEV && types & 1 << TYPE_ES);
	want(ioctl(kvm(), KVM_HAS_DEVICE_ATTR, &attr) == 0);
	attr.addr = (uintptr_t)&features;
	want(ioctl(kvm(), KVM_GET_DEVICE_ATTR, &attr) == 0 && features != ~0ull);
	attr.addr = 8;
	want(ioctl(kvm(), KVM_GET_DEVICE_ATTR, &attr) < 0 && errno == EFAULT);
	attr.attr = 1;
	want(ioctl(kvm(), KVM_HAS_DEVICE_ATTR, &attr) < 0 && errno == ENXIO);

	for (unsigned long type = TYPE_SEV; type <= TYPE_ES; type++) {
		vm = vm_new(type);
		op_ok(vm, sev_open(O_RDONLY), SEV_INIT2, &init);
		close(vm);
	}
	vm = vm_new(0);
	want(vm_op(vm, -1, SEV_INIT2, &init, &fw) == -EINVAL);
	close(vm);
	vm = vm_new(TYPE_SEV);
	want(vm_op(vm, -1, KVM_SEV_INIT, NULL, &fw) == -EINVAL);
	for (unsigned i = 0; i < 32; i++) {
		init = (struct init2){ .flags = 1u << i };
		want(vm_op(vm, -1, SEV_INIT2, &init, &fw) == -EINVAL);
	}
	for (unsigned i = 0; i < 64; i++) {
		init = (struct init2){ .vmsa_features = 1ull << i };
		want(vm_op(vm, -1, SEV_INIT2, &init, &fw) == -EINVAL);
	}
	want(ioctl(vcpu_new(vm, 0), KVM_RUN, 0) < 0 && errno == EINVAL);
	close(vm);
}

/* --- mirror and move: sev_migrate_tests ------------------------------------------------------ */

static void mirror_one(int sev, int es)
{
	int owner = guest_new(sev, es), mirror = vm_new(0);
	struct kvm_sev_guest_status st;

	want(vm_cap(mirror, CAP_COPY, owner) == 0);
	vcpus_new(mirror, VCPUS);
	if (es)
		op_ok(mirror, sev, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL);
	for (uint32_t id = 0; id <= SEV_INIT2; id++) {
		if (id == KVM_SEV_LAUNCH_UPDATE_VMSA || id == KVM_SEV_GUEST_STATUS ||
		    id == KVM_SEV_DBG_DECRYPT || id == KVM_SEV_DBG_ENCRYPT)
			continue;
		want(vm_op(mirror, sev, id, NULL, &fw) == -EINVAL && fw == NO_CALL);
	}
	op_ok(mirror, sev, KVM_SEV_GUEST_STATUS, &st);
	close(owner);
	close(mirror);
}

void mirror_rules(void)
{
	int sev = sev_open(O_RDWR), plain = empty_new(0), with_vcpu = empty_new(1);
	int owner, initialised = vm_new(0);

	mirror_one(sev, 0);
	mirror_one(sev, 1);
	owner = guest_new(sev, 0);
	op_ok(initialised, sev, KVM_SEV_INIT, NULL);
	want(vm_cap(owner, CAP_COPY, owner) == -EINVAL);
	want(vm_cap(empty_new(0), CAP_COPY, plain) == -EINVAL);
	want(vm_cap(with_vcpu, CAP_COPY, owner) == -EINVAL);
	want(vm_cap(initialised, CAP_COPY, owner) == -EINVAL);
	want(vm_cap(plain, CAP_COPY, -1) == -EBADF);
	want(vm_cap(plain, CAP_COPY, sev) == -EBADF);
	close(owner);
	close(sev);
}

static void chain(int sev, int es)
{
	int src = guest_new(sev, es), dst[3];

	for (int i = 0; i < 3; i++)
		dst[i] = empty_new(VCPUS);
	want(vm_cap(dst[0], CAP_MOVE, src) == 0);
	want(vm_cap(dst[1], CAP_MOVE, dst[0]) == 0);
	want(vm_cap(dst[2], CAP_MOVE, dst[1]) == 0);
	/* A dead VM answers nothing any more. */
	want(vm_cap(src, CAP_MOVE, dst[2]) == -EIO);
	want(vm_cap(dst[0], CAP_MOVE, dst[2]) == -EIO);
	want(ioctl(src, KVM_CHECK_EXTENSION, CAP_MOVE) < 0 && errno == EIO);
	want(vm_op(src, sev, KVM_SEV_GUEST_STATUS, NULL, &fw) == -EIO);
	for (int i = 0; i < 3; i++)
		close(dst[i]);
	close(src);
}

void move_chain(void)
{
	int sev = sev_open(O_RDWR);

	want(ioctl(kvm(), KVM_CHECK_EXTENSION, CAP_MOVE) == 1);
	want(ioctl(kvm(), KVM_CHECK_EXTENSION, CAP_COPY) == 1);
	chain(sev, 0);
	close(sev);
}

void move_es(void)
{
	int sev = sev_open(O_RDWR);

	chain(sev, 1);
	close(sev);
}

void move_mirrors(void)
{
	for (int order = 0; order < 2; order++) {
		int sev = sev_open(O_RDWR), vm = guest_new(sev, 0), mirror = vm_new(0);

		want(vm_cap(mirror, CAP_COPY, vm) == 0);
		for (int i = 0; i < 3; i++) {
			int next_mirror = empty_new(0), next = empty_new(0);

			want(vm_cap(next_mirror, CAP_MOVE, mirror) == 0);
			want(vm_cap(next, CAP_MOVE, vm) == 0);
			close(order ? mirror : vm);
			close(order ? vm : mirror);
			mirror = next_mirror;
			vm = next;
		}
		close(order ? mirror : vm);
		close(order ? vm : mirror);
		close(sev);
	}
}

#define MOVERS 3
static int movers[MOVERS];

static void *mover(void *arg)
{
	int *mine = arg;

	for (int i = 0; i < 10000; i++)
		vm_cap(*mine, CAP_MOVE, movers[i % MOVERS]);
	return NULL;
}

void move_locking(void)
{
	int sev = sev_open(O_RDWR);
	pthread_t t[MOVERS];

	for (int i = 0; i < MOVERS; i++)
		movers[i] = guest_new(sev, 0);
	for (int i = 0; i < MOVERS; i++)
		want(pthread_create(&t[i], NULL, mover, &movers[i]) == 0);
	for (int i = 0; i < MOVERS; i++)
		want(pthread_join(t[i], NULL) == 0);
	close(sev);
}

void move_rules(void)
{
	struct kvm_sev_launch_start start = { .policy = POLICY_ES };
	int sev = sev_open(O_RDWR), es = guest_new(sev, 1), plain = guest_new(sev, 0);
	int sev_vm = vm_new(0), es_vm = vm_new(0), unprotected = vm_new(0);

	op_ok(sev_vm, sev, KVM_SEV_INIT, NULL);
	op_ok(es_vm, sev, KVM_SEV_ES_INIT, NULL);
	vcpus_new(sev_vm, VCPUS);
	vcpus_new(es_vm, VCPUS);
	op_ok(unprotected, sev, KVM_SEV_ES_INIT, NULL);
	vcpus_new(unprotected, VCPUS);
	op_ok(unprotected, sev, KVM_SEV_LAUNCH_START, &start);

	want(vm_cap(empty_new(VCPUS), CAP_MOVE, empty_new(0)) == -EINVAL);
	want(vm_cap(sev_vm, CAP_MOVE, es) == -EINVAL);
	want(vm_cap(es_vm, CAP_MOVE, plain) == -EINVAL);
	want(vm_cap(empty_new(0), CAP_MOVE, es) == -EINVAL);
	want(vm_cap(empty_new(VCPUS), CAP_MOVE, unprotected) == -EINVAL);
	want(vm_cap(es, CAP_MOVE, es) == -EINVAL);
	want(vm_cap(empty_new(VCPUS), CAP_MOVE, es) == 0);
	close(sev);
}
