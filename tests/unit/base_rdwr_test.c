/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/rdwr.h"

static void reads_what_was_written(void **state)
{
	uint8_t bytes[32];
	struct wr out = wr_of(bytes, sizeof(bytes));
	struct rd in;
	uint8_t a;
	uint16_t b;
	uint32_t c;
	uint64_t d;

	(void)state;
	wr_u8(&out, 1);
	wr_le16(&out, 0x0203);
	wr_le32(&out, 0x04050607);
	wr_le64(&out, 0x08090a0b0c0d0e0full);
	assert_true(wr_ok(&out));
	assert_int_equal(out.len, 15);
	assert_int_equal(bytes[1], 3);
	in = rd_of(bytes, out.len);
	assert_int_equal(rd_u8(&in, &a) | rd_le16(&in, &b) | rd_le32(&in, &c) | rd_le64(&in, &d),
			 0);
	assert_int_equal(a, 1);
	assert_int_equal(b, 0x0203);
	assert_int_equal(c, 0x04050607);
	assert_true(d == 0x08090a0b0c0d0e0full);
	assert_true(rd_done(&in));
}

static void short_read_fails_for_good_and_leaves_the_output(void **state)
{
	uint8_t bytes[3] = { 1, 2, 3 };
	struct rd in = rd_of(bytes, 3);
	uint32_t v = 77;
	uint8_t b = 78;

	(void)state;
	assert_int_equal(rd_le32(&in, &v), -EMSGSIZE);
	assert_int_equal(v, 77);
	assert_int_equal(rd_u8(&in, &b), -EMSGSIZE);
	assert_int_equal(b, 78);
	assert_false(rd_ok(&in));
	assert_false(rd_done(&in));
}

static void full_writer_fails_for_good(void **state)
{
	uint8_t bytes[3];
	struct wr out = wr_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(wr_le32(&out, 1), -EMSGSIZE);
	assert_int_equal(wr_u8(&out, 1), -EMSGSIZE);
	assert_int_equal(out.len, 0);
	assert_false(wr_ok(&out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(short_read_fails_for_good_and_leaves_the_output),
		cmocka_unit_test(full_writer_fails_for_good),
	};

	return cmocka_run_group_tests_name("base_rdwr", tests, NULL, NULL);
}
