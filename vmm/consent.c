/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The three who must say yes before a guest is moved.
 *
 * Host: its operator has not turned migration off, KVM reports conversions, the platform sends, and
 * the list of shared pages is whole. Firmware: what booted the guest told it, and us, that it keeps
 * the list right from the first instruction on; where the monitor loads the kernel itself that is
 * the monitor's own part, otherwise the image's table says so (vmm/machine.h). Guest: MSR
 * 0x4b564d08.
 */

#include "sev/es.h"
#include "vmm/impl.h"

enum { SENDS_UNKNOWN, SENDS_YES, SENDS_NO, SENDS_NO_VCPUS };

static int host_ask(struct vm *vm)
{
	struct err why;

	if (!sev_send_offered(vm->mig.sev))
		return SENDS_NO;
	return vmm_es(vm) && sev_vmsa_movable(vm->mig.sev, true, &why) < 0 ? SENDS_NO_VCPUS
									   : SENDS_YES;
}

/* Asked once: a kernel does not learn it later. NULL: it sends. */
static const char *host_cannot_send(struct vm *vm)
{
	int known = atomic_load(&vm->sends);

	if (known == SENDS_UNKNOWN) {
		known = host_ask(vm);
		atomic_store(&vm->sends, known);
	}
	if (known == SENDS_NO_VCPUS)
		return "this kernel has no KVM_SEV_SEND_UPDATE_VMSA, which an SEV-ES guest needs";
	return known == SENDS_NO ? "the platform or its driver does not know the SEND commands"
				 : NULL;
}

static const char *host_no(struct vm *vm)
{
	if (vm->cfg.no_migration)
		return "migration was turned off for it (--no-migration)";
	if (vm->hypercalls_lost)
		return "this KVM does not report MAP_GPA_RANGE";
	if (__atomic_load_n(&vm->pages.lost, __ATOMIC_RELAXED))
		return "the list of shared pages is incomplete (out of memory earlier)";
	return host_cannot_send(vm);
}

static const char *firmware_no(struct vm *vm)
{
	if (vm->machine.firmware == MACHINE_FIRMWARE_SILENT)
		return "the image says nothing of migration in its table";
	return NULL;
}

static const char *guest_no(struct vm *vm)
{
	if (atomic_load(&vm->migration) & 1)
		return NULL;
	return atomic_load(&vm->migration_written)
		       ? "it withdrew its consent (wrote 0 to MSR 0x4b564d08)"
		       : "it has not enabled migration (MSR 0x4b564d08 is 0)";
}

const char *vm_says_no(struct vm *vm, enum mig_party who)
{
	switch (who) {
	case MIG_PARTY_HOST:
		return host_no(vm);
	case MIG_PARTY_FIRMWARE:
		return firmware_no(vm);
	case MIG_PARTY_GUEST:
		return guest_no(vm);
	case MIG_PARTY_N:
		break;
	}
	return "nobody knows it";
}
