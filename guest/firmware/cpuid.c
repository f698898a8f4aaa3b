/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/firmware/firmware.h"

#define HYPERVISOR_FIRST 0x40000000u
#define HYPERVISOR_END 0x40010000u
#define HYPERVISOR_STEP 0x100u
#define KVM_EBX 0x4b4d564bu /* "KVMKVMKVM\0\0\0" */
#define KVM_ECX 0x564b4d56u
#define KVM_EDX 0x4du

/* A host that speaks several hypervisors' languages has KVM's leaves further up. */
uint32_t fw_kvm_features(fw_cpuid_fn *cpuid)
{
	for (uint32_t leaf = HYPERVISOR_FIRST; leaf < HYPERVISOR_END; leaf += HYPERVISOR_STEP) {
		struct fw_cpuid c = { 0 };

		cpuid(leaf, &c);
		if (c.ebx != KVM_EBX || c.ecx != KVM_ECX || c.edx != KVM_EDX)
			continue;
		/* Old ones report 0 for their last leaf and mean the second. */
		if (c.eax && c.eax < leaf + 1)
			return 0;
		cpuid(leaf + 1, &c);
		return c.eax;
	}
	return 0;
}
