/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stream/manifest.h"

static uint8_t space[128];

static size_t put(uint32_t proof)
{
	struct stream_manifest m = { .proof = proof };
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	for (unsigned i = 0; i < sizeof(m.record); i++)
		m.record[i] = (uint8_t)i;
	assert_int_equal(stream_manifest_put(&out, &m, &e), 0);
	return out.len;
}

static void keeps_each_kind(void **state)
{
	struct stream_manifest m;
	struct err e;

	(void)state;
	for (uint32_t k = STREAM_PROOF_MANIFEST; k < STREAM_PROOFS; k++) {
		size_t n = put(k);

		assert_int_equal(n, 80);
		assert_int_equal(stream_manifest_get(space, n, &m, &e), 0);
		assert_int_equal(m.proof, k);
		assert_int_equal(m.record[63], 63);
	}
}

static void rejects_other_kinds(void **state)
{
	static const uint32_t kinds[] = { 0, STREAM_PROOFS, 0x100, UINT32_MAX };
	struct stream_manifest m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		assert_int_equal(stream_manifest_get(space, put(kinds[i]), &m, &e), -EPROTO);
	put(1);
	space[12] = 1;
	assert_int_equal(stream_manifest_get(space, 80, &m, &e), -EPROTO);
}

static void rejects_a_head_cut_or_extended_anywhere(void **state)
{
	size_t n = put(1);
	struct stream_manifest m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(stream_manifest_get(space, i, &m, &e), -EPROTO);
	assert_int_equal(stream_manifest_get(space, n + 1, &m, &e), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_each_kind),
		cmocka_unit_test(rejects_other_kinds),
		cmocka_unit_test(rejects_a_head_cut_or_extended_anywhere),
	};

	return cmocka_run_group_tests_name("stream_manifest", tests, NULL, NULL);
}
