/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/shim_cpuid.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CPUID_SEV_LEAF 0x8000001fu
#define EBX_CBIT 0x3fu

unsigned shim_cpuid_host_ebx(void)
{
	unsigned eax, ebx = 0, ecx, edx;

	__cpuid_count(CPUID_SEV_LEAF, 0, eax, ebx, ecx, edx);
	return ebx;
}

/* In a child: it would end this program's own use of the instruction. */
bool shim_cpuid_faults(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

struct shim_cpuid shim_cpuid_choose(bool faults, bool left_alone, unsigned wanted,
				    unsigned host_ebx)
{
	bool fault = faults && !left_alone;

	return (struct shim_cpuid){ .fault = fault, .cbit = fault ? wanted : host_ebx & EBX_CBIT };
}
