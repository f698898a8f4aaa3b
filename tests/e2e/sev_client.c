/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/e2e/sev_client.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int sev_issue(int fd, uint32_t cmd, void *data, uint32_t *fw)
{
	struct sev_issue_cmd arg = { .cmd = cmd, .data = (uintptr_t)data, .error = NO_CALL };
	int r = ioctl(fd, SEV_ISSUE_CMD, &arg);

	*fw = arg.error;
	return r < 0 ? -errno : r;
}

int vm_op(int vm, int sev_fd, uint32_t id, void *data, uint32_t *fw)
{
	struct kvm_sev_cmd arg = {
		.id = id, .data = (uintptr_t)data, .error = NO_CALL, .sev_fd = (uint32_t)sev_fd
	};
	int r = ioctl(vm, KVM_MEMORY_ENCRYPT_OP, &arg);

	*fw = arg.error;
	return r < 0 ? -errno : r;
}

int vm_region(int vm, int add, void *p, uint64_t size)
{
	struct kvm_enc_region region = { .addr = (uintptr_t)p, .size = size };
	int r = ioctl(vm, add ? KVM_MEMORY_ENCRYPT_REG_REGION : KVM_MEMORY_ENCRYPT_UNREG_REGION,
		      &region);

	return r < 0 ? -errno : r;
}

int vm_cap(int vm, uint32_t cap, int from)
{
	struct kvm_enable_cap arg = { .cap = cap, .args = { (uint64_t)from } };
	int r = ioctl(vm, KVM_ENABLE_CAP, &arg);

	return r < 0 ? -errno : r;
}

int sev_open(int flags)
{
	int fd = open("/dev/sev", flags);

	want(fd >= 0);
	return fd;
}

int kvm(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	want(fd >= 0);
	return fd;
}

int vm_new(unsigned long type)
{
	int fd;

	do
		fd = ioctl(kvm(), KVM_CREATE_VM, type);
	while (fd < 0 && errno == EINTR);
	want(fd >= 0);
	return fd;
}

int vcpu_new(int vm, unsigned long id)
{
	int fd = ioctl(vm, KVM_CREATE_VCPU, id);

	want(fd >= 0);
	return fd;
}

void *pages_new(unsigned n)
{
	void *p =
		mmap(NULL, n * 4096ul, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	want(p != MAP_FAILED);
	return p;
}

void certs_get(int fd, struct certs *out)
{
	struct sev_user_data_pdh_cert_export arg = { .pdh_cert_address = (uintptr_t)out->pdh,
						     .pdh_cert_len = CERT_LEN,
						     .cert_chain_address = (uintptr_t)out->chain,
						     .cert_chain_len = CHAIN_LEN };
	uint32_t fw;

	want(sev_issue(fd, SEV_PDH_CERT_EXPORT, &arg, &fw) == 0 && fw == 0);
}

void csr_get(int fd, uint8_t csr[CERT_LEN])
{
	struct sev_user_data_pek_csr arg = { .address = (uintptr_t)csr, .length = CERT_LEN };
	uint32_t fw;

	want(sev_issue(fd, SEV_PEK_CSR, &arg, &fw) == 0 && fw == 0 && arg.length == CERT_LEN);
}

static const struct {
	const char *name;
	scenario *run;
} scenarios[] = {
#define SCENARIO(name)                                                                             \
	{                                                                                          \
#name, name                                                                        \
	}
	SCENARIO(platform_identity), SCENARIO(platform_queries),
	SCENARIO(platform_owner),    SCENARIO(platform_read_only),
	SCENARIO(platform_errors),   SCENARIO(launch_virtee),
	SCENARIO(launch_selftest),   SCENARIO(launch_es),
	SCENARIO(launch_secret),     SCENARIO(mirror_rules),
	SCENARIO(move_chain),        SCENARIO(move_es),
	SCENARIO(move_mirrors),      SCENARIO(move_locking),
	SCENARIO(move_rules),        SCENARIO(init2_rules),
	SCENARIO(fd_copies),         SCENARIO(fd_fork),
	SCENARIO(fd_exec),           SCENARIO(fd_threads),
	SCENARIO(fd_stale),          SCENARIO(fd_lookups),
	SCENARIO(cpuid_leaf),        SCENARIO(cpuid_signals),
	SCENARIO(cpuid_host),
};

/* sev_client SCENARIO...; sev_client fd N: is N an open /dev/sev, for a program that was exec'ed.
 */
int main(int argc, char **argv)
{
	uint32_t fw;
	struct sev_user_data_status st;
	unsigned found = 0;

	if (argc == 3 && strcmp(argv[1], "fd") == 0)
		return sev_issue(atoi(argv[2]), SEV_PLATFORM_STATUS, &st, &fw) == 0 ? 0 : 1;
	for (int i = 1; i < argc; i++) {
		for (size_t j = 0; j < sizeof(scenarios) / sizeof(scenarios[0]); j++) {
			if (strcmp(argv[i], scenarios[j].name) != 0)
				continue;
			scenarios[j].run();
			found++;
		}
	}
	if (argc < 2 || found != (unsigned)argc - 1) {
		fputs("usage: sev_client SCENARIO...\n", stderr);
		return 2;
	}
	return 0;
}
