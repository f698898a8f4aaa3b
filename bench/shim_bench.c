/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a client of `sevmig shim` pays: calls a second and pages a second, beside what the same
 * machine takes for an ioctl that does nothing. Run it under the shim:
 *
 *	sevmig shim -- shim_bench
 *
 * Each number is the best of several rounds of a fifth of a second. Prints one JSON object. Where
 *the shim does not answer CPUID, "cpuid" is null.
 */

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/psp-sev.h>

#define ROUNDS 5
#define ROUND_S 0.2
#define PAGE 4096u
#define CHUNK (1u << 20)

struct bench {
	int sev, kvm, vm, vcpu, sender;
	uint8_t *memory;
	uint8_t hdr[52], packet[PAGE];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "shim_bench: %s: %m\n", what);
	exit(1);
}

static int op(int vm, int sev, uint32_t id, void *data)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = (uintptr_t)data, .sev_fd = (uint32_t)sev };

	return ioctl(vm, KVM_MEMORY_ENCRYPT_OP, &cmd);
}

/* --- what is measured: one call, false when it failed ---------------------------------------- */

static bool bare_ioctl(struct bench *b)
{
	return syscall(SYS_ioctl, b->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
}

static bool passed_ioctl(struct bench *b)
{
	return ioctl(b->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
}

static bool bare_vcpu_ioctl(struct bench *b)
{
	struct kvm_mp_state st;

	return syscall(SYS_ioctl, b->vcpu, KVM_GET_MP_STATE, &st) == 0;
}

static bool passed_vcpu_ioctl(struct bench *b)
{
	struct kvm_mp_state st;

	return ioctl(b->vcpu, KVM_GET_MP_STATE, &st) == 0;
}

static bool platform_status(struct bench *b)
{
	struct sev_user_data_status st;
	struct sev_issue_cmd cmd = { .cmd = SEV_PLATFORM_STATUS, .data = (uintptr_t)&st };

	return ioctl(b->sev, SEV_ISSUE_CMD, &cmd) == 0;
}

static bool guest_status(struct bench *b)
{
	struct kvm_sev_guest_status st;

	return op(b->vm, b->sev, KVM_SEV_GUEST_STATUS, &st) == 0;
}

static bool launch_update(struct bench *b, uint32_t len)
{
	struct kvm_sev_launch_update_data update = { .uaddr = (uintptr_t)b->memory, .len = len };

	return op(b->vm, b->sev, KVM_SEV_LAUNCH_UPDATE_DATA, &update) == 0;
}

static bool launch_page(struct bench *b)
{
	return launch_update(b, PAGE);
}

static bool launch_chunk(struct bench *b)
{
	return launch_update(b, CHUNK);
}

static bool send_page(struct bench *b)
{
	struct kvm_sev_send_update_data send = { .hdr_uaddr = (uintptr_t)b->hdr,
						 .hdr_len = sizeof(b->hdr),
						 .guest_uaddr = (uintptr_t)b->memory,
						 .guest_len = PAGE,
						 .trans_uaddr = (uintptr_t)b->packet,
						 .trans_len = PAGE };

	return op(b->sender, b->sev, KVM_SEV_SEND_UPDATE_DATA, &send) == 0;
}

static bool decrypt_page(struct bench *b)
{
	struct kvm_sev_dbg dbg = { .src_uaddr = (uintptr_t)b->memory,
				   .dst_uaddr = (uintptr_t)b->packet,
				   .len = PAGE };

	return op(b->sender, b->sev, KVM_SEV_DBG_DECRYPT, &dbg) == 0;
}

static bool cpuid(struct bench *b)
{
	unsigned eax, ebx, ecx, edx;

	(void)b;
	__cpuid_count(0x8000001fu, 0, eax, ebx, ecx, edx);
	return (eax & 2) && ebx && (ecx | edx);
}

/* --- guests ---------------------------------------------------------------------------------- */

static int vm_new(struct bench *b)
{
	struct kvm_sev_launch_start start = { 0 };
	int vm = ioctl(b->kvm, KVM_CREATE_VM, 0);

	need(vm >= 0, "KVM_CREATE_VM");
	need(op(vm, b->sev, KVM_SEV_INIT, NULL) == 0, "KVM_SEV_INIT");
	need(op(vm, b->sev, KVM_SEV_LAUNCH_START, &start) == 0, "LAUNCH_START");
	return vm;
}

/* Send to this platform itself; with policy 0 nobody looks at AMD's chain. */
static void sender_start(struct bench *b)
{
	static uint8_t pdh[0x824], chain[0x186c], amd[0xc80], session[0x80], measure[48];
	struct sev_user_data_pdh_cert_export certs = { .pdh_cert_address = (uintptr_t)pdh,
						       .pdh_cert_len = sizeof(pdh),
						       .cert_chain_address = (uintptr_t)chain,
						       .cert_chain_len = sizeof(chain) };
	struct sev_issue_cmd cmd = { .cmd = SEV_PDH_CERT_EXPORT, .data = (uintptr_t)&certs };
	struct kvm_sev_launch_measure m = { .uaddr = (uintptr_t)measure, .len = sizeof(measure) };
	struct kvm_sev_send_start start = { .pdh_cert_uaddr = (uintptr_t)pdh,
					    .pdh_cert_len = sizeof(pdh),
					    .plat_certs_uaddr = (uintptr_t)chain,
					    .plat_certs_len = sizeof(chain),
					    .amd_certs_uaddr = (uintptr_t)amd,
					    .amd_certs_len = sizeof(amd),
					    .session_uaddr = (uintptr_t)session,
					    .session_len = sizeof(session) };

	need(ioctl(b->sev, SEV_ISSUE_CMD, &cmd) == 0, "PDH_CERT_EXPORT");
	b->sender = vm_new(b);
	need(op(b->sender, b->sev, KVM_SEV_LAUNCH_MEASURE, &m) == 0, "LAUNCH_MEASURE");
	need(op(b->sender, b->sev, KVM_SEV_LAUNCH_FINISH, NULL) == 0, "LAUNCH_FINISH");
	need(op(b->sender, b->sev, KVM_SEV_SEND_START, &start) == 0, "SEND_START");
}

static void start(struct bench *b)
{
	b->sev = open("/dev/sev", O_RDWR | O_CLOEXEC);
	need(b->sev >= 0, "/dev/sev (run this under sevmig shim)");
	b->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	need(b->kvm >= 0, "/dev/kvm");
	b->memory = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	need(b->memory != MAP_FAILED, "memory");
	memset(b->memory, 0x5a, CHUNK);
	b->vm = vm_new(b);
	b->vcpu = ioctl(b->vm, KVM_CREATE_VCPU, 0);
	need(b->vcpu >= 0, "KVM_CREATE_VCPU");
	sender_start(b);
}

/* --- rounds ---------------------------------------------------------------------------------- */

static double rate_of(struct bench *b, bool (*call)(struct bench *b), const char *name)
{
	double best = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		double begin = now(), took;
		uint64_t n = 0;

		do {
			for (unsigned i = 0; i < 16; i++)
				need(call(b), name);
			n += 16;
			took = now() - begin;
		} while (took < ROUND_S);
		best = (double)n / took > best ? (double)n / took : best;
	}
	return best;
}

static const struct {
	const char *name;
	bool (*call)(struct bench *b);
	unsigned pages; /* a call */
} measured[] = {
	{ "ioctl-bare", bare_ioctl, 0 },
	{ "ioctl-passed-on", passed_ioctl, 0 },
	{ "vcpu-ioctl-bare", bare_vcpu_ioctl, 0 },
	{ "vcpu-ioctl-passed-on", passed_vcpu_ioctl, 0 },
	{ "platform-status", platform_status, 0 },
	{ "guest-status", guest_status, 0 },
	{ "launch-update-4k", launch_page, 1 },
	{ "launch-update-1m", launch_chunk, CHUNK / PAGE },
	{ "send-update", send_page, 1 },
	{ "dbg-decrypt", decrypt_page, 1 },
	{ "cpuid", cpuid, 0 },
};

int main(void)
{
	static struct bench b;

	start(&b);
	printf("{");
	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++) {
		double rate;

		if (measured[i].call == cpuid && !cpuid(&b)) {
			printf(",\n  \"cpuid\": null");
			continue;
		}
		rate = rate_of(&b, measured[i].call, measured[i].name);
		printf("%s\n  \"%s\": { \"calls_per_s\": %.0f, \"ns_per_call\": %.0f", i ? "," : "",
		       measured[i].name, rate, 1e9 / rate);
		if (measured[i].pages)
			printf(", \"pages_per_s\": %.0f", rate * measured[i].pages);
		printf(" }");
	}
	printf("\n}\n");
	return 0;
}
