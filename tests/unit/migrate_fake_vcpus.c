/* SPDX-License-Identifier: Apache-2.0 */

/* Of the virtual machine without KVM, what makes it one with SEV-ES. */

#include "tests/unit/migrate_fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "sev/es.h"
#include "sev/soft_vm.h"

uint32_t fake_es_vcpus;

uint8_t *fake_vcpu(struct fake_vm *vm, uint32_t i)
{
	return ((struct soft_vm *)vm->inner)->vmsa[i].page;
}

static unsigned fake_vcpus(void *ctx)
{
	const struct fake_vm *vm = ctx;

	return vm->es ? vm->vcpus : 0;
}

static int fake_vcpu_regs(void *ctx, unsigned n, struct sev_vmsa_regs *out)
{
	(void)ctx;
	out->regs.rip = 0x1000 + n;
	return 0;
}

void fake_init(struct fake_vm *vm)
{
	struct kvm_sev_cmd cmd = { .id = fake_es_vcpus ? KVM_SEV_ES_INIT : KVM_SEV_INIT };
	struct soft_vm *soft = (struct soft_vm *)vm->inner;

	soft->es_offered = true;
	soft->client = (struct sev_soft_client){
		.ctx = vm, .vcpus = fake_vcpus, .vcpu_regs = fake_vcpu_regs, .update_vmsa = true
	};
	assert_int_equal(sev_vm_op(vm->inner, &cmd), 0);
	vm->es = fake_es_vcpus;
	vm->vcpus = fake_es_vcpus ? fake_es_vcpus : 1;
}
