/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cpuid.h>

#include "cli/shim_cpuid.h"

/* Leaf 0x8000001f of an EPYC with SEV: C-bit 51, five bits of physical address lost. */
#define EPYC_EBX (51u | 5u << 6)

static void answers_the_wanted_position_where_cpuid_can_fault(void **state)
{
	struct shim_cpuid c = shim_cpuid_choose(true, false, 47, EPYC_EBX);

	(void)state;
	assert_true(c.fault);
	assert_int_equal(c.cbit, 47);
}

static void tells_the_hosts_position_where_cpuid_cannot_fault(void **state)
{
	struct shim_cpuid epyc = shim_cpuid_choose(false, false, 47, EPYC_EBX);
	struct shim_cpuid none = shim_cpuid_choose(false, false, 47, 0);
	struct shim_cpuid noise = shim_cpuid_choose(false, false, 47, UINT32_MAX);

	(void)state;
	assert_false(epyc.fault || none.fault || noise.fault);
	assert_int_equal(epyc.cbit, 51);
	assert_int_equal(none.cbit, 0);
	assert_int_equal(noise.cbit, 63); /* as QEMU reads it: six bits */
}

static void leaves_cpuid_alone_when_asked(void **state)
{
	struct shim_cpuid c = shim_cpuid_choose(true, true, 47, EPYC_EBX);

	(void)state;
	assert_false(c.fault);
	assert_int_equal(c.cbit, 51);
}

static void asking_whether_it_faults_leaves_this_process_its_cpuid(void **state)
{
	unsigned max, ebx, ecx, edx, before = shim_cpuid_host_ebx();

	(void)state;
	(void)shim_cpuid_faults();
	__cpuid(0, max, ebx, ecx, edx); /* would end the test */
	assert_int_not_equal(max, 0);
	assert_int_equal(shim_cpuid_host_ebx(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_the_wanted_position_where_cpuid_can_fault),
		cmocka_unit_test(tells_the_hosts_position_where_cpuid_cannot_fault),
		cmocka_unit_test(leaves_cpuid_alone_when_asked),
		cmocka_unit_test(asking_whether_it_faults_leaves_this_process_its_cpuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
