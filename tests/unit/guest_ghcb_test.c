/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/doorbell.h"
#include "guest/ghcb.h"

/* A string literal's bytes; what follows is not the instruction's. */
#define INSN(text) (const uint8_t *)(text "\xcc\xcc"), sizeof(text) - 1

static const struct vc_regs regs = { 0x1122334455667788, 0xbbbbbbbbbbbbbbbb, 0xffffffffc0010131,
				     0xddddddddeeee03f8, 0 };

static void takes_every_form_of_in_and_out(void **state)
{
	static const struct {
		const char *insn;
		unsigned len;
		uint32_t info1;
		uint64_t rax;
	} table[] = {
		{ "\xe4\x64\xcc", 2, 0x640211, 0 },
		{ "\xe5\x64\xcc", 2, 0x640241, 0 },
		{ "\x66\xe5\x64", 3, 0x640221, 0 },
		{ "\xe6\x64\xcc", 2, 0x640210, 0x88 },
		{ "\xe7\x64\xcc", 2, 0x640240, 0x55667788 },
		{ "\x66\xe7\x64", 3, 0x640220, 0x7788 },
		{ "\xec\xcc\xcc", 1, 0x3f80211, 0 },
		{ "\xed\xcc\xcc", 1, 0x3f80241, 0 },
		{ "\x66\xed\xcc", 2, 0x3f80221, 0 },
		{ "\xee\xcc\xcc", 1, 0x3f80210, 0x88 },
		{ "\xef\xcc\xcc", 1, 0x3f80240, 0x55667788 },
		{ "\x66\xef\xcc", 2, 0x3f80220, 0x7788 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const uint8_t *p = (const uint8_t *)table[i].insn;
		struct ghcb_call c;

		assert_int_equal(vc_exit(p, 3, GHCB_EXIT_IOIO, &regs, &c), table[i].len);
		assert_int_equal(c.info1, table[i].info1);
		assert_true(c.rax == table[i].rax);
		assert_int_equal(c.out, GHCB_RAX);
		assert_int_equal(c.in, table[i].info1 & GHCB_IOIO_IN ? GHCB_RAX : 0);
		assert_int_equal(vc_exit(p, table[i].len - 1, GHCB_EXIT_IOIO, &regs, &c), 0);
	}
}

static void refuses_an_instruction_that_does_not_belong_to_the_code(void **state)
{
	static const char *const insns[] = { "\x90\x90\x90", "\x6e\x90\x90", "\x66\x66\xed",
					     "\x0f\x0b\x90", "\x0f\x01\xd8", "\x0f\x31\x90" };
	static const uint32_t codes[] = { GHCB_EXIT_IOIO,  GHCB_EXIT_MSR, GHCB_EXIT_VMMCALL,
					  GHCB_EXIT_CPUID, GHCB_EXIT_NPF, 0 };
	struct ghcb_call c;

	(void)state;
	for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
		for (size_t k = 0; k < sizeof(codes) / sizeof(codes[0]); k++)
			assert_int_equal(vc_exit((const uint8_t *)insns[i], 3, codes[k], &regs, &c),
					 0);
	assert_int_equal(vc_exit(INSN("\x0f\x32"), GHCB_EXIT_CPUID, &regs, &c), 0);
	assert_int_equal(vc_exit(INSN("\x0f\xa2"), GHCB_EXIT_MSR, &regs, &c), 0);
	assert_int_equal(vc_exit(INSN("\xed"), GHCB_EXIT_MSR, &regs, &c), 0);
}

static void reads_and_writes_of_msrs_say_no_more_than_they_must(void **state)
{
	struct ghcb_call c;

	(void)state;
	assert_int_equal(vc_exit(INSN("\x0f\x32"), GHCB_EXIT_MSR, &regs, &c), 2);
	assert_int_equal(c.info1, GHCB_MSR_READ);
	assert_int_equal(c.out, GHCB_RCX);
	assert_true(c.rcx == 0xc0010131 && !c.rax && !c.rbx && !c.rdx);
	assert_int_equal(c.in, GHCB_RAX | GHCB_RDX);
	assert_int_equal(vc_exit(INSN("\x0f\x30"), GHCB_EXIT_MSR, &regs, &c), 2);
	assert_int_equal(c.info1, GHCB_MSR_WRITE);
	assert_int_equal(c.out, GHCB_RAX | GHCB_RCX | GHCB_RDX);
	assert_true(c.rax == 0x55667788 && c.rdx == 0xeeee03f8 && !c.rbx);
	assert_int_equal(c.in, 0);
}

static void a_hypercall_takes_its_arguments_along_only_when_it_has_some(void **state)
{
	struct vc_regs r = regs;
	struct ghcb_call c;

	(void)state;
	r.cpl = 3;
	assert_int_equal(vc_exit(INSN("\x0f\x01\xd9"), GHCB_EXIT_VMMCALL, &r, &c), 3);
	assert_int_equal(c.out, GHCB_RAX | GHCB_CPL);
	assert_true(c.rax == r.rax && !c.rbx && !c.rcx && !c.rdx);
	assert_int_equal(c.cpl, 3);
	r.rax = DOORBELL_HC_MAP_GPA_RANGE;
	assert_int_equal(vc_exit(INSN("\x0f\x01\xd9"), GHCB_EXIT_VMMCALL, &r, &c), 3);
	assert_int_equal(c.out, GHCB_RAX | GHCB_RBX | GHCB_RCX | GHCB_RDX | GHCB_CPL);
	assert_true(c.rbx == r.rbx && c.rcx == r.rcx && c.rdx == r.rdx);
}

static void cpuid_tells_xcr0_only_where_the_answer_depends_on_it(void **state)
{
	struct vc_regs r = regs;
	struct ghcb_call c;

	(void)state;
	assert_int_equal(vc_exit(INSN("\x0f\xa2"), GHCB_EXIT_CPUID, &r, &c), 2);
	assert_int_equal(c.out, GHCB_RAX | GHCB_RCX);
	assert_int_equal(c.in, GHCB_RAX | GHCB_RBX | GHCB_RCX | GHCB_RDX);
	r.rax = 0xd;
	assert_int_equal(vc_exit(INSN("\x0f\xa2"), GHCB_EXIT_CPUID, &r, &c), 2);
	assert_int_equal(c.out, GHCB_RAX | GHCB_RCX | GHCB_XCR0);
	assert_int_equal(c.xcr0, 1);
	assert_int_equal(vc_exit(INSN("\x0f\x31"), GHCB_EXIT_RDTSC, &r, &c), 2);
	assert_int_equal(c.out, 0);
}

/* Whatever the page held before. */
static void the_page_holds_the_exit_and_nothing_else(void **state)
{
	static const struct ghcb_call c = { .code = 0x7c,
					    .info1 = 1,
					    .rax = 0xa,
					    .rbx = 0xb,
					    .rcx = 0xc,
					    .rdx = 0xd,
					    .out = GHCB_RAX | GHCB_RCX };
	static const struct ghcb_call more = { .code = 0x81,
					       .rax = 1,
					       .rbx = 2,
					       .rcx = 3,
					       .rdx = 4,
					       .xcr0 = 5,
					       .cpl = 3,
					       .out = 0x3f };
	static struct ghcb g, want;

	(void)state;
	ghcb_put(&g, &more, 2);
	assert_true(g.valid[0] == (1ull << 63 | 1ull << 25));
	assert_true(g.valid[1] == (1ull << 33 | 1ull << 34 | 1ull << 35 | 7ull << 50 | 1ull << 61));
	ghcb_put(&g, &c, 1);
	want.rax = 0xa;
	want.rcx = 0xc;
	want.sw_exit_code = 0x7c;
	want.sw_exit_info_1 = 1;
	want.valid[0] = 1ull << 63;
	want.valid[1] = 1ull << 33 | 7ull << 50;
	want.protocol_version = 1;
	assert_memory_equal(&g, &want, sizeof(g));
}

static void an_answer_counts_when_all_that_was_asked_for_is_valid(void **state)
{
	struct ghcb_call c = { .code = GHCB_EXIT_MSR, .in = GHCB_RAX | GHCB_RDX };
	static struct ghcb g;

	(void)state;
	g.rax = 7;
	g.rdx = 8;
	g.rbx = 9;
	g.sw_exit_info_2 = 5;
	g.valid[0] = 1ull << 63;
	assert_int_equal(ghcb_get(&g, &c), GHCB_BAD);
	g.valid[1] = 1ull << 34;
	assert_int_equal(ghcb_get(&g, &c), GHCB_OK);
	assert_true(c.rax == 7 && c.rdx == 8 && !c.rbx && c.ret2 == 5);
	g.sw_exit_info_1 = GHCB_ERROR;
	assert_int_equal(ghcb_get(&g, &c), GHCB_BAD);
}

static void the_host_may_raise_two_exceptions_and_no_other(void **state)
{
	struct ghcb_call c = { .code = GHCB_EXIT_MSR, .in = GHCB_RAX };
	static struct ghcb g;

	(void)state;
	g.sw_exit_info_1 = GHCB_EXCEPTION;
	g.sw_exit_info_2 =
		13 | GHCB_EVENT_EXCEPTION | GHCB_EVENT_HAS_ERROR | GHCB_EVENT_VALID | 5ull << 32;
	assert_int_equal(ghcb_get(&g, &c), GHCB_RAISE);
	assert_true(c.ret1 == 13 && c.ret2 == 5);
	g.sw_exit_info_2 = 6 | GHCB_EVENT_EXCEPTION | GHCB_EVENT_VALID | 5ull << 32;
	assert_int_equal(ghcb_get(&g, &c), GHCB_RAISE);
	assert_true(c.ret1 == 6 && c.ret2 == 0);
	for (uint32_t v = 0; v < 256; v++) {
		g.sw_exit_info_2 = v | GHCB_EVENT_EXCEPTION | GHCB_EVENT_VALID;
		assert_int_equal(ghcb_get(&g, &c), v == 6 || v == 13 ? GHCB_RAISE : GHCB_BAD);
	}
	g.sw_exit_info_2 = 13 | GHCB_EVENT_EXCEPTION; /* not valid */
	assert_int_equal(ghcb_get(&g, &c), GHCB_BAD);
	g.sw_exit_info_2 = 13 | GHCB_EVENT_VALID; /* an interrupt */
	assert_int_equal(ghcb_get(&g, &c), GHCB_BAD);
}

static void results_reach_as_much_of_a_register_as_the_instruction_writes(void **state)
{
	struct ghcb_call c = { .code = GHCB_EXIT_IOIO, .info1 = GHCB_IOIO_SIZE_8, .in = GHCB_RAX };
	struct vc_regs r = regs;

	(void)state;
	c.rax = 0xfefefefefefefe01;
	vc_done(&c, &r);
	assert_true(r.rax == 0x1122334455667701);
	c.info1 = GHCB_IOIO_SIZE_16;
	vc_done(&c, &r);
	assert_true(r.rax == 0x112233445566fe01);
	c.info1 = GHCB_IOIO_SIZE_32;
	vc_done(&c, &r);
	assert_true(r.rax == 0xfefefe01);
	c.code = GHCB_EXIT_VMMCALL;
	vc_done(&c, &r);
	assert_true(r.rax == 0xfefefefefefefe01 && r.rbx == regs.rbx && r.rdx == regs.rdx);
	c = (struct ghcb_call){ .code = GHCB_EXIT_CPUID, .rbx = UINT64_MAX, .rcx = 2, .in = 0xf };
	vc_done(&c, &r);
	assert_true(r.rax == 0 && r.rbx == UINT32_MAX && r.rcx == 2 && r.rdx == 0);
}

static void agrees_on_the_newest_protocol_both_know(void **state)
{
	static const struct {
		uint16_t max, min, want;
	} table[] = { { 2, 1, 2 }, { 1, 1, 1 }, { 5, 1, 2 }, { 5, 2, 2 },
		      { 5, 3, 0 }, { 0, 0, 0 }, { 1, 2, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(ghcb_version(GHCB_MSR_SEV_INFO_OF(table[i].max, table[i].min, 51)),
				 table[i].want);
	assert_int_equal(ghcb_version(GHCB_MSR_SEV_INFO_OF(2, 1, 51) + 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_every_form_of_in_and_out),
		cmocka_unit_test(refuses_an_instruction_that_does_not_belong_to_the_code),
		cmocka_unit_test(reads_and_writes_of_msrs_say_no_more_than_they_must),
		cmocka_unit_test(a_hypercall_takes_its_arguments_along_only_when_it_has_some),
		cmocka_unit_test(cpuid_tells_xcr0_only_where_the_answer_depends_on_it),
		cmocka_unit_test(the_page_holds_the_exit_and_nothing_else),
		cmocka_unit_test(an_answer_counts_when_all_that_was_asked_for_is_valid),
		cmocka_unit_test(the_host_may_raise_two_exceptions_and_no_other),
		cmocka_unit_test(results_reach_as_much_of_a_register_as_the_instruction_writes),
		cmocka_unit_test(agrees_on_the_newest_protocol_both_know),
	};

	return cmocka_run_group_tests_name("guest_ghcb", tests, NULL, NULL);
}
