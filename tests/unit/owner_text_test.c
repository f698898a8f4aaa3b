/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "owner/text.h"
#include "tests/unit/hex.h"

static void base64_refused(const char *text, const char *why)
{
	struct err e = { 0 };
	uint8_t out[8];
	size_t len = 77;

	assert_int_equal(owner_base64_get(text, strlen(text), out, sizeof(out), &len, &e), -EINVAL);
	assert_non_null(strstr(e.msg, why));
	assert_int_equal(len, 77);
}

/* RFC 4648, section 10. */
static const struct {
	const char *plain, *text;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "f"
	  "o",
	  "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

static void base64_is_that_of_the_standard(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const char *plain = vectors[i].plain, *text = vectors[i].text;
		char put[OWNER_BASE64_LEN(6)];
		struct err e = { 0 };
		uint8_t got[6];
		size_t len = 0;

		owner_base64_put((const uint8_t *)plain, strlen(plain), put);
		assert_string_equal(put, text);
		assert_int_equal(owner_base64_get(text, strlen(text), got, sizeof(got), &len, &e),
				 0);
		assert_int_equal(len, strlen(plain));
		assert_memory_equal(got, plain, len);
	}
}

static void base64_may_have_line_breaks(void **state)
{
	static const char text[] = "Zm9v\r\nYm\n Fy\n";
	struct err e = { 0 };
	uint8_t out[6];
	size_t len = 0;

	(void)state;
	assert_int_equal(owner_base64_get(text, sizeof(text) - 1, out, 6, &len, &e), 0);
	assert_int_equal(len, 6);
	assert_memory_equal(out, "foobar", 6);
}

static void damaged_base64_is_refused(void **state)
{
	(void)state;
	base64_refused("Zm9", "cut short");
	base64_refused("Zm9vY", "cut short");
	base64_refused("Zm9v*m8=", "not of its alphabet");
	base64_refused("=m9v", "not of its alphabet");
	base64_refused("Z===", "not of its alphabet");
	base64_refused("Zg==Zg==", "after its padding");
	base64_refused("Zg=v", "after its padding");
	base64_refused("Zh==", "bits behind its end");
	base64_refused("Zm9vYmFyZm9v", "longer than it should be");
}

static void a_nul_inside_base64_is_refused(void **state)
{
	struct err e = { 0 };
	uint8_t out[8];
	size_t len;

	(void)state;
	assert_int_equal(owner_base64_get("Zm\0v", 4, out, sizeof(out), &len, &e), -EINVAL);
}

static void hex_takes_exactly_the_bytes_asked_for(void **state)
{
	char text[7];
	struct err e = { 0 };
	uint8_t out[3];

	(void)state;
	assert_int_equal(owner_hex_get("00aBfF", out, 3, &e), 0);
	assert_memory_equal(out, "\x00\xab\xff", 3);
	owner_hex_put(out, 3, text);
	assert_string_equal(text, "00abff");
	assert_int_equal(owner_hex_get("00aBf", out, 3, &e), -EINVAL);
	assert_int_equal(owner_hex_get("00aBfF0", out, 3, &e), -EINVAL);
	assert_int_equal(owner_hex_get("00aBfg", out, 3, &e), -EINVAL);
	assert_string_equal(e.msg, "not hexadecimal at character 5");
}

static void a_guid_has_its_first_groups_turned_round(void **state)
{
	struct err e = { 0 };
	uint8_t out[OWNER_GUID_LEN];

	(void)state;
	assert_int_equal(owner_guid_get("1e74f542-71dd-4d66-963e-ef4287ff173b", out, &e), 0);
	assert_hex_equal(out, "42f5741edd71664d963eef4287ff173b");
}

static void what_is_not_a_guid_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"1e74f542-71dd-4d66-963e-ef4287ff173",
		"1e74f542-71dd-4d66-963e-ef4287ff173b0",
		"1e74f542071dd-4d66-963e-ef4287ff173b",
		"1e74f542-71dd-4d66-963e0ef4287ff173b",
		"1e74f54--71dd-4d66-963e-ef4287ff173b",
		"1e74f542-71dd-4d66-963e-ef4287ff17 b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t out[OWNER_GUID_LEN];
		struct err e = { 0 };

		assert_int_equal(owner_guid_get(wrong[i], out, &e), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_that_of_the_standard),
		cmocka_unit_test(base64_may_have_line_breaks),
		cmocka_unit_test(damaged_base64_is_refused),
		cmocka_unit_test(a_nul_inside_base64_is_refused),
		cmocka_unit_test(hex_takes_exactly_the_bytes_asked_for),
		cmocka_unit_test(a_guid_has_its_first_groups_turned_round),
		cmocka_unit_test(what_is_not_a_guid_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
