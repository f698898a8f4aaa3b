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

#include "chan/digest.h"
#include "crypto/hash.h"

static void get(const struct chan_msg *v, unsigned n, uint8_t out[CHAN_DIGEST_LEN])
{
	auto_of(chan_digest) struct chan_digest *d = NULL;
	struct err e;

	assert_int_equal(chan_digest_new(&d, &e), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(chan_digest_add(d, &v[i], &e), 0);
	assert_int_equal(chan_digest_get(d, out, &e), 0);
}

static void is_sha256_over_type_lengths_and_head(void **state)
{
	static const uint8_t bytes[] = { 3, 0, 0, 0, 2, 0, 0, 0, 0, 0,   0,
					 0, 5, 0, 0, 0, 0, 0, 0, 0, 'a', 'b' };
	const struct chan_msg m = { 3, (const uint8_t *)"ab", 2, (const uint8_t *)"12345", 5 };
	uint8_t want[SHA256_LEN], got[CHAN_DIGEST_LEN];
	struct err e;

	(void)state;
	assert_int_equal(crypto_sha256(bytes, sizeof(bytes), want, &e), 0);
	get(&m, 1, got);
	assert_memory_equal(want, got, sizeof(want));
}

static void order_split_and_type_matter_and_the_body_does_not(void **state)
{
	const struct chan_msg ab = { 3, (const uint8_t *)"ab", 2, (const uint8_t *)"x", 1 };
	const struct chan_msg a = { 3, (const uint8_t *)"a", 1, NULL, 0 };
	const struct chan_msg b = { 3, (const uint8_t *)"b", 1, NULL, 0 };
	struct chan_msg other = ab;
	uint8_t first[CHAN_DIGEST_LEN], second[CHAN_DIGEST_LEN];

	(void)state;
	get((struct chan_msg[]){ a, b }, 2, first);
	get((struct chan_msg[]){ b, a }, 2, second);
	assert_memory_not_equal(first, second, sizeof(first));
	get(&ab, 1, second);
	assert_memory_not_equal(first, second, sizeof(first));
	other.type = 4;
	get(&other, 1, first);
	assert_memory_not_equal(first, second, sizeof(first));
	other = ab;
	other.body = (const uint8_t *)"y";
	get(&other, 1, first);
	assert_memory_equal(first, second, sizeof(first));
}

static void adding_may_go_on_after_a_look(void **state)
{
	const struct chan_msg a = { 3, (const uint8_t *)"a", 1, NULL, 0 };
	auto_of(chan_digest) struct chan_digest *d = NULL;
	uint8_t once[CHAN_DIGEST_LEN], twice[CHAN_DIGEST_LEN], want[CHAN_DIGEST_LEN];
	struct err e;

	(void)state;
	assert_int_equal(chan_digest_new(&d, &e), 0);
	assert_int_equal(chan_digest_add(d, &a, &e), 0);
	assert_int_equal(chan_digest_get(d, once, &e), 0);
	assert_int_equal(chan_digest_add(d, &a, &e), 0);
	assert_int_equal(chan_digest_get(d, twice, &e), 0);
	get((struct chan_msg[]){ a, a }, 2, want);
	assert_memory_equal(twice, want, sizeof(want));
	assert_memory_not_equal(once, twice, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_sha256_over_type_lengths_and_head),
		cmocka_unit_test(order_split_and_type_matter_and_the_body_does_not),
		cmocka_unit_test(adding_may_go_on_after_a_look),
	};

	return cmocka_run_group_tests_name("chan_digest", tests, NULL, NULL);
}
