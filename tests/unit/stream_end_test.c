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

#include "stream/end.h"

static uint8_t space[1024];
static uint8_t got[sizeof(struct stream_abort) + sizeof(struct stream_end)];

static int end_get(const uint8_t *p, size_t n, struct err *e)
{
	return stream_end_get(p, n, (struct stream_end *)(void *)got, e);
}

static int ready_get(const uint8_t *p, size_t n, struct err *e)
{
	return stream_ready_get(p, n, (struct stream_ready *)(void *)got, e);
}

static int commit_get(const uint8_t *p, size_t n, struct err *e)
{
	return stream_id_get(p, n, STREAM_COMMIT, (struct stream_id *)(void *)got, e);
}

static int answer_get(const uint8_t *p, size_t n, struct err *e)
{
	return stream_answer_get(p, n, (struct stream_answer *)(void *)got, e);
}

static int abort_get(const uint8_t *p, size_t n, struct err *e)
{
	return stream_abort_get(p, n, (struct stream_abort *)(void *)got, e);
}

static void rejects_each_message_cut_or_extended_anywhere(void **state)
{
	const struct stream_end end = { .passes = 1 };
	const struct stream_ready ready = { { 1 } };
	const struct stream_id id = { { 2 } };
	const struct stream_answer answer = { .phase = STREAM_PHASE_READY };
	int (*const get[])(const uint8_t *, size_t, struct err *) = { end_get, ready_get,
								      commit_get, answer_get,
								      abort_get };
	struct err e;

	(void)state;
	for (unsigned k = 0; k < 5; k++) {
		struct wr out = wr_of(space, sizeof(space));
		int r = k == 0   ? stream_end_put(&out, &end, &e)
			: k == 1 ? stream_ready_put(&out, &ready, &e)
			: k == 2 ? stream_id_put(&out, STREAM_COMMIT, &id, &e)
			: k == 3 ? stream_answer_put(&out, &answer, &e)
				 : stream_abort_put(&out, STREAM_ABORT_FAILED, "why", &e);

		assert_int_equal(r, 0);
		for (size_t i = 0; i < out.len; i++)
			assert_int_equal(get[k](space, i, &e), -EPROTO);
		assert_int_equal(get[k](space, out.len, &e), 0);
		assert_int_equal(get[k](space, out.len + 1, &e), -EPROTO);
	}
}

static void a_head_of_another_type_is_refused(void **state)
{
	const struct stream_id id = { { 2 } };
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	(void)state;
	assert_int_equal(stream_id_put(&out, STREAM_QUERY, &id, &e), 0);
	assert_int_equal(commit_get(space, out.len, &e), -EPROTO);
	assert_string_equal(e.msg, "COMMIT: the head says type 14");
}

static void rejects_an_end_without_passes_or_with_unknown_flags(void **state)
{
	struct stream_end end = { .passes = 0 };
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	(void)state;
	assert_int_equal(stream_end_put(&out, &end, &e), 0);
	assert_int_equal(end_get(space, out.len, &e), -EPROTO);
	space[32] = 1;
	assert_int_equal(end_get(space, out.len, &e), 0);
	space[36] = 2;
	assert_int_equal(end_get(space, out.len, &e), -EPROTO);
}

static void rejects_an_unknown_phase(void **state)
{
	struct err e;

	(void)state;
	for (uint32_t phase = 0; phase < 6; phase++) {
		struct stream_answer m = { .phase = phase };
		struct wr out = wr_of(space, sizeof(space));
		bool known = phase >= STREAM_PHASE_READY && phase <= STREAM_PHASE_PASSES;

		assert_int_equal(stream_answer_put(&out, &m, &e), 0);
		assert_int_equal(answer_get(space, out.len, &e), known ? 0 : -EPROTO);
	}
}

static void a_reason_cannot_drive_a_terminal(void **state)
{
	struct stream_abort m;
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	(void)state;
	assert_int_equal(stream_abort_put(&out, 999, "a\033[2Jb\nc\xff", &e), 0);
	assert_int_equal(stream_abort_get(space, out.len, &m, &e), 0);
	assert_string_equal(m.reason, "a?[2Jb?c?");
	assert_int_equal(m.code, STREAM_ABORT_FAILED);
}

static void a_long_reason_is_cut(void **state)
{
	char text[600];
	struct stream_abort m;
	struct wr out = wr_of(space, sizeof(space));
	struct err e;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(stream_abort_put(&out, STREAM_ABORT_BUSY, text, &e), 0);
	assert_int_equal(stream_abort_get(space, out.len, &m, &e), 0);
	assert_int_equal(strlen(m.reason), STREAM_REASON_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_each_message_cut_or_extended_anywhere),
		cmocka_unit_test(a_head_of_another_type_is_refused),
		cmocka_unit_test(rejects_an_end_without_passes_or_with_unknown_flags),
		cmocka_unit_test(rejects_an_unknown_phase),
		cmocka_unit_test(a_reason_cannot_drive_a_terminal),
		cmocka_unit_test(a_long_reason_is_cut),
	};

	return cmocka_run_group_tests_name("stream_end", tests, NULL, NULL);
}
