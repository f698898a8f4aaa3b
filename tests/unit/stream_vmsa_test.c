/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream/vmsa.h"

static uint8_t space[STREAM_HEAD_MAX];
static const uint8_t body[STREAM_VMSA_LEN + 1];

static size_t put(uint32_t vcpu)
{
	const struct stream_vmsa m = { .vcpu = vcpu, .hdr = { 7 } };
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	assert_int_equal(stream_vmsa_put(&out, &m, &e), 0);
	return out.len;
}

static int get(size_t n, size_t body_len, uint32_t have, uint32_t vcpus, struct err *e)
{
	struct stream_vmsa m;

	return stream_vmsa_get(space, n, body, body_len, have, vcpus, &m, e);
}

static void takes_the_next_vcpu_only(void **state)
{
	struct err e;

	(void)state;
	for (uint32_t vcpu = 0; vcpu < 4; vcpu++)
		for (uint32_t have = 0; have < 5; have++)
			assert_int_equal(get(put(vcpu), STREAM_VMSA_LEN, have, 4, &e),
					 vcpu == have ? 0 : -EPROTO);
	assert_int_equal(get(put(2), STREAM_VMSA_LEN, 1, 4, &e), -EPROTO);
	assert_string_equal(e.msg, "VMSA: vCPU 2, expected 1");
}

static void rejects_a_vcpu_the_guest_does_not_have(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(get(put(2), STREAM_VMSA_LEN, 2, 2, &e), -EPROTO);
	assert_string_equal(e.msg, "VMSA: vCPU 2 of 2");
	assert_int_equal(get(put(~0u), STREAM_VMSA_LEN, ~0u, 4096, &e), -EPROTO);
	assert_int_equal(get(put(0), STREAM_VMSA_LEN, 0, 0, &e), -EPROTO);
}

static void the_index_is_little_endian(void **state)
{
	struct err e;

	(void)state;
	put(0x0100);
	assert_int_equal(space[8], 0);
	assert_int_equal(space[9], 1);
	assert_int_equal(get(68, STREAM_VMSA_LEN, 0x0100, 4096, &e), 0);
	assert_int_equal(get(68, STREAM_VMSA_LEN, 0x010000, ~0u, &e), -EPROTO);
}

static void rejects_a_packet_of_another_length(void **state)
{
	size_t n = put(0);
	struct err e;

	(void)state;
	assert_int_equal(get(n, STREAM_VMSA_LEN - 1, 0, 1, &e), -EPROTO);
	assert_int_equal(get(n, STREAM_VMSA_LEN + 1, 0, 1, &e), -EPROTO);
	assert_int_equal(get(n, 0, 0, 1, &e), -EPROTO);
	space[12] = 16;
	assert_int_equal(get(n, STREAM_VMSA_LEN, 0, 1, &e), -EPROTO);
	assert_string_equal(e.msg, "VMSA: vCPU 0: 4112 bytes in 4096");
}

static void rejects_a_head_cut_or_extended_anywhere(void **state)
{
	size_t n = put(0);
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(get(i, STREAM_VMSA_LEN, 0, 1, &e), -EPROTO);
	assert_int_equal(get(n, STREAM_VMSA_LEN, 0, 1, &e), 0);
	assert_int_equal(get(n + 1, STREAM_VMSA_LEN, 0, 1, &e), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_next_vcpu_only),
		cmocka_unit_test(rejects_a_vcpu_the_guest_does_not_have),
		cmocka_unit_test(the_index_is_little_endian),
		cmocka_unit_test(rejects_a_packet_of_another_length),
		cmocka_unit_test(rejects_a_head_cut_or_extended_anywhere),
	};

	return cmocka_run_group_tests_name("stream_vmsa", tests, NULL, NULL);
}
