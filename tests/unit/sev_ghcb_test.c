/* SPDX-License-Identifier: Apache-2.0 */

/* What a guest asks by VMGEXIT, taken apart: the page and the MSR. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sev/soft_ghcb.h"

#define AT 0x7000u
#define BUFFER (AT + offsetof(struct ghcb, shared))

static struct ghcb page;
static struct soft_ghcb_call call;

#define SET(member, v)                                                                             \
	do {                                                                                       \
		page.member = (v);                                                                 \
		page.valid[GHCB_BIT(member) / 64] |= 1ull << GHCB_BIT(member) % 64;                \
	} while (0)

static void ask(uint64_t code, uint64_t info1, uint64_t info2)
{
	memset(&page, 0, sizeof(page));
	page.protocol_version = GHCB_VERSION_MIN;
	SET(sw_exit_code, code);
	SET(sw_exit_info_1, info1);
	SET(sw_exit_info_2, info2);
}

static unsigned decode(void)
{
	return soft_ghcb_decode((const uint8_t *)&page, gpa(AT), &call);
}

static void an_out_instruction_has_port_size_and_rax(void **state)
{
	(void)state;
	ask(GHCB_EXIT_IOIO, 0x3f8u << GHCB_IOIO_PORT_SHIFT | GHCB_IOIO_SIZE_16, 0);
	assert_int_equal(decode(), GHCB_ERROR_MISSING);
	SET(rax, 0x1234);
	assert_int_equal(decode(), 0);
	assert_int_equal(call.what, SOFT_GHCB_IO);
	assert_int_equal(call.io.port, 0x3f8);
	assert_int_equal(call.io.size, 2);
	assert_int_equal(call.io.count, 1);
	assert_false(call.io.in);
	assert_int_equal(call.rax, 0x1234);
}

static void a_size_must_be_one_of_three(void **state)
{
	(void)state;
	ask(GHCB_EXIT_IOIO, GHCB_IOIO_IN, 0);
	assert_int_equal(decode(), GHCB_ERROR_INPUT);
	ask(GHCB_EXIT_IOIO, GHCB_IOIO_IN | GHCB_IOIO_SIZE_8 | GHCB_IOIO_SIZE_32, 0);
	assert_int_equal(decode(), GHCB_ERROR_INPUT);
	ask(GHCB_EXIT_IOIO, GHCB_IOIO_IN | GHCB_IOIO_SIZE_32, 0);
	assert_int_equal(decode(), 0);
	assert_int_equal(call.io.size, 4);
}

static unsigned string(uint64_t scratch, uint64_t count, uint16_t version)
{
	ask(GHCB_EXIT_IOIO, GHCB_IOIO_STRING | GHCB_IOIO_REP | GHCB_IOIO_SIZE_8, count);
	page.protocol_version = version;
	SET(sw_scratch, scratch);
	return decode();
}

static void a_buffer_in_the_page_must_lie_in_its_shared_part(void **state)
{
	(void)state;
	assert_int_equal(string(BUFFER, GHCB_SHARED_LEN, 2), 0);
	assert_true(call.buf.inside);
	assert_int_equal(call.buf.at, 0x800);
	assert_int_equal(call.buf.len, GHCB_SHARED_LEN);
	assert_int_equal(string(BUFFER + GHCB_SHARED_LEN - 1, 1, 2), 0);
	assert_int_equal(string(BUFFER, GHCB_SHARED_LEN + 1, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(BUFFER - 1, 8, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(BUFFER + GHCB_SHARED_LEN, 1, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(AT - 4, 8, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(AT, 8, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(AT + 0xfff, 2, 1), GHCB_ERROR_SCRATCH);
}

static void a_buffer_elsewhere_is_for_version_1_alone(void **state)
{
	(void)state;
	assert_int_equal(string(0x20000, 64, 1), 0);
	assert_false(call.buf.inside);
	assert_int_equal(call.buf.gpa.v, 0x20000);
	assert_int_equal(string(0x20000, 64, 2), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(0x20000, SOFT_GHCB_DATA_MAX + 1, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(0x20000, UINT64_MAX, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(UINT64_MAX - 8, 64, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(0, 64, 1), GHCB_ERROR_SCRATCH);
	assert_int_equal(string(0x20000, 0, 1), 0);
	assert_int_equal(call.what, SOFT_GHCB_NOTHING);
}

static void a_string_without_a_buffer_is_refused(void **state)
{
	(void)state;
	ask(GHCB_EXIT_IOIO, GHCB_IOIO_STRING | GHCB_IOIO_SIZE_8, 1);
	assert_int_equal(decode(), GHCB_ERROR_MISSING);
}

static void a_field_without_its_bit_counts_as_not_there(void **state)
{
	(void)state;
	ask(GHCB_EXIT_MSR, GHCB_MSR_READ, 0);
	page.rcx = 0x4b564d08;
	assert_int_equal(decode(), GHCB_ERROR_MISSING);
	SET(rcx, 0x4b564d08);
	page.rax = 0xdead;
	assert_int_equal(decode(), 0);
	assert_int_equal(call.what, SOFT_GHCB_RDMSR);
	assert_int_equal(call.rax, 0);
	page.sw_exit_info_1 = GHCB_MSR_WRITE;
	assert_int_equal(decode(), GHCB_ERROR_MISSING);
	SET(rax, 1);
	SET(rdx, 2);
	assert_int_equal(decode(), 0);
	assert_int_equal(call.what, SOFT_GHCB_WRMSR);
	page.sw_exit_info_1 = 2;
	assert_int_equal(decode(), GHCB_ERROR_INPUT);
}

static void each_of_the_three_exit_fields_is_needed(void **state)
{
	const unsigned bits[] = { GHCB_BIT(sw_exit_code), GHCB_BIT(sw_exit_info_1),
				  GHCB_BIT(sw_exit_info_2) };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		ask(GHCB_EXIT_WBINVD, 0, 0);
		page.valid[bits[i] / 64] &= ~(1ull << bits[i] % 64);
		assert_int_equal(decode(), GHCB_ERROR_MISSING);
	}
}

static void usage_version_and_event_are_checked(void **state)
{
	(void)state;
	ask(GHCB_EXIT_WBINVD, 0, 0);
	page.usage = 1;
	assert_int_equal(decode(), GHCB_ERROR_USAGE);
	ask(GHCB_EXIT_WBINVD, 0, 0);
	page.protocol_version = 3;
	assert_int_equal(decode(), GHCB_ERROR_INPUT);
	page.protocol_version = 0;
	assert_int_equal(decode(), GHCB_ERROR_INPUT);
	ask(0x12345, 0, 0);
	assert_int_equal(decode(), GHCB_ERROR_EVENT);
	ask(1ull << 32 | GHCB_EXIT_WBINVD, 0, 0);
	assert_int_equal(decode(), GHCB_ERROR_EVENT);
}

static void mmio_is_of_1_to_8_bytes(void **state)
{
	(void)state;
	for (uint64_t len = 0; len < 10; len++) {
		ask(GHCB_EXIT_MMIO_WRITE, 0xfe000000, len);
		SET(sw_scratch, BUFFER);
		assert_int_equal(decode(), len && len <= 8 ? 0 : GHCB_ERROR_INPUT);
	}
}

static void cpuid_of_the_xsave_leaf_needs_xcr0(void **state)
{
	(void)state;
	ask(GHCB_EXIT_CPUID, 0, 0);
	SET(rax, 0xd);
	SET(rcx, 0);
	assert_int_equal(decode(), GHCB_ERROR_MISSING);
	SET(xcr0, 7);
	assert_int_equal(decode(), 0);
}

static void an_answer_leaves_nothing_of_the_question_valid(void **state)
{
	const struct soft_ghcb_answer a = { .info2 = 9, .rdx = 5, .regs = SOFT_GHCB_RDX };

	(void)state;
	ask(GHCB_EXIT_MSR, GHCB_MSR_WRITE, 0);
	SET(rax, 1);
	SET(rcx, 2);
	soft_ghcb_answer((uint8_t *)&page, &a);
	assert_int_equal(page.valid[0], 0);
	assert_int_equal(page.valid[1], 1ull << (GHCB_BIT(rdx) - 64) |
						1ull << (GHCB_BIT(sw_exit_info_1) - 64) |
						1ull << (GHCB_BIT(sw_exit_info_2) - 64));
	assert_int_equal(page.rdx, 5);
	assert_int_equal(page.sw_exit_info_1, GHCB_DONE);
	assert_int_equal(page.sw_exit_info_2, 9);
	assert_int_equal(page.rcx, 2);
}

static void the_msr_negotiates_asks_cpuid_holds_and_ends(void **state)
{
	struct soft_ghcb_msr m;

	(void)state;
	soft_ghcb_msr(GHCB_MSR_SEV_INFO_REQ, 47, &m);
	assert_int_equal(m.what, SOFT_MSR_ANSWERED);
	assert_int_equal(GHCB_MSR_INFO_MAX(m.answer), 2);
	assert_int_equal(GHCB_MSR_INFO_MIN(m.answer), 1);
	assert_int_equal(GHCB_MSR_INFO_CBIT(m.answer), 47);
	soft_ghcb_msr(GHCB_MSR_CPUID_OF(0x8000001f, 1), 47, &m);
	assert_int_equal(m.what, SOFT_MSR_CPUID);
	assert_int_equal(m.leaf, 0x8000001f);
	assert_int_equal(m.reg, 1);
	assert_int_equal(m.answer, 1u << 30 | GHCB_MSR_CPUID_RESP);
	soft_ghcb_msr(GHCB_MSR_RESET_HOLD_REQ, 47, &m);
	assert_int_equal(m.what, SOFT_MSR_HOLD);
	assert_true(m.answer >> 12);
	soft_ghcb_msr(GHCB_MSR_TERMINATE_OF(1, 3), 47, &m);
	assert_int_equal(m.what, SOFT_MSR_TERMINATE);
	soft_ghcb_msr(0x7000, 47, &m);
	assert_int_equal(m.what, SOFT_MSR_PAGE);
}

static void an_unknown_msr_value_stays_as_it_is(void **state)
{
	struct soft_ghcb_msr m;

	(void)state;
	soft_ghcb_msr(0xabc000fff, 47, &m);
	assert_int_equal(m.what, SOFT_MSR_ANSWERED);
	assert_int_equal(m.answer, 0xabc000fff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_out_instruction_has_port_size_and_rax),
		cmocka_unit_test(a_size_must_be_one_of_three),
		cmocka_unit_test(a_buffer_in_the_page_must_lie_in_its_shared_part),
		cmocka_unit_test(a_buffer_elsewhere_is_for_version_1_alone),
		cmocka_unit_test(a_string_without_a_buffer_is_refused),
		cmocka_unit_test(a_field_without_its_bit_counts_as_not_there),
		cmocka_unit_test(each_of_the_three_exit_fields_is_needed),
		cmocka_unit_test(usage_version_and_event_are_checked),
		cmocka_unit_test(mmio_is_of_1_to_8_bytes),
		cmocka_unit_test(cpuid_of_the_xsave_leaf_needs_xcr0),
		cmocka_unit_test(an_answer_leaves_nothing_of_the_question_valid),
		cmocka_unit_test(the_msr_negotiates_asks_cpuid_holds_and_ends),
		cmocka_unit_test(an_unknown_msr_value_stays_as_it_is),
	};

	return cmocka_run_group_tests_name("sev_ghcb", tests, NULL, NULL);
}
